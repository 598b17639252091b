//! A child with limits: time, output, a way to be called off. One poll loop, no threads, and it
//! does not wait for a grandchild that keeps a pipe open.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

/// How long one wait lasts before time and cancelling are looked at again.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// The end of stderr that is kept, in bytes.
const STDERR_KEPT: usize = 4096;

/// What a child is given and allowed.
pub(super) struct Asked<'a> {
    /// Fed to stdin; empty means `/dev/null`.
    pub(super) stdin: &'a [u8],
    /// Killed after this long.
    pub(super) limit: Duration,
    /// Bytes of stdout that are kept; the rest is read and dropped.
    pub(super) cap: usize,
    /// Killed when this becomes true.
    pub(super) cancel: Option<&'a AtomicBool>,
    /// stdout goes here instead.
    pub(super) into: Option<std::fs::File>,
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// By itself, or by somebody else's signal.
    Itself(ExitStatus),
    /// Killed by us at its limit.
    Late,
    /// Killed by us because it was called off.
    Cancelled,
}

/// What a child left.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) ended: Ended,
    pub(super) stdout: Vec<u8>,
    /// Whether stdout was longer than the cap.
    pub(super) cut: bool,
    /// Whether it failed for want of room on the disk; only git's answers are looked at for that.
    pub(super) full: bool,
    /// The last bytes of stderr.
    pub(super) stderr: Vec<u8>,
}

impl Answer {
    /// The exit code; none when a signal or we ended it.
    pub(super) fn code(&self) -> Option<i32> {
        match self.ended {
            Ended::Itself(status) => status.code(),
            Ended::Late | Ended::Cancelled => None,
        }
    }

    /// One line about the ending and the last words of stderr, escaped.
    pub(super) fn story(&self) -> String {
        let ending = match self.ended {
            Ended::Itself(status) => match (status.code(), status.signal()) {
                (Some(code), _) => format!("code {code}"),
                (None, Some(signal)) => format!("signal {signal}"),
                (None, None) => "an unknown end".to_owned(),
            },
            Ended::Late => "killed at its time limit".to_owned(),
            Ended::Cancelled => "called off".to_owned(),
        };
        let words = last_words(&self.stderr);
        if words.is_empty() { ending } else { format!("{ending}: {words}") }
    }
}

/// The last 400 characters, control characters escaped.
pub(super) fn last_words(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim();
    let skip = text.chars().count().saturating_sub(400);
    text.chars()
        .skip(skip)
        .flat_map(|c| -> Vec<char> {
            if c.is_control() { c.escape_default().collect() } else { vec![c] }
        })
        .collect()
}

/// Runs the command in a process group of its own, which is killed when the child has ended.
pub(super) fn run(command: &mut Command, asked: Asked<'_>) -> io::Result<Answer> {
    let Asked { stdin, limit, cap, cancel, into } = asked;
    let until = Instant::now() + limit;
    command.stdin(if stdin.is_empty() { Stdio::null() } else { Stdio::piped() });
    command.stdout(into.map_or_else(Stdio::piped, Stdio::from));
    command.stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn()?;
    // What the command holds of a file given as stdout is closed with it by the caller.
    let pid = Pid::from_child(&child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok();
    let mut pipes = Pipes::of(&mut child, stdin, cap)?;

    let ended = loop {
        if let Some(status) = child.try_wait()? {
            break Ended::Itself(status);
        }
        if Instant::now() >= until {
            break Ended::Late;
        }
        if cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
            break Ended::Cancelled;
        }
        pipes.wait(pidfd.as_ref());
        pipes.pump();
    };
    // Nothing that it started may go on, and its pipes with it.
    let _gone_already = kill_process_group(pid, Signal::KILL);
    if !matches!(ended, Ended::Itself(_)) {
        child.wait()?;
    }
    pipes.drain();
    Ok(Answer { ended, stdout: pipes.stdout, cut: pipes.cut, full: false, stderr: pipes.stderr })
}

/// The three pipes of a child, none of which ever blocks us.
struct Pipes<'a> {
    to: Option<std::process::ChildStdin>,
    feed: &'a [u8],
    out: Option<std::process::ChildStdout>,
    err: Option<std::process::ChildStderr>,
    stdout: Vec<u8>,
    cap: usize,
    cut: bool,
    stderr: Vec<u8>,
}

