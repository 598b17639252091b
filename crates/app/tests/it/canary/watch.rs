//! What processes show of themselves while a run goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::house::{House, PAUSE, Told, pids, told, wait};

/// What was seen of processes: arguments and environments, each once.
pub(super) type Processes = Mutex<BTreeSet<Vec<u8>>>;

/// Arguments and environment of every process below the server. The client and what it starts to
/// ask package clients have the user's own environment; of them the arguments count.
fn sample(house: &House, client: u32, seen: &Processes) {
    let read =
        |pid: u32, name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let parents: BTreeMap<u32, u32> = pids().into_iter().map(|pid| (pid, parent(pid))).collect();
    let below = |pid: u32, of: u32| {
        std::iter::successors(Some(pid), |at| parents.get(at).copied()).take(64).any(|at| at == of)
    };
    let ours = house.processes();
    let servers: Vec<u32> = ours.into_iter().filter(|pid| !below(*pid, client)).collect();
    let mut seen = seen.lock().unwrap();
    for pid in parents.keys() {
        if below(*pid, client) {
            seen.insert(read(*pid, "cmdline"));
        } else if servers.iter().any(|server| below(*pid, *server)) {
            seen.insert(read(*pid, "cmdline"));
            seen.insert(read(*pid, "environ"));
        }
    }
}

fn parent(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in brackets may hold anything.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_whitespace().nth(1).and_then(|pid| pid.parse().ok()).unwrap_or_default()
}

/// Runs it while processes are looked at.
pub(super) fn watched(
    house: &House,
    repository: &Path,
    arguments: &[&str],
    seen: &Processes,
) -> Told {
    let child = house.start(repository, arguments);
    let (client, over) = (child.id(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                sample(house, client, seen);
                // polls: nothing tells that a process was started
                std::thread::sleep(PAUSE);
            }
        });
        let output = wait(child);
        over.store(true, Ordering::Relaxed);
        told(output)
    })
}
