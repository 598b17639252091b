//! Runs a git process to its end: own process group, deadline by its pidfd, capped output.

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, kill_process_group, pidfd_open, prlimit,
};

use super::environment::{settings, variables};
use super::{Call, Ended, Input};
use crate::error::{GitError, escaped};

/// How much of stderr is kept, in bytes. The rest is read and dropped.
const STDERR_KEPT: usize = 64 << 10;

/// A moment after which a call is killed.
#[derive(Debug, Clone, Copy)]
struct Deadline {
    at: Instant,
    after: Duration,
    what: &'static str,
}

impl Deadline {
    fn new(what: &'static str, after: Duration) -> Self {
        Self { at: Instant::now() + after, after, what }
    }

    /// Waits until the descriptor can be read; an error once the deadline is past.
    fn wait_readable(&self, fd: BorrowedFd<'_>) -> Result<(), GitError> {
        loop {
            let left = self.at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(GitError::TimedOut { what: self.what, after: self.after });
            }
            let timeout = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(left.subsec_nanos()),
            };
            let mut fds = [PollFd::new(&fd, PollFlags::IN)];
            match poll(&mut fds, Some(&timeout)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(errno) => return Err(spawn_error(errno.into())),
            }
        }
    }
}

fn spawn_error(source: std::io::Error) -> GitError {
    GitError::Io { what: "could not run", path: "git".into(), source }
}

/// A started process and its group. Dropped alive, the whole group is killed.
struct Spawned {
    child: Child,
    pidfd: OwnedFd,
    group: Pid,
    deadline: Deadline,
    reaped: bool,
}

impl Spawned {
    fn kill_group(&self) {
        // The leader is not reaped yet, so the group's number cannot be somebody else's.
        if !self.reaped {
            let _ = kill_process_group(self.group, Signal::KILL);
        }
    }

    /// Waits for the leader, then ends whatever it left behind in its group.
    fn wait(&mut self) -> Result<Option<i32>, GitError> {
        let waited = self.deadline.wait_readable(self.pidfd.as_fd());
        self.kill_group();
        let status = self.child.wait().map_err(spawn_error)?;
        self.reaped = true;
        waited.map(|()| status.code())
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill_group();
            let _ = self.child.wait();
        }
    }
}

fn command(call: &Call) -> Command {
    let mut command = program(call);
    command.env_clear().process_group(0).current_dir("/");
    for (key, value) in variables(&call.reach) {
        command.env(key, value);
    }
    for (key, value) in &call.env {
        command.env(key, value);
    }
    if let Some(dir) = &call.git_dir {
        command.env("GIT_DIR", dir);
    }
    if let Some(dir) = &call.work_tree {
        command.env("GIT_WORK_TREE", dir).current_dir(dir);
    }
    // As variables and not as `-c key=value`: a key may hold `=`, and argv is read by everybody.
    let settings = settings(&call.reach, call.ca_bundle.as_deref());
    for (index, (key, value)) in settings.iter().chain(&call.config).enumerate() {
        command.env(format!("GIT_CONFIG_KEY_{index}"), key);
        command.env(format!("GIT_CONFIG_VALUE_{index}"), value);
    }
    command.env("GIT_CONFIG_COUNT", (settings.len() + call.config.len()).to_string());
    command.arg(call.subcommand).args(&call.args);
    if let Some(owner) = call.owner {
        command.gid(owner.gid).uid(owner.uid);
    }
    command.stderr(Stdio::piped());
    command
}

/// The program, by way of a shell where it is to have another umask: that is a whole process's,
/// and ours has threads that make files of the state folder. The shell's text is fixed, what it
/// starts takes its place, and nothing of the call is read as shell.
fn program(call: &Call) -> Command {
    let Some(bits) = call.umask else {
        return Command::new(&call.program);
    };
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"umask "$1"; shift; exec "$@""#, "sh"]);
    command.arg(format!("{bits:04o}")).arg(&call.program);
    command
}

fn spawn(call: &Call, stdin: Stdio) -> Result<Spawned, GitError> {
    let mut command = command(call);
    command.stdin(stdin).stdout(Stdio::piped());
    let child = command.spawn().map_err(spawn_error)?;
    let group = Pid::from_child(&child);
    let pidfd = pidfd_open(group, PidfdFlags::empty()).map_err(|e| spawn_error(e.into()))?;
    let deadline = Deadline::new(call.subcommand, call.timeout);
    let spawned = Spawned { child, pidfd, group, deadline, reaped: false };
    if let Some(bytes) = call.memory {
        // Set before the first byte of stdin is written: until then it has nothing to work on.
        let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
        prlimit(Some(group), Resource::Data, limit).map_err(|e| spawn_error(e.into()))?;
    }
    Ok(spawned)
}

pub(super) fn finish(mut call: Call) -> Result<Ended, GitError> {
    let what = call.subcommand;
    let cap = call.cap;
    match std::mem::replace(&mut call.stdin, Input::Empty) {
        Input::Empty => collect(&mut spawn(&call, Stdio::null())?, None, what, cap),
        Input::Bytes(bytes) => {
            let source: Box<dyn Read + Send> = Box::new(std::io::Cursor::new(bytes));
            collect(&mut spawn(&call, Stdio::piped())?, Some(source), what, cap)
        }
        Input::Stream(source) => {
            collect(&mut spawn(&call, Stdio::piped())?, Some(source), what, cap)
        }
        Input::Call(first) => piped(*first, &call, what, cap),
    }
}