impl<'a> Pipes<'a> {
    fn of(child: &mut Child, feed: &'a [u8], cap: usize) -> io::Result<Self> {
        let pipes = Self {
            to: child.stdin.take(),
            feed,
            out: child.stdout.take(),
            err: child.stderr.take(),
            stdout: Vec::new(),
            cap,
            cut: false,
            stderr: Vec::new(),
        };
        if let Some(pipe) = &pipes.to {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        if let Some(pipe) = &pipes.out {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        if let Some(pipe) = &pipes.err {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        Ok(pipes)
    }

    /// Waits until a pipe is ready, the child ends, or a tick is over.
    fn wait(&self, pidfd: Option<&OwnedFd>) {
        let mut fds = Vec::with_capacity(4);
        if let Some(fd) = pidfd {
            fds.push(PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN));
        }
        if let Some(pipe) = &self.to {
            fds.push(PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::OUT));
        }
        if let Some(pipe) = &self.out {
            fds.push(PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN));
        }
        if let Some(pipe) = &self.err {
            fds.push(PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN));
        }
        // Interrupted by a signal or not: the caller looks at everything anyway.
        let _woken = poll(&mut fds, Some(&TICK));
    }

    /// Moves what can be moved now.
    fn pump(&mut self) {
        if let Some(pipe) = &mut self.to {
            match pipe.write(self.feed) {
                Ok(written) => self.feed = self.feed.get(written..).unwrap_or_default(),
                Err(error) if is_later(&error) => {}
                Err(_) => self.feed = &[],
            }
            if self.feed.is_empty() {
                self.to = None;
            }
        }
        let mut buffer = [0_u8; 16 * 1024];
        if let Some(pipe) = &mut self.out {
            match pipe.read(&mut buffer) {
                Ok(0) => self.out = None,
                Ok(read) => {
                    let room = self.cap.saturating_sub(self.stdout.len()).min(read);
                    self.stdout.extend_from_slice(&buffer[..room]);
                    self.cut |= room < read;
                }
                Err(error) if is_later(&error) => {}
                Err(_) => self.out = None,
            }
        }
        if let Some(pipe) = &mut self.err {
            match pipe.read(&mut buffer) {
                Ok(0) => self.err = None,
                Ok(read) => {
                    self.stderr.extend_from_slice(&buffer[..read]);
                    let over = self.stderr.len().saturating_sub(STDERR_KEPT);
                    self.stderr.drain(..over);
                }
                Err(error) if is_later(&error) => {}
                Err(_) => self.err = None,
            }
        }
    }

    /// Takes what is in the pipes after the end, and no more: 1 MiB beyond the cap at most, so
    /// that a writer that got away from its group cannot hold us.
    fn drain(&mut self) {
        self.to = None;
        for _ in 0..(self.cap / (16 * 1024) + 64) {
            let before = (self.stdout.len(), self.stderr.len());
            self.pump();
            if before == (self.stdout.len(), self.stderr.len()) {
                return;
            }
        }
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, stdin: &[u8], limit: Duration) -> Answer {
        let asked = Asked { stdin, limit, cap: 1 << 20, cancel: None, into: None };
        run(Command::new("/bin/sh").args(["-c", script]), asked).unwrap()
    }

    #[test]
    fn feeds_and_reads_more_than_a_pipe_holds_without_deadlock() {
        let big = vec![b'x'; 700_000];
        let answer = sh("cat; echo done >&2", &big, Duration::from_secs(20));
        assert_eq!(answer.code(), Some(0));
        assert_eq!(answer.stdout, big);
        assert_eq!(answer.stderr, b"done\n");
    }

    #[test]
    fn output_beyond_the_cap_is_dropped_and_said() {
        let asked =
            Asked { stdin: b"", limit: Duration::from_secs(20), cap: 10, cancel: None, into: None };
        let mut command = Command::new("/bin/sh");
        let answer = run(command.args(["-c", "echo 0123456789abc"]), asked).unwrap();
        assert_eq!(answer.stdout, b"0123456789");
        assert!(answer.cut);
    }

    #[test]
    fn a_child_that_hangs_is_killed_with_its_group() {
        let start = Instant::now();
        let answer = sh("sleep 60 & sleep 60", b"", Duration::from_millis(200));
        assert_eq!(answer.ended, Ended::Late);
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_grandchild_that_keeps_the_pipe_open_holds_nobody() {
        let start = Instant::now();
        let answer = sh("setsid sleep 8 & echo out", b"", Duration::from_secs(30));
        assert_eq!(answer.code(), Some(0));
        assert_eq!(answer.stdout, b"out\n");
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn control_characters_of_last_words_are_escaped() {
        assert_eq!(last_words(b"bad \x1b[31m\n"), "bad \\u{1b}[31m");
    }
}
