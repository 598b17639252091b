//! Starting a sandbox, and what can be done to a running one.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{MemfdFlags, OFlags, fcntl_setfl, memfd_create};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use thiserror::Error;

use crate::bubblewrap::{self, Descriptors, Staged, System};
use crate::etc;
use crate::hidden::{self, Blanks};
use crate::init::InitArgs;
use crate::layer::Layer;
use crate::overlay::{self, OverlayError, Written};
use crate::policy::{INSIDE_EXE, Mount, Policy, PolicyError};
use crate::prelude::{Entered, PreludeError};
use crate::seccomp;
use crate::status::{self, Exit, Status};

/// Why no sandbox came up.
#[derive(Debug, Error)]
pub enum SpawnError {
    /// Our mistake.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Its place is not there, or a link leads to it.
    #[error("{0:?} cannot be guarded: a link is in the way, or nothing is there")]
    Guard(PathBuf),
    /// No bubblewrap.
    #[error("bubblewrap is not installed (apt install bubblewrap)")]
    NoBubblewrap,
    /// Our mistake.
    #[error("the system call filter does not compile: {0}")]
    Filter(#[from] seccompiler::BackendError),
    /// The caller falls back to a copy, and says so.
    #[error(transparent)]
    Overlay(#[from] OverlayError),
    /// No place to mount on.
    #[error(transparent)]
    Stage(#[from] PreludeError),
    /// Pipes, descriptors, processes.
    #[error("starting a sandbox: {0}")]
    Io(#[from] io::Error),
    /// Bubblewrap ended before there was a sandbox.
    #[error("bubblewrap failed: {0}")]
    Bubblewrap(String),
    /// Somebody killed bubblewrap before there was a sandbox: a person, or the kernel for memory.
    #[error("bubblewrap was killed before there was a sandbox ({0})")]
    Killed(ExitStatus),
}

impl SpawnError {
    /// Whether the next try may come up with nothing changed: it says nothing of the machine's
    /// layers.
    pub fn passes(&self) -> bool {
        match self {
            Self::Killed(_) => true,
            // Too many processes or files, no memory; a group that a sweep removed under us.
            Self::Io(error) => {
                [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE, Errno::NODEV]
                    .iter()
                    .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
            }
            Self::Policy(_)
            | Self::Guard(_)
            | Self::NoBubblewrap
            | Self::Filter(_)
            | Self::Overlay(_)
            | Self::Stage(_)
            | Self::Bubblewrap(_) => false,
        }
    }
}

/// What the command has as stdin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdin {
    /// Nothing to read.
    Null,
    /// A pipe, see [`Running::stdin`].
    Pipe,
}

/// A sandbox that was started. Dropping it kills it.
///
/// stdout and stderr are pipes, never files: code inside can truncate a file that it has as
/// stdout, and so rewrite its own log.
#[derive(Debug)]
pub struct Running {
    /// The end to write to, where asked for. Drop it to close.
    pub stdin: Option<OwnedFd>,
    /// The end to read from.
    pub stdout: Option<OwnedFd>,
    /// The end to read from. Bubblewrap complains here too.
    pub stderr: Option<OwnedFd>,
    child: Child,
    status_fd: OwnedFd,
    status: Status,
    /// None where it had ended before we could look.
    init: Option<OwnedFd>,
    init_pid: u32,
    exit: Option<Exit>,
}

/// Starts `command` in a sandbox of its own. The calling thread becomes bubblewrap's parent,
/// and the sandbox dies with it.
pub fn spawn(
    entered: &mut Entered,
    policy: &Policy,
    command: &[OsString],
    stdin: Stdin,
) -> Result<Running, SpawnError> {
    policy.check()?;
    let program = bubblewrap::program().ok_or(SpawnError::NoBubblewrap)?;
    let policy = on_this_host(entered, policy)?;

    let (status_fd, status_write) = pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from)?;
    let seccomp = if entered.layers.has(Layer::Seccomp) {
        Some(sealed("seccomp", &seccomp::filter()?)?)
    } else {
        None
    };
    let etc = entered.stage.place(true)?;
    etc::build(&etc, &policy)?;
    let blanks = Blanks::make(&entered.stage.place(true)?)?;
    let staged = Staged { exe: entered.stage.exe(), etc, hidden: hidden::find(&policy, &blanks) };
    let descriptors = Descriptors {
        status: status_write.as_raw_fd(),
        seccomp: seccomp.as_ref().map(std::os::fd::AsRawFd::as_raw_fd),
    };
    let options = bubblewrap::argv(&policy, &System::of_this_host(), &staged, &descriptors);
    let mut words = Vec::new();
    for option in &options {
        words.extend(option.as_bytes());
        words.push(0);
    }
    let words = sealed("args", &words)?;
    let init = InitArgs {
        landlock: entered.layers.has(Layer::Landlock),
        writable: policy.writable(),
        command: command.to_vec(),
    };

    let mut bwrap = Command::new(program);
    bwrap.arg("--args").arg(words.as_raw_fd().to_string()).arg("--").arg(INSIDE_EXE).arg("init");
    bwrap.args(init.to_argv()).env_clear();
    bwrap.stdout(Stdio::piped()).stderr(Stdio::piped());
    bwrap.stdin(match stdin {
        Stdin::Null => Stdio::null(),
        Stdin::Pipe => Stdio::piped(),
    });
    let mut kept = vec![words.as_raw_fd(), descriptors.status];
    kept.extend(descriptors.seccomp);
    let joins: Vec<RawFd> =
        entered.meter.joins().iter().map(std::os::fd::AsRawFd::as_raw_fd).collect();
    let parent = rustix::process::getpid();
    #[expect(unsafe_code, reason = "work between fork and exec")]
    // SAFETY: only system calls on memory that was allocated before the fork.
    unsafe {
        bwrap.pre_exec(move || before_exec(parent, &kept, &joins));
    }
    let mut child = bwrap.spawn()?;
    drop((status_write, words, seccomp));

    let mut status = Status::default();
    let mut reader = File::from(status_fd);
    while status.child_pid.is_none() {
        let mut bytes = [0; 512];
        match reader.read(&mut bytes)? {
            0 => break,
            count => status.feed(&bytes[..count]),
        }
    }
    let Some(init_pid) = status.child_pid else {
        let mut said = Vec::new();
        if let Some(stderr) = child.stderr.take() {
            let _ = stderr.take(4096).read_to_end(&mut said);
        }
        // It closed its end, as it does when it ends; one that goes on is of no use.
        let _ = child.kill();
        let ended = child.wait()?;
        if ended.signal() == Some(Signal::KILL.as_raw()) {
            return Err(SpawnError::Killed(ended));
        }
        let said = String::from_utf8_lossy(&said);
        return Err(SpawnError::Bubblewrap(format!("{} ({ended})", said.trim().escape_debug())));
    };
    let init = open_init(init_pid, child.id())?;
    entered.meter.attach(init_pid);
    fcntl_setfl(&reader, OFlags::NONBLOCK).map_err(io::Error::from)?;
    Ok(Running {
        stdin: child.stdin.take().map(OwnedFd::from),
        stdout: child.stdout.take().map(OwnedFd::from),
        stderr: child.stderr.take().map(OwnedFd::from),
        child,
        status_fd: reader.into(),
        status,
        init,
        init_pid,
        exit: None,
    })
}

/// A handle on init, or none where it has ended already: a busy machine may not let us run
/// before a short command is over. Its number may then be another's.
fn open_init(init_pid: u32, bubblewrap_pid: u32) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = i32::try_from(init_pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
    let fd = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(fd) => fd,
        Err(rustix::io::Errno::SRCH) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // Bubblewrap has one child, and is ours and not waited for: neither number can be reused.
    let parent = std::fs::read_to_string(format!("/proc/{init_pid}/stat"))
        .ok()
        .and_then(|stat| stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<u32>().ok());
    Ok((parent == Some(bubblewrap_pid)).then_some(fd))
}

/// The policy in paths of this mount namespace, with its overlays mounted.
fn on_this_host(entered: &mut Entered, policy: &Policy) -> Result<Policy, SpawnError> {
    let mut policy = policy.clone();
    for mount in &mut policy.mounts {
        match mount {
            Mount::Bind { source, .. } | Mount::Guard { source, .. } => {
                *source = entered.stage.resolve(source);
            }
            Mount::Overlay { lowers, upper, work, target } => {
                let lowers: Vec<_> =
                    lowers.iter().map(|lower| entered.stage.resolve(lower)).collect();
                let (upper, work) = (entered.stage.resolve(upper), entered.stage.resolve(work));
                let source = entered.stage.place(true)?;
                overlay::mount(&lowers, &upper, &work, &source, Written::Kept)?;
                *mount = Mount::Bind { source, target: target.clone(), writable: true };
            }
            Mount::Tmpfs { .. } | Mount::Dir { .. } | Mount::Symlink { .. } => {}
        }
    }
    check_guards(&policy)?;
    Ok(policy)
}

/// A guard lies in a folder that code inside may write. Nothing runs there now, but what ran
/// before may have left a link, and bubblewrap would follow it.
fn check_guards(policy: &Policy) -> Result<(), SpawnError> {
    for (index, guard) in policy.mounts.iter().enumerate() {
        let Mount::Guard { target, .. } = guard else {
            continue;
        };
        let below = policy.mounts[..index].iter().rev().find_map(|outer| match outer {
            Mount::Bind { source, target: at, .. } => {
                target.strip_prefix(at).ok().map(|rest| (source, rest))
            }
            Mount::Guard { .. }
            | Mount::Tmpfs { .. }
            | Mount::Overlay { .. }
            | Mount::Dir { .. }
            | Mount::Symlink { .. } => None,
        });
        let Some((source, rest)) = below else {
            return Err(SpawnError::Guard(target.clone()));
        };
        let mut at = source.clone();
        for part in rest.components() {
            at.push(part);
            let link = std::fs::symlink_metadata(&at).map(|meta| meta.is_symlink());
            if !matches!(link, Ok(false)) {
                return Err(SpawnError::Guard(target.clone()));
            }
        }
    }
    Ok(())
}

/// A file in memory, at its start, that bubblewrap reads to its end.
fn sealed(name: &str, bytes: &[u8]) -> io::Result<File> {
    let name = CString::new(name)?;
    let mut file = File::from(memfd_create(&name, MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

/// In the child: dies with us, is counted, and has no descriptor but those it needs.
fn before_exec(parent: Pid, kept: &[RawFd], joins: &[RawFd]) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() != Some(parent) {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    #[expect(unsafe_code, reason = "numbers of descriptors that the parent holds open")]
    // SAFETY: the parent waits for our exec before it drops any of them.
    let borrow = |fd: RawFd| unsafe { BorrowedFd::borrow_raw(fd) };
    for fd in joins {
        rustix::io::write(borrow(*fd), b"0")?;
    }
    #[expect(unsafe_code, reason = "close_range has no wrapper")]
    // SAFETY: marks descriptors, closes none.
    let marked =
        unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if marked != 0 {
        // Since Linux 5.11, and so are overlays for users.
        return Err(io::Error::last_os_error());
    }
    for fd in kept {
        fcntl_setfd(borrow(*fd), FdFlags::empty())?;
    }
    Ok(())
}

impl Running {
    /// The sandbox's pid 1, as seen from here.
    pub const fn init_pid(&self) -> u32 {
        self.init_pid
    }

    /// Bubblewrap itself, our child.
    pub fn bubblewrap_pid(&self) -> u32 {
        self.child.id()
    }

    /// Becomes readable when [`Running::try_exit`] has something to do. To be polled.
    pub fn status_fd(&self) -> BorrowedFd<'_> {
        self.status_fd.as_fd()
    }

    /// Hands a signal to init, which passes it to the command's process group. SIGTERM to
    /// bubblewrap would never reach the command.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let Some(init) = &self.init else { return Ok(()) };
        match pidfd_send_signal(init, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Kills init and with it, by the kernel, everything in the sandbox.
    pub fn kill(&self) -> io::Result<()> {
        self.signal(Signal::KILL)
    }

    /// How it ended, once it has. Never blocks.
    pub fn try_exit(&mut self) -> io::Result<Option<Exit>> {
        if self.exit.is_some() {
            return Ok(self.exit);
        }
        let mut bytes = [0; 512];
        loop {
            match rustix::io::read(&self.status_fd, &mut bytes) {
                Ok(0) => {
                    status::reap(&mut self.child);
                    self.exit = Some(self.status.exit());
                    return Ok(self.exit);
                }
                Ok(count) => self.status.feed(&bytes[..count]),
                Err(rustix::io::Errno::AGAIN) => return Ok(None),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until it has ended. Nobody reads its output meanwhile: for commands that say
    /// little, or when both ends were handed to someone else.
    pub fn wait(&mut self) -> io::Result<Exit> {
        loop {
            if let Some(exit) = self.try_exit()? {
                return Ok(exit);
            }
            let mut fds = [PollFd::new(&self.status_fd, PollFlags::IN)];
            match poll(&mut fds, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.exit.is_none() {
            let _ = self.kill();
            let _ = self.child.kill();
            status::reap(&mut self.child);
        }
    }
}
