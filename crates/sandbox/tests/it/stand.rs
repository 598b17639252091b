//! A place to try sandboxes in: folders, identities, and the `sandbox-try` program.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use midwatch_sandbox::cgroup::Limits;
use midwatch_sandbox::policy::{Mount, Policy};
use midwatch_sandbox::prelude::SERVICE_UID;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A uid that nobody has, for the ordinary user when we are root.
const USER_UID: u32 = 61998;

/// Who starts a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Starter {
    Root,
    User,
}

impl Starter {
    /// Those that can be tried here.
    pub(crate) fn all() -> Vec<Self> {
        if rustix::process::geteuid().is_root() {
            vec![Self::Root, Self::User]
        } else {
            note("NOT RUN: started as root (these tests are not run by root)");
            vec![Self::User]
        }
    }

    /// The kernel's uid of what runs inside.
    pub(crate) fn kernel_uid(self) -> u32 {
        match self {
            Self::Root => SERVICE_UID,
            Self::User if rustix::process::geteuid().is_root() => USER_UID,
            Self::User => rustix::process::geteuid().as_raw(),
        }
    }

    /// The words to put before a program to start it as this one.
    pub(crate) fn prefix(self) -> Vec<String> {
        match self {
            Self::Root => Vec::new(),
            Self::User => self.inside_prefix(),
        }
    }

    /// The words to put before a program to run it as the kernel's uid of the inside.
    pub(crate) fn inside_prefix(self) -> Vec<String> {
        if !rustix::process::geteuid().is_root() {
            return Vec::new();
        }
        let uid = self.kernel_uid().to_string();
        let words = ["setpriv", "--reuid", &uid, "--regid", &uid, "--clear-groups", "--"];
        words.map(ToOwned::to_owned).to_vec()
    }
}

/// Says something past the test harness, which swallows what passing tests print.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Folders for one starter, readable by it wherever the repository is.
pub(crate) struct Stand {
    pub(crate) starter: Starter,
    dir: TempDir,
}

/// How a trial ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<u8>,
    pub(crate) timed_out: bool,
    pub(crate) over: Option<String>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) oom_kills: u64,
    pub(crate) mode: String,
}

/// A trial to be run. The command is a shell script.
pub(crate) struct Trial {
    pub(crate) policy: Policy,
    pub(crate) command: Vec<String>,
    pub(crate) expose: Vec<PathBuf>,
    pub(crate) limits: Limits,
    pub(crate) without: Vec<&'static str>,
    pub(crate) timeout: Duration,
    pub(crate) term_on: Option<&'static str>,
}

impl Trial {
    pub(crate) fn of(command: &[&str]) -> Self {
        Self {
            policy: Policy::bare(),
            command: command.iter().map(|&word| word.to_owned()).collect(),
            expose: Vec::new(),
            limits: Limits { memory_bytes: Some(2 << 30), pids: Some(512) },
            without: Vec::new(),
            timeout: Duration::from_mins(1),
            term_on: None,
        }
    }

    pub(crate) fn shell(script: &str) -> Self {
        Self::of(&["sh", "-c", script])
    }

    pub(crate) fn with(mut self, mount: Mount) -> Self {
        self.policy.mounts.push(mount);
        self
    }
}

static STANDS: AtomicU32 = AtomicU32::new(0);

impl Stand {
    pub(crate) fn new(starter: Starter) -> Self {
        STANDS.fetch_add(1, Ordering::Relaxed);
        let dir = tempfile::Builder::new().prefix("midwatch-sandbox-").tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        // The build folder may be below a home that the user may not enter.
        // Not by ourselves: another thread's child would hold it open for writing, and then it
        // cannot be run.
        let copied = Command::new("cp")
            .arg(env!("CARGO_BIN_EXE_sandbox-try"))
            .arg(dir.path().join("try"))
            .status();
        assert!(copied.unwrap().success());
        let stand = Self { starter, dir };
        stand.folder("stage");
        stand
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A folder that belongs to the uid of the inside.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        self.give(&path);
        path
    }

    /// A file that belongs to the uid of the inside.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        self.give(&path);
        path
    }

    fn give(&self, path: &Path) {
        if rustix::process::geteuid().is_root() {
            let uid = self.starter.kernel_uid();
            std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
        }
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.path("try")
    }

    /// What `sandbox-try probe` says to this starter.
    pub(crate) fn probe(&self) -> String {
        let mut words = self.starter.prefix();
        words.push(self.program().display().to_string());
        let output = Command::new(&words[0])
            .args(&words[1..])
            .arg("probe")
            .env("TMPDIR", self.path("stage"))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts a trial, after `before`, which may be words such as `nsenter`.
    pub(crate) fn start(&self, trial: &Trial, before: &[String]) -> Attempt {
        let mut words = before.to_vec();
        words.extend(self.starter.prefix());
        words.push(self.program().display().to_string());
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let order = json!({
            "policy": trial.policy,
            "command": trial.command,
            "stage": self.path("stage"),
            "expose": trial.expose,
            "limits": trial.limits,
            "without": trial.without,
            "timeoutMs": u64::try_from(trial.timeout.as_millis()).unwrap(),
            "termOn": trial.term_on,
        });
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(order.to_string().as_bytes()).unwrap();
        drop(stdin);
        let lines = BufReader::new(child.stdout.take().unwrap());
        Attempt { child, lines }
    }

    pub(crate) fn run(&self, trial: &Trial) -> Ended {
        self.start(trial, &[]).ended()
    }
}

/// A trial that runs.
pub(crate) struct Attempt {
    pub(crate) child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Attempt {
    /// The next line of `sandbox-try`.
    pub(crate) fn line(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
    }

    pub(crate) fn ended(mut self) -> Ended {
        let started = self.line();
        assert_eq!(started["event"], "started", "{started}");
        let line = self.line();
        assert_eq!(line["event"], "ended", "{line}");
        let _ = self.child.wait();
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        Ended {
            code: line["code"].as_u64().and_then(|code| u8::try_from(code).ok()),
            timed_out: line["timedOut"].as_bool().unwrap(),
            over: line["over"].as_str().map(ToOwned::to_owned),
            stdout: text("stdout"),
            stderr: text("stderr"),
            oom_kills: line["oomKills"].as_u64().unwrap(),
            mode: started["mode"].as_str().unwrap().to_owned(),
        }
    }
}

/// Waits for a condition of the world, up to ten seconds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "not in ten seconds: {what}");
        std::thread::yield_now();
    }
}

pub(crate) fn bind(source: &Path, target: &str, writable: bool) -> Mount {
    Mount::Bind { source: source.to_owned(), target: target.into(), writable }
}
