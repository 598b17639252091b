//! Orders that are given, and the runners at work on them.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use midwatch_api::order::{Limits, ORDER_FILE, Order};
use midwatch_api::report::{REPORT_FILE, Report};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{PATIENCE, Persona, USER, World, program};

/// An order to be changed and then given.
pub(in crate::outside) struct Draft<'a> {
    pub(super) world: &'a World,
    /// The order.
    pub(in crate::outside) order: Order,
    /// What the runner's environment has beside its PATH.
    pub(super) variables: Vec<(&'static str, PathBuf)>,
}

impl Draft<'_> {
    /// Changes the limits.
    pub(in crate::outside) fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.order.limits);
        self
    }

    /// Changes the order.
    pub(in crate::outside) fn with(mut self, change: impl FnOnce(&mut Order)) -> Self {
        change(&mut self.order);
        self
    }

    /// Gives the runner a variable.
    pub(in crate::outside) fn variable(mut self, name: &'static str, value: &Path) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    /// Starts the runner.
    pub(in crate::outside) fn start(self) -> Started {
        let folder = self.order.folder.clone();
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(ORDER_FILE), serde_json::to_vec(&self.order).unwrap()).unwrap();
        self.world.give(&folder);
        let mut command = match self.world.persona {
            Persona::User if rustix::process::geteuid().is_root() => {
                let mut command = Command::new("setpriv");
                let uid = USER.to_string();
                command.args(["--reuid", &uid, "--regid", &uid, "--clear-groups"]).arg(program());
                command
            }
            Persona::Root | Persona::User => Command::new(program()),
        };
        command.arg("runner").arg(&folder);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").envs(self.variables);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Started { child: command.spawn().unwrap(), folder }
    }

    /// Starts the runner and waits for its report.
    pub(in crate::outside) fn report(self) -> Report {
        self.start().report()
    }

    /// As [`Draft::report`], with the run's folder.
    pub(in crate::outside) fn finish(self) -> (Report, PathBuf) {
        let folder = self.order.folder.clone();
        (self.start().report(), folder)
    }
}

/// A runner at work.
pub(in crate::outside) struct Started {
    /// The process.
    pub(in crate::outside) child: Child,
    /// The run's folder.
    pub(in crate::outside) folder: PathBuf,
}

impl Started {
    /// Waits until a condition on the files of the run's folder holds.
    pub(in crate::outside) fn until(&mut self, what: &str, holds: impl Fn(&Path) -> bool) {
        let changes = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        let which = WatchFlags::CREATE | WatchFlags::MODIFY | WatchFlags::MOVED_TO;
        inotify::add_watch(&changes, &self.folder, which).unwrap();
        let runner = pidfd(self.child.id()).unwrap();
        let began = Instant::now();
        while !holds(&self.folder) {
            let changed = wait_for([&changes, &runner], began);
            assert!(changed, "no {what} after {PATIENCE:?}");
            // What was told is looked at above.
            while rustix::io::read(&changes, &mut [0; 4096]).is_ok() {}
            assert!(
                self.child.try_wait().unwrap().is_none() || holds(&self.folder),
                "the runner ended before there was {what}: {} {}",
                read(&self.folder, REPORT_FILE),
                read(&self.folder, "stderr.log"),
            );
        }
    }

    /// Waits until the log of stdout holds a text.
    pub(in crate::outside) fn until_printed(&mut self, text: &str) {
        self.until(text, |folder| read(folder, "stdout.log").contains(text));
    }

    /// Waits for the end and reads the report.
    pub(in crate::outside) fn report(mut self) -> Report {
        // One that was waited for before has ended.
        if self.child.try_wait().unwrap().is_none()
            && !wait_for([&pidfd(self.child.id()).unwrap()], Instant::now())
        {
            let _ = self.child.kill();
            panic!("the runner hangs: {}", read(&self.folder, "events.jsonl"));
        }
        self.child.wait().unwrap();
        let bytes = fs::read(self.folder.join(REPORT_FILE)).expect("a report");
        serde_json::from_slice(&bytes).unwrap()
    }
}

/// A file of a run's folder, or nothing.
pub(in crate::outside) fn read(folder: &Path, name: &str) -> String {
    fs::read(folder.join(name))
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

/// Waits until no process has this text in its command line.
pub(in crate::outside) fn wait_gone(text: &str) {
    let began = Instant::now();
    while let Some((pid, found)) = find(text) {
        // None when it is gone by now.
        let Some(process) = pidfd(pid) else { continue };
        assert!(wait_for([&process], began), "still there: {found}");
    }
}

/// The command line of the first process with this text in it, words joined by blanks.
pub(in crate::outside) fn process(text: &str) -> Option<String> {
    find(text).map(|(_, words)| words)
}

fn find(text: &str) -> Option<(u32, String)> {
    let own = std::process::id().to_string();
    fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let words = fs::read(entry.path().join("cmdline")).ok()?;
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        let pid = name.parse().ok()?;
        (name != own && words.contains(text)).then_some((pid, words))
    })
}

/// Tells when a process has ended.
fn pidfd(pid: u32) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(i32::try_from(pid).ok()?)?, PidfdFlags::empty()).ok()
}

/// Waits until one of these tells something; false when it took too long.
fn wait_for<const N: usize>(these: [&OwnedFd; N], began: Instant) -> bool {
    let left = PATIENCE.saturating_sub(began.elapsed());
    let left = Timespec::try_from(left).unwrap();
    let mut these = these.map(|one| PollFd::new(one, PollFlags::IN));
    match poll(&mut these, Some(&left)) {
        Ok(told) => told > 0,
        // The caller looks again.
        Err(Errno::INTR) => true,
        Err(error) => panic!("{error}"),
    }
}
