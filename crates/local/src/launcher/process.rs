//! Runner processes: started detached, known by pid and start time and boot id, waited for by
//! a descriptor that cannot mean another process.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use midwatch_api::order::{ORDER_FILE, Order, Work};
use midwatch_api::report::{IDENTITY_FILE, REPORT_FILE, RunnerIdentity};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

use crate::folder::{write_private, write_private_for_this_boot};
use crate::machine;

/// Between two looks at a runner of which nothing can be known.
const TRY: Duration = Duration::from_secs(1);
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

/// Whether the runner of a folder lives. An error says that this cannot be known now.
pub(crate) fn is_alive(folder: &Path) -> io::Result<bool> {
    pidfd(folder).map(|fd| fd.is_some())
}

/// The same, once it can be known: whoever took a living runner for a dead one would take its
/// workspace away from under it.
pub(super) async fn lives(folder: &Path) -> bool {
    loop {
        match is_alive(folder) {
            Ok(alive) => return alive,
            Err(error) => unknown(folder, &error).await,
        }
    }
}

/// Nobody tells when descriptors or memory are there again.
async fn unknown(folder: &Path, error: &io::Error) {
    tracing::warn!(folder = %folder.display(), %error, "run.unknown: whether its runner lives");
    tokio::time::sleep(TRY).await;
}

/// A runner that was killed, until it is gone.
#[derive(Debug)]
pub(crate) struct Killed(OwnedFd);

/// Kills the runner of a folder, and with it everything in its sandbox; none when it is gone.
pub(crate) fn kill(folder: &Path) -> io::Result<Option<Killed>> {
    let Some(fd) = pidfd(folder)? else { return Ok(None) };
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
    let (identity, began) = identity(folder).ok().flatten()?;
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
        Ok(Some((_, Began::InAnotherBoot))) => Began::InAnotherBoot,
        Ok(Some((_, Began::InThisBoot)) | None) | Err(_) => Began::InThisBoot,
    }
}

/// None where no runner said who it is, or not in words of ours.
fn identity(folder: &Path) -> io::Result<Option<(RunnerIdentity, Began)>> {
    let Some(bytes) = there(fs::read(folder.join(IDENTITY_FILE)))? else { return Ok(None) };
    let Ok(identity) = serde_json::from_slice::<RunnerIdentity>(&bytes) else { return Ok(None) };
    let same = machine::boot_id()? == identity.boot_id;
    Ok(Some((identity, if same { Began::InThisBoot } else { Began::InAnotherBoot })))
}

/// A descriptor of the very process that wrote the identity; none when it is gone.
fn pidfd(folder: &Path) -> io::Result<Option<OwnedFd>> {
    let Some((identity, Began::InThisBoot)) = identity(folder)? else { return Ok(None) };
    let Some(pid) = Pid::from_raw(identity.pid) else { return Ok(None) };
    let opened = pidfd_open(pid, PidfdFlags::NONBLOCK).map_err(io::Error::from);
    let Some(fd) = there(opened)? else { return Ok(None) };
    // Looked at after the descriptor is open: whatever it means cannot change any more.
    let text = there(fs::read_to_string(format!("/proc/{}/stat", identity.pid)))?;
    let same = text
        .as_deref()
        .and_then(stat)
        .is_some_and(|(state, start_time)| start_time == identity.start_time && state != 'Z');
    Ok(same.then_some(fd))
}

/// None for a file or a process that is not there (any more), or that cannot be one.
fn there<T>(looked: io::Result<T>) -> io::Result<Option<T>> {
    let gone = [Errno::NOENT, Errno::SRCH, Errno::INVAL].map(|errno| Some(errno.raw_os_error()));
    match looked {
        Ok(found) => Ok(Some(found)),
        Err(error) if gone.contains(&error.raw_os_error()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// State and start time of a process, from its line in /proc.
fn stat(text: &str) -> Option<(char, u64)> {
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
        let result = if let Some(mut child) = child {
            child.wait().await.map(|_| ())
        } else {
            adopted(folder).await;
            Ok(())
        };
        drop(stop);
        result
    };
    let (result, ()) = tokio::join!(ended, watch(stopped));
    result
}

/// Waits until a runner that another server started is gone.
async fn adopted(folder: &Path) {
    loop {
        let waited = match pidfd(folder) {
            Ok(None) => return,
            Ok(Some(fd)) => gone(fd),
            Err(error) => Err(error),
        };
        match waited {
            // Told, or the thread is gone: looked at once more either way.
            Ok(told) => drop(told.await),
            Err(error) => unknown(folder, &error).await,
        }
    }
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
        let line = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        write(stat(&line).unwrap().1);
        kill(folder.path()).unwrap().unwrap().gone().unwrap();
        assert!(child.wait().unwrap().code().is_none());
        assert!(!is_alive(folder.path()).unwrap());
    }

    /// Taken for gone, it would be saved and removed while it works.
    #[test]
    fn what_cannot_be_looked_at_is_not_taken_for_gone() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_alive(folder.path()).unwrap(), "nobody was ever there");
        fs::create_dir(folder.path().join(IDENTITY_FILE)).unwrap();
        assert!(is_alive(folder.path()).is_err());
        assert!(kill(folder.path()).is_err());
    }
}
