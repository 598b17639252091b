//! The inside half: what we start in the sandbox beside the agent. It is as hostile as the agent
//! itself; whatever it leaves in `out` is a claim. It does honest work for an honest agent.
//!
//! ```text
//! order ─► forwarder ─► self-test ─► agent ──────────► sweep ─► commit ─► bundle, claim
//!                                      └─ checkpoints ─┘
//! ```
//!
//! It relies on `sh` and `/usr/bin/git` and on nothing else of the sandbox.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use midwatch_api::order::inside as seen;

use crate::inside_order::{INSIDE_CODE, InsideOrder, Job};

mod agent_job;
mod beside;
mod bounded;
mod bundle;
mod checkout;
mod checkpoint;
mod closed;
mod commit;
mod execute;
mod foreign;
pub mod forward;
mod git;
mod history;
mod leave;
mod names;
mod nested;
mod readable;
mod rescue;
mod self_test;
mod side;
mod special;

use execute::Exit;
use forward::Forwarder;

/// Between TERM and KILL of a setup's command.
const SETUP_GRACE: Duration = Duration::from_secs(10);

/// The folders that the inside works in; parametrised so that tests need no sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The workspace.
    pub workspace: PathBuf,
    /// HOME.
    pub home: PathBuf,
    /// TMPDIR.
    pub temp: PathBuf,
    /// Where results are left.
    pub out: PathBuf,
}

impl Places {
    /// The real ones.
    pub fn inside() -> Self {
        Self {
            workspace: seen::WORKSPACE.into(),
            home: seen::HOME.into(),
            temp: std::env::temp_dir(),
            out: seen::OUT.into(),
        }
    }
}

/// Why the inside could not do its job. Said on stderr, with [`INSIDE_CODE`] as the code.
#[derive(Debug, thiserror::Error)]
pub enum InsideError {
    /// The order cannot be read.
    #[error("the order {path}: {why}")]
    Order {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Something of the system's failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What was seen.
        #[source]
        source: std::io::Error,
    },
    /// A checkout, a commit or a bundle failed.
    #[error("{0}")]
    Work(String),
}

/// Carries out the order in this file and answers the exit code: the command's own (128 +
/// signal), or one of ours.
pub fn main(order_file: &Path) -> i32 {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        if let Err(error) = signal_hook::flag::register(signal, Arc::clone(&stop)) {
            return told(&InsideError::Io { what: "signal handler", source: error });
        }
    }
    let done = read(order_file).and_then(|order| carry_out(&order, &Places::inside(), &stop));
    done.unwrap_or_else(|error| told(&error))
}

fn told(error: &InsideError) -> i32 {
    let line = bounded::last_words(error.to_string().as_bytes());
    let _nobody_listens = writeln!(std::io::stderr(), "midwatch inside: {line}");
    INSIDE_CODE
}

fn read(path: &Path) -> Result<InsideOrder, InsideError> {
    let wrong = |why: String| InsideError::Order { path: path.to_owned(), why };
    let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))
}

/// Carries out an order at these places. `stop` becomes true when TERM was received: the command
/// is ended, and what it left is saved all the same.
///
/// # Errors
/// The job could not be done; for an agent's job only before the agent started.
pub fn carry_out(
    order: &InsideOrder,
    places: &Places,
    stop: &Arc<AtomicBool>,
) -> Result<i32, InsideError> {
    let InsideOrder { forward, job } = order;
    let _forwarder = Forwarder::start(forward, forward::HOLD)
        .map_err(|source| InsideError::Io { what: "forwarder", source })?;
    let work = |error: &dyn std::fmt::Display| InsideError::Work(error.to_string());
    match job {
        Job::Checkout { folder, commit, workers } => {
            checkout::make_base(folder, commit, *workers).map_err(|error| work(&error))?;
            Ok(0)
        }
        Job::Prepare { pack, commit } => {
            checkout::prepare(&places.workspace, pack, commit).map_err(|error| work(&error))?;
            Ok(0)
        }
        Job::Setup { command } => {
            let mut shell = Command::new("sh");
            shell.args(["-c", command]).current_dir(&places.workspace);
            let exit = execute::supervise(&mut shell, "", stop, SETUP_GRACE);
            let exit = exit.map_err(|source| InsideError::Io { what: "sh", source })?;
            Ok(exit.code())
        }
        Job::Agent(job) => agent_job::carry_out(job, places, stop),
        Job::Rescue { base, commit, exclude } => {
            Ok(agent_job::rescue(base, commit.as_deref(), exclude, places))
        }
    }
}

/// The code of a run that was stopped before its command started.
fn stopped(stop: &AtomicBool) -> Option<i32> {
    stop.load(Ordering::Relaxed).then(|| Exit::Signal(signal_hook::consts::SIGTERM).code())
}
