//! What should be gone: processes, mounts and control groups, looked for by name.

use std::path::Path;
use std::time::Duration;

use midwatch_api::report::{IDENTITY_FILE, RunnerIdentity};

use super::place::Place;
use crate::house;

/// How long a killed sandbox may take to be gone.
const DYING: Duration = Duration::from_secs(10);
/// Where control groups are.
const CGROUPS: &str = "/sys/fs/cgroup";
/// Hierarchies, machines' own groups, ours: deeper is never looked.
const DEEPEST: u32 = 8;

/// The words of every process's command line.
pub(super) fn command_lines() -> Vec<(i32, Vec<String>)> {
    let entries = std::fs::read_dir("/proc").unwrap();
    entries
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            Some((pid, words_of(pid)?))
        })
        .collect()
}

/// The words of one process's command line; none when it is gone.
pub(super) fn words_of(pid: i32) -> Option<Vec<String>> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = bytes.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into());
    Some(words.collect())
}

/// Every runner of a run's folder.
pub(super) fn runners_of(folder: &Path) -> Vec<i32> {
    let all = command_lines().into_iter();
    let ours = all.filter(|(_, words)| {
        words.get(1).is_some_and(|word| word == "runner")
            && words.get(2).is_some_and(|word| Path::new(word) == folder)
    });
    ours.map(|(pid, _)| pid).collect()
}

/// Everything of a place that is still there though nothing goes on in it. A sandbox whose runner
/// was killed is given a moment to end: the kernel kills it, and that takes its time under load.
pub(super) fn left(place: &Place) -> Vec<String> {
    let mut left = Vec::new();
    house::until(DYING, || {
        left = alive(place);
        left.is_empty()
    });
    left
}

/// What of it goes on: processes, mounts, control groups.
pub(super) fn alive(place: &Place) -> Vec<String> {
    let mut left = Vec::new();
    let root = place.root().to_str().unwrap();
    for (pid, words) in command_lines() {
        let mounts = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
        if words.iter().any(|word| word.contains(root)) {
            left.push(format!("process {pid}: {words:?}"));
        } else if mounts.contains(root) {
            left.push(format!("mount of process {pid}: {words:?}"));
        }
    }
    let runners = runners(place);
    groups(Path::new(CGROUPS), 0, &mut |name| {
        let owner = name.split('-').next().and_then(|pid| pid.parse().ok());
        if owner.is_some_and(|pid| runners.contains(&pid)) {
            left.push(format!("control group {name}"));
        }
    });
    left
}

/// Every pid that a runner of this place had.
fn runners(place: &Place) -> Vec<i32> {
    let Ok(runs) = std::fs::read_dir(place.state().root().join("runs")) else { return vec![] };
    let identities = runs.flatten().filter_map(|run| {
        let bytes = std::fs::read(run.path().join(IDENTITY_FILE)).ok()?;
        serde_json::from_slice::<RunnerIdentity>(&bytes).ok()
    });
    identities.map(|identity| identity.pid).collect()
}

/// Tells the name of each group below one that is called as ours.
fn groups(folder: &Path, depth: u32, tell: &mut impl FnMut(&str)) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if depth > DEEPEST || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if folder.ends_with("midwatch") {
            tell(&entry.file_name().to_string_lossy());
        }
        groups(&entry.path(), depth + 1, tell);
    }
}
