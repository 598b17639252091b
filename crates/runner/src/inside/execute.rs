//! Starts the command, feeds it, stops it when asked, and tells how it ended.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::leave;

/// How long a stop may stay unseen.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Code(i32),
    Signal(i32),
}

impl Exit {
    /// As a shell would say it.
    pub(super) const fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or_default()),
        }
    }
}

impl Serialize for Exit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::Code(code) => map.serialize_entry("code", code)?,
            Self::Signal(signal) => map.serialize_entry("signal", signal)?,
        }
        map.end()
    }
}

/// Writes a file of ours, 0600, its folders 0700. A relative path is below `home`. HOME is kept
/// between runs, so a link that an earlier run left there is replaced, not followed.
pub(super) fn write_file(home: &Path, path: &Path, text: &str) -> io::Result<PathBuf> {
    let path = home.join(path);
    if let Some(parent) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    leave::remove(&path)?;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all(text.as_bytes())?;
    Ok(path)
}

/// Runs the command in a process group of its own. When `stop` becomes true its group gets TERM,
/// and KILL after the grace. What is left of the group when it has ended is killed.
///
/// # Errors
/// The command could not be started.
pub(super) fn supervise(
    command: &mut Command,
    stdin: &str,
    stop: &AtomicBool,
    grace: Duration,
) -> io::Result<Exit> {
    command.stdin(if stdin.is_empty() { Stdio::null() } else { Stdio::piped() });
    let mut child = command.process_group(0).spawn()?;
    let pid = Pid::from_child(&child);
    if let Some(mut pipe) = child.stdin.take() {
        let text = stdin.to_owned();
        // Not joined: a child that never reads must not hold us. It ends with the pipe's reader.
        std::thread::Builder::new().stack_size(128 << 10).spawn(move || {
            let _reader_gone = pipe.write_all(text.as_bytes());
        })?;
    }
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok();
    let mut kill_at = None;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        match kill_at {
            None if stop.load(Ordering::Relaxed) => {
                let _gone_already = kill_process_group(pid, Signal::TERM);
                kill_at = Some(Instant::now() + grace);
            }
            Some(at) if Instant::now() >= at => {
                let _gone_already = kill_process_group(pid, Signal::KILL);
            }
            None | Some(_) => {}
        }
        let mut fds: Vec<PollFd<'_>> =
            pidfd.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        let _woken = poll(&mut fds, Some(&TICK));
    };
    let _gone_already = kill_process_group(pid, Signal::KILL);
    Ok(Exit::from(status))
}

/// Ends everything else in the sandbox: what the agent started in sessions of its own would go
/// on writing while its work is committed. Only where we are the one command of the sandbox's
/// own pid 1; anywhere else it does nothing.
pub(super) fn sweep() {
    let ours = std::process::id();
    let only_command = std::os::unix::process::parent_id() == 1 && ours <= 3;
    if !only_command {
        return;
    }
    // Twice: what is forked while the first round runs.
    for _ in 0..2 {
        let Ok(entries) = fs::read_dir("/proc") else {
            return;
        };
        for entry in entries.flatten() {
            let pid = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
            let other = pid.filter(|pid| *pid > 1 && pid.unsigned_abs() != ours);
            if let Some(pid) = other.and_then(Pid::from_raw) {
                let _gone_already = kill_process(pid, Signal::KILL);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn codes_and_signals_are_told_apart() {
        let never = AtomicBool::new(false);
        let run = |script| supervise(&mut sh(script), "", &never, Duration::ZERO).unwrap();
        assert_eq!(run("exit 7"), Exit::Code(7));
        assert_eq!(run("kill -9 $$"), Exit::Signal(9));
        assert_eq!(Exit::Signal(9).code(), 137);
        assert_eq!(serde_json::to_string(&Exit::Signal(9)).unwrap(), r#"{"signal":9}"#);
        assert_eq!(serde_json::to_string(&Exit::Code(0)).unwrap(), r#"{"code":0}"#);
    }

    #[test]
    fn a_prompt_bigger_than_a_pipe_reaches_a_reader_and_a_deaf_child_ends() {
        let never = AtomicBool::new(false);
        let prompt = "p".repeat(1 << 20);
        let read = supervise(&mut sh("test $(wc -c) -eq 1048576"), &prompt, &never, Duration::ZERO);
        assert_eq!(read.unwrap(), Exit::Code(0));
        let deaf = supervise(&mut sh("exit 3"), &prompt, &never, Duration::ZERO);
        assert_eq!(deaf.unwrap(), Exit::Code(3));
    }

    #[test]
    fn a_stop_is_term_first_and_kill_after_the_grace() {
        let stop = AtomicBool::new(true);
        let polite = supervise(
            &mut sh("trap 'exit 9' TERM; while :; do sleep 0.05; done"),
            "",
            &stop,
            Duration::from_secs(20),
        );
        // TERM may come before the trap is set.
        assert!(matches!(polite.unwrap(), Exit::Code(9) | Exit::Signal(15)));
        let deaf = supervise(
            Command::new("/usr/bin/env").args(["--ignore-signal=TERM", "sleep", "60"]),
            "",
            &AtomicBool::new(true),
            Duration::from_millis(300),
        );
        assert!(matches!(deaf.unwrap(), Exit::Signal(9 | 15)));
    }

    #[test]
    fn a_planted_link_or_folder_is_replaced() {
        let home = tempfile::tempdir().unwrap();
        let victim = home.path().join("victim");
        fs::write(&victim, "keep").unwrap();
        std::os::unix::fs::symlink(&victim, home.path().join("settings")).unwrap();
        fs::create_dir_all(home.path().join("a/b/c")).unwrap();
        write_file(home.path(), Path::new("settings"), "ours").unwrap();
        write_file(home.path(), Path::new("a/b"), "ours").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "keep");
        assert_eq!(fs::read_to_string(home.path().join("a/b")).unwrap(), "ours");
    }
}