/// Runs `first | second`. The first one's failure wins: its half of a pack may still look whole.
fn piped(mut first: Call, second: &Call, what: &'static str, cap: u64) -> Result<Ended, GitError> {
    let (stdin, source): (Stdio, Option<Box<dyn Read + Send>>) =
        match std::mem::replace(&mut first.stdin, Input::Empty) {
            Input::Empty | Input::Call(_) => (Stdio::null(), None),
            Input::Bytes(bytes) => (Stdio::piped(), Some(Box::new(std::io::Cursor::new(bytes)))),
            Input::Stream(stream) => (Stdio::piped(), Some(stream)),
        };
    let mut left = spawn(&first, stdin)?;
    let between = left.child.stdout.take().map_or_else(Stdio::null, Stdio::from);
    let mut right = spawn(second, between)?;
    let left_name = first.subcommand;
    std::thread::scope(|scope| {
        let first_ended = scope.spawn(|| collect(&mut left, source, left_name, 0));
        let second_ended = collect(&mut right, None, what, cap);
        let first_ended = first_ended.join().unwrap_or_else(|_| {
            Err(GitError::Unexpected { what: left_name, detail: "its thread died".into() })
        })?;
        // A broken pipe is the second one's doing, which then says why itself.
        let second_ended = second_ended?;
        if first_ended.code != Some(0) && second_ended.code == Some(0) {
            return Err(GitError::Failed {
                what: left_name,
                code: first_ended.code,
                stderr: first_ended.stderr,
            });
        }
        let mut ended = second_ended;
        if first_ended.code != Some(0) && !first_ended.stderr.is_empty() {
            ended.stderr = format!("{}; {left_name}: {}", ended.stderr, first_ended.stderr);
        }
        Ok(ended)
    })
}

fn collect(
    spawned: &mut Spawned,
    source: Option<Box<dyn Read + Send>>,
    what: &'static str,
    cap: u64,
) -> Result<Ended, GitError> {
    let stdin = spawned.child.stdin.take();
    let stdout = spawned.child.stdout.take();
    let stderr = spawned.child.stderr.take();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        if let (Some(mut source), Some(mut stdin)) = (source, stdin) {
            // Detached on purpose: a source that never ends must not outlive our deadline. The
            // write fails as soon as the process is gone.
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut source, &mut stdin);
            });
        }
        let out = scope.spawn(|| read_capped(stdout, cap, &over));
        let err = scope.spawn(|| read_kept(stderr));
        let code = spawned.wait();
        let stdout = out.join().unwrap_or_default();
        let stderr = err.join().unwrap_or_default();
        if over.load(Ordering::Relaxed) {
            return Err(GitError::TooMuchOutput { what, cap });
        }
        Ok(Ended { code: code?, stdout, stderr: escaped(&stderr) })
    })
}

fn read_capped(from: Option<ChildStdout>, cap: u64, over: &AtomicBool) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(from) = from else { return kept };
    let _ = from.take(cap.saturating_add(1)).read_to_end(&mut kept);
    // The pipe closes here, and the writer dies of it.
    if kept.len() as u64 > cap {
        over.store(true, Ordering::Relaxed);
    }
    kept
}

fn read_kept(from: Option<ChildStderr>) -> Vec<u8> {
    let mut kept: Vec<u8> = Vec::new();
    let Some(mut from) = from else { return kept };
    let mut buffer = [0; 8192];
    while let Ok(count) = from.read(&mut buffer) {
        if count == 0 {
            break;
        }
        kept.extend_from_slice(&buffer[..count]);
        // The end says why it failed, so the beginning goes first.
        if kept.len() > 2 * STDERR_KEPT {
            kept.drain(..kept.len() - STDERR_KEPT);
        }
    }
    kept
}

/// A process that answers on stdout what it is asked on stdin.
pub(crate) struct Running {
    stdin: Option<ChildStdin>,
    stdout: std::io::BufReader<TimedReader>,
    stderr: Option<std::thread::JoinHandle<Vec<u8>>>,
    spawned: Spawned,
    what: &'static str,
}

struct TimedReader {
    from: ChildStdout,
    deadline: Deadline,
}

impl Read for TimedReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.deadline.wait_readable(self.from.as_fd()).map_err(std::io::Error::other)?;
        self.from.read(buffer)
    }
}

pub(super) fn start(call: Call) -> Result<Running, GitError> {
    let mut spawned = spawn(&call, Stdio::piped())?;
    let missing = || GitError::unexpected(call.subcommand, b"no pipe");
    let stdin = spawned.child.stdin.take();
    let from = spawned.child.stdout.take().ok_or_else(missing)?;
    let stderr = spawned.child.stderr.take();
    let stderr = Some(std::thread::spawn(move || read_kept(stderr)));
    let stdout = std::io::BufReader::new(TimedReader { from, deadline: spawned.deadline });
    Ok(Running { stdin, stdout, stderr, spawned, what: call.subcommand })
}

impl Running {
    /// Writes a request. The process must read it before it answers the one before.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Result<(), GitError> {
        let what = self.what;
        let stdin = self.stdin.as_mut().ok_or(GitError::unexpected(what, b"closed"))?;
        stdin.write_all(request).and_then(|()| stdin.flush()).map_err(|_| self.failure())
    }

    /// The answers.
    pub(crate) fn answers(&mut self) -> &mut impl std::io::BufRead {
        &mut self.stdout
    }

    /// What the process says about its end; for when it broke off.
    pub(crate) fn failure(&mut self) -> GitError {
        self.stdin = None;
        let code = match self.spawned.wait() {
            Ok(code) => code,
            Err(error) => return error,
        };
        let stderr = self.stderr.take().and_then(|t| t.join().ok()).unwrap_or_default();
        GitError::Failed { what: self.what, code, stderr: escaped(&stderr) }
    }
}
