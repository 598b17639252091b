//! A user with a home, repositories and profiles, and what `midwatch` tells them. Dropped, it
//! ends the servers and runners that were started for it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use midwatch_testkit::scripted_agent;
use rustix::process::Pid;
use serde_json::Value;

pub(crate) mod claude;
pub(crate) mod socket;
pub(crate) mod terminal;

/// The longest that one command of a test takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(400);
/// Between two looks at a condition.
pub(crate) const PAUSE: Duration = Duration::from_millis(20);

/// The keys that a result line has by the contract.
pub(crate) const RESULT_KEYS: [&str; 15] = [
    "type",
    "version",
    "task",
    "state",
    "reason",
    "hint",
    "detail",
    "verified",
    "branch",
    "commit",
    "base",
    "checks",
    "rescueRef",
    "transcript",
    "usage",
];

/// A user.
pub(crate) struct House {
    root: tempfile::TempDir,
    environment: BTreeMap<String, OsString>,
}

/// What a command told.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Every JSON line, the last one aside.
    pub(crate) lines: Vec<Value>,
    /// The last line.
    pub(crate) result: Value,
}

impl House {
    /// A user who has nothing but the system's programs.
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let house = Self { root, environment: BTreeMap::new() };
        std::fs::create_dir(house.home()).unwrap();
        scripted_agent::install(&house.folder("agent")).unwrap();
        let (home, state) = (house.home(), house.state());
        house
            .with("PATH", system_path())
            .with("HOME", home)
            .with("MIDWATCH_HOME", state)
            .with("MIDWATCH_IDLE_SECONDS", "1")
    }

    /// A user with the toolchains, package clients and settings of whoever runs the tests, and
    /// none of their credentials.
    pub(crate) fn of_this_machine() -> Self {
        let mut house = Self::new();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            let secret = ["KEY", "TOKEN", "SECRET", "PASSWORD"].iter().any(|w| name.contains(w));
            if !secret && !name.starts_with("MIDWATCH_") && !name.starts_with("CARGO_PKG_") {
                house.environment.insert(name, value);
            }
        }
        // Of the process that runs the tests, not of the machine.
        for name in ["CARGO", "CARGO_MANIFEST_DIR", "RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH"] {
            house.environment.remove(name);
        }
        house
    }

    /// The user with a variable.
    pub(crate) fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// The user without a variable.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.environment.remove(name);
        self
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// The state folder.
    pub(crate) fn state(&self) -> PathBuf {
        self.root.path().join("state")
    }

    /// A folder of the test's own, made where it is not there.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.root.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// A program that the user's own package clients and git are started with.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(&self.environment).current_dir(folder).stdin(Stdio::null());
        command
    }

    /// A repository with one commit.
    pub(crate) fn repository(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let folder = self.folder(name);
        for (path, text) in files {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        self.git(&folder, &["init", "-q", "-b", "main"]);
        self.commit(&folder, "base");
        folder
    }

    /// Commits everything.
    pub(crate) fn commit(&self, repository: &Path, message: &str) {
        self.git(repository, &["add", "-A"]);
        let who = ["-c", "user.name=user", "-c", "user.email=user@localhost"];
        self.git(repository, &[&who[..], &["commit", "-q", "-m", message]].concat());
    }

    /// Runs git for the test; its stdout, without the end of the last line.
    pub(crate) fn git(&self, repository: &Path, arguments: &[&str]) -> String {
        let output = self.command("git", repository).args(arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {stderr}");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// A profile file with this spec, as YAML flow.
    pub(crate) fn profile(&self, name: &str, spec: &str) -> PathBuf {
        let path = self.folder("profiles").join(format!("{name}.yaml"));
        let head = "apiVersion: midwatch.dev/v1alpha1\nkind: AgentProfile\nmetadata: {name: ";
        std::fs::write(&path, format!("{head}{name}}}\nspec: {spec}\n")).unwrap();
        path
    }

    /// The profile of the scripted agent, with more of a spec.
    pub(crate) fn scripted(&self, more: &str) -> PathBuf {
        let program = self.root.path().join("agent/scripted-agent");
        let spec = format!(
            "{{agent: custom, program: {}, custom: {{argv: [scripted-agent]}}{more}}}",
            program.display()
        );
        self.profile("scripted", &spec)
    }

    /// `midwatch` with these arguments and JSON lines.
    pub(crate) fn midwatch(&self, folder: &Path, arguments: &[&str]) -> Told {
        let child = self.start(folder, arguments);
        told(wait(child))
    }

    /// A quick run of the scripted agent with no network.
    pub(crate) fn run(&self, repository: &Path, goal: &str, more: &[&str]) -> Told {
        let profile = self.scripted(", egress: none");
        let profile = profile.to_str().unwrap();
        let first = ["run", goal, "--profile", profile, "--pipeline", "quick"];
        self.midwatch(repository, &[&first[..], more].concat())
    }

    /// Starts `midwatch` and does not wait for it.
    pub(crate) fn start(&self, folder: &Path, arguments: &[&str]) -> Child {
        let program = env!("CARGO_BIN_EXE_midwatch");
        let mut command = self.command(program, folder);
        command.args(arguments).args(["--output", "json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Every process of ours, found by the state folder in its environment: the server, and the
    /// runners that it started.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let mark = [b"MIDWATCH_HOME=", self.state().as_os_str().as_encoded_bytes()].concat();
        let folder = self.state().into_os_string();
        let ours = |pid: &u32| {
            let read =
                |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
            holds(&read("environ"), &mark) || holds(&read("cmdline"), folder.as_encoded_bytes())
        };
        pids().into_iter().filter(|pid| *pid != std::process::id()).filter(ours).collect()
    }

    /// The server's process.
    pub(crate) fn server(&self) -> Pid {
        self.server_if_any().expect("no server")
    }

    /// The server's process, when there is one.
    pub(crate) fn server_if_any(&self) -> Option<Pid> {
        let is_server = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).nth(1) == Some(b"serve")
        };
        let found = self.processes().into_iter().find(is_server)?;
        Pid::from_raw(i32::try_from(found).unwrap())
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let ended = until(Duration::from_secs(10), || {
            let left = self.processes();
            for pid in left.iter().filter_map(|pid| i32::try_from(*pid).ok()) {
                // One that ended meanwhile is what we want.
                let pid = Pid::from_raw(pid).unwrap();
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
            left.is_empty()
        });
        let clean = ended || std::thread::panicking();
        assert!(clean, "processes of the test are still there: {:?}", self.processes());
    }
}

/// The system's folders, and node's where that is elsewhere.
fn system_path() -> String {
    let mut path = String::from("/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin");
    let system = ["/usr/local/bin", "/usr/bin"];
    if !system.iter().any(|folder| Path::new(folder).join("node").exists()) {
        let all = std::env::var_os("PATH").unwrap_or_default();
        let holder = std::env::split_paths(&all).find(|folder| folder.join("node").exists());
        if let Some(holder) = holder {
            path = format!("{}:{path}", holder.display());
        }
    }
    path
}

/// Says a figure, or why something did not run, past the harness's capture.
pub(crate) fn tell(text: &str) {
    std::io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
}

/// All processes.
pub(crate) fn pids() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Looks until the condition holds; false when the time is over.
pub(crate) fn until(limit: Duration, condition: impl FnMut() -> bool) -> bool {
    let mut condition = condition;
    let end = Instant::now() + limit;
    while !condition() {
        if Instant::now() > end {
            return false;
        }
        // polls: processes and folders have no event
        std::thread::sleep(PAUSE);
    }
    true
}

/// Waits for a command, and kills it when it takes too long.
pub(crate) fn wait(child: Child) -> Output {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    let (done, waits) = std::sync::mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        let late = waits.recv_timeout(LIMIT).is_err();
        if late {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        late
    });
    let output = child.wait_with_output().unwrap();
    let _ = done.send(());
    assert!(!watch.join().unwrap(), "took over {LIMIT:?}: {}", text(&output.stderr));
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether bytes hold others.
pub(crate) fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Files below a folder that hold a text; links are not followed.
pub(crate) fn holding(folder: &Path, text: &str) -> Vec<PathBuf> {
    let (mut open, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = open.pop() {
        // What goes meanwhile holds nothing.
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file()
                && holds(&std::fs::read(&path).unwrap_or_default(), text.as_bytes())
            {
                found.push(path);
            }
        }
    }
    found
}

/// What may turn or move a terminal's text.
pub(crate) fn misleads(c: char) -> bool {
    c != '\n' && midwatch_core::input::is_invisible(c)
}

/// Reads what a command told.
pub(crate) fn told(output: Output) -> Told {
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    let parse = |line: &str| -> Value {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}\n{stderr}"))
    };
    let mut lines: Vec<Value> = stdout.lines().map(parse).collect();
    let result = lines.pop().unwrap_or(Value::Null);
    Told { code: output.status.code(), stdout, stderr, lines, result }
}

impl Told {
    /// The lines of a type.
    pub(crate) fn of(&self, kind: &str) -> Vec<&Value> {
        self.lines.iter().filter(|line| line["type"] == kind).collect()
    }

    /// The names of the runs of a kind that were started, in order.
    pub(crate) fn runs(&self, kind: &str) -> Vec<&str> {
        let of_kind = self.of("runStarted").into_iter().filter(|line| line["kind"] == kind);
        of_kind.filter_map(|line| line["run"].as_str()).collect()
    }

    /// What was found of something, empty when nothing was said.
    pub(crate) fn found(&self, what: &str) -> &str {
        let line = self.of("found").into_iter().find(|line| line["what"] == what);
        line.and_then(|line| line["text"].as_str()).unwrap_or_default()
    }

    /// The task's name.
    pub(crate) fn task(&self) -> &str {
        self.result["task"].as_str().unwrap_or_default()
    }

    /// State, reason and exit code, which belong together.
    #[track_caller]
    pub(crate) fn is(&self, state: &str, reason: Option<&str>, code: i32) -> &Self {
        let seen = (self.result["state"].as_str(), self.result["reason"].as_str(), self.code);
        assert_eq!(seen, (Some(state), reason, Some(code)), "{}\n{}", self.result, self.stderr);
        self
    }

    /// Ended with a verified commit.
    #[track_caller]
    pub(crate) fn is_done(&self) -> &Self {
        assert_eq!(self.result["verified"], true, "{}\n{}", self.result, self.stderr);
        self.is("Done", None, 0)
    }
}
