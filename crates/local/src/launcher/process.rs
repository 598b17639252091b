//! Runner processes: started detached, known by pid and start time and boot id, waited for by
//! a descriptor that cannot mean another process.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;

use midwatch_api::order::{ORDER_FILE, Order, Work};
use midwatch_api::report::{IDENTITY_FILE, REPORT_FILE, RunnerIdentity};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

use crate::folder::{write_private, write_private_for_this_boot};
use crate::machine;

/// What the runner itself prints; almost always empty.
const RUNNER_LOG: &str = "runner.log";
/// The longest that a killed runner may take to be gone.
const DYING: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// Writes the order; from then on the run may be started. After a power loss the order of a run
/// that had not begun is written again, and one that had begun is lost; but what an agent was
/// told is wanted once more, to save its work.
pub(super) fn write_order(folder: &Path, order: &Order) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let (path, bytes) = (folder.join(ORDER_FILE), serde_json::to_vec_pretty(order)?);
    match &order.work {
        Work::Agent { .. } => write_private(&path, &bytes),
        Work::Checkout { .. } | Work::Setup { .. } | Work::Check { .. } | Work::Rescue { .. } => {
            write_private_for_this_boot(&path, &bytes)
        }
    }
}

/// Starts a runner that nothing ties to this process.
pub(super) fn start(program: &Path, folder: &Path) -> io::Result<Child> {
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.join(RUNNER_LOG))?;
    Command::new(program)
        .arg("runner")
        .arg(folder)
        .env_clear()
        .envs(std::env::var_os("MIDWATCH_UID").map(|uid| ("MIDWATCH_UID", uid)))
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // Ctrl-C in the terminal of whoever started the server is not meant for it.
        .process_group(0)
        .kill_on_drop(false)
        .spawn()
}

/// Whether the runner of a folder lives.
pub(crate) fn is_alive(folder: &Path) -> bool {
    pidfd(folder).is_some()
}

/// A runner that was killed, until it is gone.
#[derive(Debug)]
pub(crate) struct Killed(OwnedFd);

/// Kills the runner of a folder, and with it everything in its sandbox; none when it is gone.
pub(crate) fn kill(folder: &Path) -> io::Result<Option<Killed>> {
    let Some(fd) = pidfd(folder) else { return Ok(None) };
    match rustix::process::pidfd_send_signal(&fd, rustix::process::Signal::KILL) {
        Ok(()) => Ok(Some(Killed(fd))),
        // It ended meanwhile.
        Err(rustix::io::Errno::SRCH) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Killed {
    /// Waits until it is gone. Not for the thread that answers others.
    pub(crate) fn gone(self) -> io::Result<()> {
        let gone = ended(&self.0, Some(&DYING))?;
        if gone { Ok(()) } else { Err(io::ErrorKind::TimedOut.into()) }
    }
}

/// Whether a runner of this folder got as far as saying who it is.
pub(crate) fn was_started(folder: &Path) -> bool {
    folder.join(IDENTITY_FILE).exists()
}

/// The pid of a runner that ended without a report.
pub(crate) fn unreported(folder: &Path) -> Option<u32> {
    let (identity, began) = identity(folder)?;
    let ended = began == Began::InThisBoot && !folder.join(REPORT_FILE).exists();
    ended.then(|| u32::try_from(identity.pid).ok()).flatten()
}

/// When a runner that is gone had begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Began {
    /// Since the machine was started; where nobody knows, too.
    InThisBoot,
    /// Before the machine was started again.
    InAnotherBoot,
}

/// When the runner of a folder began, by what it said of itself.
pub(super) fn began(folder: &Path) -> Began {
    match identity(folder) {
        Some((_, Began::InAnotherBoot)) => Began::InAnotherBoot,
        Some((_, Began::InThisBoot)) | None => Began::InThisBoot,
    }
}

fn identity(folder: &Path) -> Option<(RunnerIdentity, Began)> {
    let bytes = fs::read(folder.join(IDENTITY_FILE)).ok()?;
    let identity: RunnerIdentity = serde_json::from_slice(&bytes).ok()?;
    let same = machine::boot_id()? == identity.boot_id;
    Some((identity, if same { Began::InThisBoot } else { Began::InAnotherBoot }))
}

/// A descriptor of the very process that wrote the identity; none when it is gone.
fn pidfd(folder: &Path) -> Option<OwnedFd> {
    let (identity, began) = identity(folder)?;
    if began == Began::InAnotherBoot {
        return None;
    }
    let fd = pidfd_open(Pid::from_raw(identity.pid)?, PidfdFlags::NONBLOCK).ok()?;
    // Looked at after the descriptor is open: whatever it means cannot change any more.
    let (state, start_time) = stat(identity.pid)?;
    (start_time == identity.start_time && state != 'Z').then_some(fd)
}

/// State and start time of a process.
fn stat(pid: i32) -> Option<(char, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = &text[text.rfind(')')? + 2..];
    let mut fields = after_name.split(' ');
    let state = fields.next()?.chars().next()?;
    // Field 22 of the whole line is the twentieth after the name.
    let start_time = fields.nth(18)?.parse().ok()?;
    Some((state, start_time))
}

/// Waits until the runner is gone; what is made of the receiver runs beside it, is told then,
/// and may finish.
pub(super) async fn wait<W: Future<Output = ()>>(
    folder: &Path,
    child: Option<Child>,
    watch: impl FnOnce(oneshot::Receiver<()>) -> W,
) -> io::Result<()> {
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = async {
        let result = match child {
            Some(mut child) => child.wait().await.map(|_| ()),
            None => match pidfd(folder) {
                Some(fd) => gone(fd)?.await.map_err(io::Error::other),
                None => Ok(()),
            },
        };
        drop(stop);
        result
    };
    let (result, ()) = tokio::join!(ended, watch(stopped));
    result
}

/// Tells when the process behind a descriptor has ended. A thread of its own, because it waits
/// for hours and must not keep the server from ending.
fn gone(fd: OwnedFd) -> io::Result<oneshot::Receiver<()>> {
    let (tell, told) = oneshot::channel();
    std::thread::Builder::new().name("adopted".into()).stack_size(64 << 10).spawn(move || {
        let _ended = ended(&fd, None);
        // Nobody waits any more when the server is ending.
        let _ = tell.send(());
    })?;
    Ok(told)
}

/// Waits until the process behind a descriptor has ended; false when that takes longer.
fn ended(fd: &OwnedFd, longest: Option<&Timespec>) -> io::Result<bool> {
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    loop {
        match poll(&mut fds, longest) {
            // A signal that was for somebody else.
            Err(rustix::io::Errno::INTR) => {}
            ended => return Ok(ended? > 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_process_of_the_identity_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        assert!(kill(folder.path()).unwrap().is_none());
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let write = |start_time| {
            let identity = RunnerIdentity { pid, start_time, boot_id: boot.trim().to_owned() };
            let bytes = serde_json::to_vec(&identity).unwrap();
            fs::write(folder.path().join(IDENTITY_FILE), bytes).unwrap();
        };
        write(1);
        assert!(kill(folder.path()).unwrap().is_none(), "another process had this pid");
        assert!(child.try_wait().unwrap().is_none());
        write(stat(pid).unwrap().1);
        kill(folder.path()).unwrap().unwrap().gone().unwrap();
        assert!(child.wait().unwrap().code().is_none());
    }
}
