//! Orders that are given, and the runners at work on them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use midwatch_api::order::{Limits, ORDER_FILE, Order};
use midwatch_api::report::{REPORT_FILE, Report};

use super::{PATIENCE, Persona, USER, World, program};

/// An order to be changed and then given.
pub(in crate::outside) struct Draft<'a> {
    pub(super) world: &'a World,
    /// The order.
    pub(in crate::outside) order: Order,
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
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
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
    /// Waits until a condition holds.
    pub(in crate::outside) fn until(&mut self, what: &str, holds: impl Fn(&Path) -> bool) {
        let began = Instant::now();
        while !holds(&self.folder) {
            assert!(began.elapsed() < PATIENCE, "no {what} after {PATIENCE:?}");
            assert!(
                self.child.try_wait().unwrap().is_none(),
                "the runner ended before there was {what}: {} {}",
                read(&self.folder, REPORT_FILE),
                read(&self.folder, "stderr.log"),
            );
            std::thread::sleep(Duration::from_millis(20)); // polls: another process tells nobody
        }
    }

    /// Waits until the log of stdout holds a text.
    pub(in crate::outside) fn until_printed(&mut self, text: &str) {
        self.until(text, |folder| read(folder, "stdout.log").contains(text));
    }

    /// Waits for the end and reads the report.
    pub(in crate::outside) fn report(mut self) -> Report {
        let began = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            if began.elapsed() > PATIENCE {
                let _ = self.child.kill();
                panic!("the runner hangs: {}", read(&self.folder, "events.jsonl"));
            }
            std::thread::sleep(Duration::from_millis(10)); // polls: another process tells nobody
        }
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
    while let Some(found) = process(text) {
        assert!(began.elapsed() < PATIENCE, "still there: {found}");
        std::thread::sleep(Duration::from_millis(20)); // polls: another process tells nobody
    }
}

/// The first process with this text in its command line, words joined by blanks.
pub(in crate::outside) fn process(text: &str) -> Option<String> {
    let own = std::process::id().to_string();
    fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let words = fs::read(entry.path().join("cmdline")).ok()?;
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        (name != own && name.parse::<u32>().is_ok() && words.contains(text)).then_some(words)
    })
}
