//! What killed runners left: groups named after a process that is gone, and what hangs in them.
//!
//! bubblewrap's child waits for its parent before it asks to die with it (0.8.0): where a runner
//! is killed in that moment, a child that will never be told waits for ever, in its group.

use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::polled::parse_stat;

/// Ends what hangs in groups whose runner is gone, and removes those that are empty. Answers the
/// pids of runners that still have one: what was killed takes its time to be gone.
pub(super) fn sweep(parent: &Path) -> Vec<u32> {
    let mut left = Vec::new();
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.split_once('-')?.0.parse::<u32>().ok());
        if let Some(pid) = owner
            && !Path::new("/proc").join(pid.to_string()).exists()
        {
            end_orphans(&entry.path());
            // Refused by the kernel while anything is in it; then the next one finds it empty.
            if std::fs::remove_dir(entry.path()).is_err() && entry.path().exists() {
                left.push(pid);
            }
        }
    }
    left
}

/// Kills those whom nobody who counts here waits for. A group of another pid namespace is named
/// after a number of there: the parent of its processes lives.
fn end_orphans(group: &Path) {
    let members = members(group);
    for pid in &members {
        let parent = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        let Some(parent) = parent.ok().and_then(|stat| parse_stat(&stat)).map(|it| it.parent)
        else {
            continue;
        };
        if members.contains(&parent) || is_runner(parent) {
            continue;
        }
        let Some(raw) = i32::try_from(*pid).ok().and_then(Pid::from_raw) else { continue };
        let Ok(process) = pidfd_open(raw, PidfdFlags::empty()) else { continue };
        // Looked at again: the descriptor means one process, the number may have got another.
        if self::members(group).contains(pid) {
            let _ = pidfd_send_signal(&process, Signal::KILL);
        }
    }
}

/// Processes of a group; those of other pid namespaces have no number here.
fn members(group: &Path) -> Vec<u32> {
    let text = std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid != 0).collect()
}

fn is_runner(pid: u32) -> bool {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    words.split(|byte| *byte == 0).nth(1) == Some(b"runner")
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::path::PathBuf;
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::cgroup::place;

    /// A folder of groups of the test's own, and a group in it.
    struct Groups(PathBuf, PathBuf);

    impl Groups {
        fn new(owner: u32) -> Option<Self> {
            let place = place::of_self("pids").ok().flatten()?;
            let parent = place.own.join(format!("midwatch-test-{}-{owner}", std::process::id()));
            std::fs::create_dir(&parent).ok()?;
            let group = parent.join(format!("{owner}-run"));
            std::fs::create_dir(&group).ok()?;
            Some(Self(parent, group))
        }

        /// Lets a child of ours start another one, in the group; with its parent gone or not.
        fn start(&self, orphan: bool) -> (Child, u32) {
            let script = "echo 0 > \"$1\"/cgroup.procs; sleep 600 >/dev/null & echo $!; \
                          test \"$2\" = orphan || wait";
            let mut child = Command::new("sh")
                .args(["-c", script, "sh"])
                .arg(&self.1)
                .arg(if orphan { "orphan" } else { "child" })
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
            if orphan {
                child.wait().unwrap();
            }
            (child, line.trim().parse().unwrap())
        }
    }

    impl Drop for Groups {
        fn drop(&mut self) {
            for pid in members(&self.1) {
                if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                    let _ = rustix::process::kill_process(pid, Signal::KILL);
                }
            }
            while self.1.exists() && std::fs::remove_dir(&self.1).is_err() {
                std::thread::yield_now();
            }
            let _ = std::fs::remove_dir(&self.0);
        }
    }

    /// The kernel gives no process a number as high as this.
    const GONE: u32 = 4_194_305;

    #[test]
    fn what_hangs_without_its_runner_is_ended_and_nothing_else() {
        let (Some(gone), Some(alive)) = (Groups::new(GONE), Groups::new(std::process::id())) else {
            let _ = writeln!(std::io::stderr(), "NOT RUN: no group of our own can be made here");
            return;
        };
        let (_, orphan) = gone.start(true);
        // The control: the same of a runner that lives.
        let (_, other) = alive.start(true);
        assert!(members(&gone.1).contains(&orphan));
        assert!(sweep(&alive.0).is_empty(), "it has its runner");
        // It is told for as long as what was killed is not gone.
        while !sweep(&gone.0).is_empty() {
            std::thread::yield_now();
        }
        assert!(!gone.1.exists());
        assert!(members(&alive.1).contains(&other));
    }
}
