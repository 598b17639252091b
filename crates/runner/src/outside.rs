//! The outside half: trusted, one process per run, with one thread.
//!
//! ```text
//! order.json ─► folders (as root: handed to the service user) ─► enter ─► sandbox(es) ─► report.json
//!                                                                  │
//!      pipes ─► capped logs, events     clock, meters, stop ─► TERM, then kill
//! ```
//!
//! It parses nothing that the inside wrote but lines of JSON with bounds, opens nothing in
//! `out` but regular files, and what ends a run is seen from here: init's code, the clock, the
//! kernel's counters.

use std::fs::File;
use std::path::Path;
use std::time::Instant;

use midwatch_api::order::{ORDER_FILE, Order, Work};
use midwatch_api::report::{Ending, IDENTITY_FILE, REPORT_FILE, Report, out_folder};
use rustix::fs::Mode;

mod agent;
mod bases;
mod capture;
mod check;
mod checkout;
mod conversation;
mod disk;
mod environment;
mod escape;
mod events;
mod folder;
mod ground;
mod harvest;
mod identity;
mod layers;
mod left;
mod left_out;
mod merged;
mod orders;
mod outputs;
mod room;
mod run;
mod scene;
mod setup;
mod stop;
mod summary;
mod trust_store;
mod watch;

use ground::{Door, Ground};
use run::{Run, Stopped};
use stop::Stop;

pub use layers::probe;

/// A report was written. What it says is not this process's matter.
pub const REPORTED: i32 = 0;
/// No report could be written: the folder is not there, or not ours to write to.
pub const UNREPORTED: i32 = 1;

/// Carries out the order in a run's folder and writes its report there. To be called first
/// thing by a process with one thread, which it changes for good.
///
/// Answers the exit code: [`REPORTED`] or [`UNREPORTED`].
pub fn run(folder: &Path) -> i32 {
    let began = Instant::now();
    rustix::process::umask(Mode::WGRP | Mode::WOTH);
    // A terminal's signals are for people's programs. Refused only to who leads already.
    let _ = rustix::process::setsid();
    let Ok(folder) = std::fs::canonicalize(folder) else {
        return complain("the run's folder is not there");
    };
    let door = match Door::open(&folder) {
        Ok(door) => door,
        Err(error) => return complain(&format!("the run's folder: {error}")),
    };
    // Held until this process ends: a server that came back may have started another runner for
    // the same order before the first one had said who it is.
    let _only = match only_one(&folder) {
        Ok(lock) => lock,
        Err(error) => return complain(&format!("the run's lock: {error}")),
    };
    if !door.has(ORDER_FILE) {
        return complain("the run's folder holds no order");
    }
    if door.has(REPORT_FILE) {
        return REPORTED;
    }
    if door.has(IDENTITY_FILE) {
        return complain("this order was begun before, and its runner is gone");
    }
    if let Err(error) = identity::write(&door) {
        return complain(&format!("writing who we are: {error}"));
    }
    let (report, again) = match orders::read(&folder) {
        Ok(order) => (carry_out(&order, &folder, &door, began), can_be_made_again(&order.work)),
        Err(refused) => (summary::of_refusal(refused.addressee, refused.why), false),
    };
    match write(&door, &report, again) {
        Ok(()) => REPORTED,
        Err(error) => complain(&format!("writing the report: {error}")),
    }
}

/// Waits until no other runner has this folder, and takes it. The lock is on the folder and not
/// on the order in it: a server that starts a second runner writes the order again, and each
/// would have a file of its own to lock.
fn only_one(folder: &Path) -> std::io::Result<File> {
    let lock = File::open(folder)?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)?;
    Ok(lock)
}

/// Whether a run whose report a power loss takes is simply carried out once more. The server
/// stores what a report says as soon as it is there.
fn can_be_made_again(work: &Work) -> bool {
    match work {
        Work::Checkout { .. } | Work::Check { .. } => true,
        Work::Setup { .. } | Work::Agent { .. } | Work::Rescue { .. } => false,
    }
}

fn write(door: &Door, report: &Report, again: bool) -> std::io::Result<()> {
    let bytes = serde_json::to_vec_pretty(report)?;
    if again {
        door.write_for_this_boot(REPORT_FILE, &bytes)
    } else {
        door.write_whole(REPORT_FILE, &bytes)
    }
}

#[expect(clippy::print_stderr, reason = "without a folder there is nowhere else to say it")]
fn complain(what: &str) -> i32 {
    eprintln!("midwatch runner: {what}");
    UNREPORTED
}

fn carry_out(order: &Order, folder: &Path, door: &Door, began: Instant) -> Report {
    let addressee =
        || orders::Addressee { version: order.version, run: order.run.clone(), epoch: order.epoch };
    let around = match environment::surroundings(order) {
        Ok(around) => around,
        Err(why) => return summary::of_refusal(addressee(), why),
    };
    let made = Stop::listen().and_then(|stop| Run::new(order, door, around, stop, began));
    let mut run = match made {
        Ok(run) => run,
        Err(error) => return summary::of_refusal(addressee(), format!("the run's files: {error}")),
    };
    // Read back for test counts, and opened now: after entering they are another user's.
    let logs = summary::LOGS.map(|name| File::open(folder.join(name)).ok());
    let ending = work(&mut run, folder).unwrap_or_else(|Stopped(ending)| ending);
    let out = run.out.clone().unwrap_or_else(|| out_folder(folder));
    let (dropped, tail, conversation, facts) = run.close();
    let mut report = summary::of_run(order, ending, facts, (dropped, tail), conversation, &out);
    report.tests = summary::tests(order, logs);
    left::sweep(&out);
    report
}

fn work(run: &mut Run<'_>, folder: &Path) -> Result<Ending, Stopped> {
    match disk::has_room(folder, disk::floor(&run.order.work)) {
        Ok(Ok(())) => {}
        Ok(Err(full)) => {
            run.note(&format!("midwatch: {}", full.0));
            return Ok(Ending::Disk);
        }
        Err(error) => return Err(run::internal(&error).into()),
    }
    let mut ground = Ground::take(folder)?;
    match &run.order.work {
        Work::Checkout { commit, upstream, base, workers } => {
            let work = checkout::Checkout { commit, upstream, base, workers: *workers };
            checkout::carry_out(run, &mut ground, &work)
        }
        Work::Setup { workspace, command, deps, keep_home } => {
            let work = setup::Setup { workspace, command, deps, keep_home };
            setup::carry_out(run, &mut ground, &work)
        }
        Work::Agent { workspace, home, agent } => {
            let work = agent::Agent { workspace, home, work: agent };
            agent::carry_out(run, &mut ground, &work)
        }
        Work::Check { workspace, command } => {
            check::carry_out(run, &mut ground, workspace, command)
        }
        Work::Rescue { workspace } => agent::rescue(run, &mut ground, workspace),
    }
}
