//! Drives a real CLI by its adapter against a model server, without Midwatch's sandbox.
//!
//! The CLI sees `/home/agent` and `/workspace` and an ordinary uid: claude-code refuses to
//! work unattended as root, codex below /tmp, and recordings must not name this machine.
//! A plain bubblewrap makes that place; its pid namespace also takes every child with it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use midwatch_agents::{Ending, Line, Lines, Stream, adapter};
use midwatch_core::agent::{
    AgentCommand, AgentEvent, AgentKind, AgentOrder, AgentOutcome, CredentialKind, Session, Usage,
};
use midwatch_testkit::agent_clis::Cli;
use rustix::process::{Pid, Signal, kill_process};

/// What the CLI is given instead of a credential.
pub(crate) const RUN_TOKEN: &str = "mwr_0123456789abcdef";
/// Where the CLI is seen.
const INSTALLED: &str = "/opt/agents/node_modules";
/// A session id of ours.
pub(crate) const SESSION: &str = "11111111-2222-4333-8444-555555555555";

/// A home and a workspace that outlive single runs.
pub(crate) struct Place {
    cli: Cli,
    modules: PathBuf,
    folder: tempfile::TempDir,
    /// Environment on top of the adapter's, for shorter waits.
    pub(crate) extra: Vec<(&'static str, &'static str)>,
    /// Text that comes after what the adapter writes into a file of the home.
    pub(crate) appended: Option<(&'static str, &'static str)>,
    /// Takes something out of what the adapter makes, for the control of a defence.
    pub(crate) without: Option<fn(&mut AgentCommand)>,
    /// HOME cannot be written, as in a badly built sandbox.
    pub(crate) home_read_only: bool,
}

impl Place {
    /// A new place, or why this machine cannot have one.
    pub(crate) fn new(cli: Cli) -> Result<Self, String> {
        let modules = cli.modules()?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        for name in ["home", "workspace", "etc"] {
            std::fs::create_dir(folder.path().join(name)).map_err(|error| error.to_string())?;
        }
        let etc = [
            ("passwd", "agent:x:1000:1000::/home/agent:/bin/sh\n"),
            ("group", "agent:x:1000:\n"),
            ("hosts", "127.0.0.1 localhost\n"),
        ];
        for (name, text) in etc {
            std::fs::write(folder.path().join("etc").join(name), text)
                .map_err(|error| error.to_string())?;
        }
        if cli == Cli::Aider {
            // It would make a repository of a folder that is none.
            let workspace = folder.path().join("workspace");
            let mut git = Command::new("git");
            let done = git.args(["init", "--quiet"]).current_dir(workspace).status();
            done.map_err(|error| format!("git: {error}"))?;
        }
        let place = Self {
            cli,
            modules,
            folder,
            extra: Vec::new(),
            appended: None,
            without: None,
            home_read_only: false,
        };
        let probe = place.wrapped(&["true".to_owned()]).output();
        match probe {
            Ok(output) if output.status.success() => Ok(place),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(format!("bwrap: {error}")),
        }
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.folder.path().join("workspace")
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// A command in this place.
    pub(crate) fn wrapped(&self, argv: &[String]) -> Command {
        let mut command = Command::new("bwrap");
        let path = |name: &str| self.folder.path().join(name);
        command.args(["--unshare-user", "--unshare-pid", "--uid", "1000", "--gid", "1000"]);
        command.args(["--die-with-parent", "--clearenv", "--ro-bind", "/usr", "/usr"]);
        for (link, at) in [
            ("usr/bin", "/bin"),
            ("usr/lib", "/lib"),
            ("usr/lib64", "/lib64"),
            ("usr/sbin", "/sbin"),
        ] {
            command.args(["--symlink", link, at]);
        }
        command.args(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--ro-bind"]);
        command.arg(path("etc")).arg("/etc");
        command.arg("--ro-bind").arg(&self.modules).arg(INSTALLED);
        command.arg(if self.home_read_only { "--ro-bind" } else { "--bind" });
        command.arg(path("home")).arg("/home/agent");
        command.arg("--bind").arg(path("workspace")).args(["/workspace", "--chdir", "/workspace"]);
        let mut search = "/usr/local/bin:/usr/bin:/bin".to_owned();
        if let Some(node) = node_outside_usr() {
            command.arg("--ro-bind").arg(node).arg("/opt/node");
            search = format!("/opt/node/bin:{search}");
        }
        for (name, value) in
            [("PATH", search.as_str()), ("HOME", "/home/agent"), ("TZ", "UTC"), ("LANG", "C.UTF-8")]
        {
            command.args(["--setenv", name, value]);
        }
        command.arg("--").args(argv);
        command
    }

    /// An order for this place.
    pub(crate) fn order(&self, gateway: &str, prompt: &str) -> AgentOrder {
        let (kind, model, credential) = match self.cli {
            Cli::ClaudeCode => {
                (AgentKind::ClaudeCode, "claude-sonnet-4-5", CredentialKind::AnthropicKey)
            }
            Cli::Codex => (AgentKind::Codex, "gpt-5", CredentialKind::OpenAiKey),
            Cli::OpenCode => (AgentKind::OpenCode, "gpt-5", CredentialKind::OpenAiKey),
            Cli::GeminiCli => (AgentKind::GeminiCli, "gemini-2.5-pro", CredentialKind::GeminiKey),
            Cli::QwenCode => (AgentKind::QwenCode, "qwen3-coder", CredentialKind::OpenAiKey),
            Cli::Aider => (AgentKind::Aider, "gpt-5", CredentialKind::OpenAiKey),
        };
        AgentOrder {
            kind,
            program: format!("{INSTALLED}/{}/{}", self.cli.programs(), self.cli.program()).into(),
            model: Some(model.to_owned()),
            prompt: prompt.to_owned(),
            preamble: "preamble-canary: nobody watches; end when you are done.".to_owned(),
            session: Session::Fresh { id: SESSION.to_owned() },
            read_only: false,
            max_turns: None,
            max_cost_cents: None,
            credential,
            run_token: RUN_TOKEN.to_owned(),
            gateway: gateway.to_owned(),
            home: "/home/agent".into(),
            workspace: "/workspace".into(),
            custom: None,
        }
    }

    /// Starts the CLI.
    pub(crate) fn start(&self, order: &AgentOrder, earlier: Usage) -> Running {
        let adapter = adapter(order.kind);
        let mut made = adapter.command(order).unwrap();
        if let Some(without) = self.without {
            without(&mut made);
        }
        for (path, text) in &made.files {
            let path = self.outside(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        if let Some((path, text)) = self.appended {
            let path = self.home().join(path);
            let before = std::fs::read_to_string(&path).unwrap();
            std::fs::write(path, before + text).unwrap();
        }
        let mut child = self
            .wrapped(&self.with_env(&made.env, made.argv))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A CLI that refuses to start does not read it.
        let _ = stdin.write_all(made.stdin.as_bytes());
        drop(stdin);
        let (sender, lines) = channel();
        let mut stdout = child.stdout.take().unwrap();
        let out = sender.clone();
        std::thread::spawn(move || {
            let (mut splitter, mut buffer) = (Lines::default(), [0; 8192]);
            while let Ok(count) = stdout.read(&mut buffer) {
                if count == 0 {
                    break;
                }
                for line in splitter.push(&buffer[..count]) {
                    let _ = out.send(Output::Stdout(line));
                }
            }
            if let Some(line) = splitter.finish() {
                let _ = out.send(Output::Stdout(line));
            }
        });
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.split(b'\n').map_while(Result::ok) {
                let _ = sender.send(Output::Stderr(line));
            }
        });
        Running {
            child,
            lines,
            stream: adapter.stream(order, earlier),
            started: Instant::now(),
            events: Vec::new(),
            stdout: Vec::new(),
            stderr: Vec::new(),
            stopped_by_us: false,
        }
    }

    /// env(1), so that the arguments of bwrap stay the same for every run.
    pub(crate) fn with_env(
        &self,
        env: &BTreeMap<String, String>,
        argv: Vec<String>,
    ) -> Vec<String> {
        let extra = self.extra.iter().map(|(name, value)| format!("{name}={value}"));
        let env = env.iter().map(|(name, value)| format!("{name}={value}")).chain(extra);
        ["/usr/bin/env".to_owned()].into_iter().chain(env).chain(argv).collect()
    }

    /// Runs it to its end, or stops it after `limit`.
    pub(crate) fn run(&self, order: &AgentOrder, limit: Duration) -> Finished {
        self.start(order, Usage::default()).finish(limit)
    }

    fn outside(&self, path: &Path) -> PathBuf {
        self.home().join(path.strip_prefix("/home/agent").unwrap())
    }
}

/// Where node is, when it is not below /usr, which every place has.
fn node_outside_usr() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let node =
        std::env::split_paths(&path).map(|folder| folder.join("node")).find(|it| it.exists())?;
    let prefix = node.canonicalize().ok()?.parent()?.parent()?.to_owned();
    (!prefix.starts_with("/usr")).then_some(prefix)
}

enum Output {
    Stdout(Line),
    Stderr(Vec<u8>),
}

/// A CLI at work.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<Output>,
    stream: Box<dyn Stream>,
    started: Instant,
    pub(crate) events: Vec<AgentEvent>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    stopped_by_us: bool,
}

impl Running {
    /// Reads until a file is there. `false` when the stream or the time is over before.
    pub(crate) fn until_file(&mut self, limit: Duration, path: &Path) -> bool {
        let end = Instant::now() + limit;
        while !path.exists() {
            let step = Duration::from_millis(50);
            match self.lines.recv_timeout(step) {
                Ok(output) => self.take(output),
                Err(RecvTimeoutError::Timeout) if Instant::now() < end => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
            }
        }
        true
    }

    /// Takes one line. `false` at the end of the stream or of the time.
    fn read(&mut self, end: Instant) -> bool {
        let left = end.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok(output) => self.take(output),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
        }
        true
    }

    fn take(&mut self, output: Output) {
        match output {
            Output::Stdout(Line::Whole(line)) => {
                self.stdout.extend_from_slice(&line);
                self.stdout.push(b'\n');
                self.events.extend(self.stream.line(&line));
            }
            Output::Stdout(Line::TooLong(_)) => self.events.push(AgentEvent::Malformed),
            Output::Stderr(line) => {
                self.stream.stderr_line(&line);
                self.stderr.extend_from_slice(&line);
                self.stderr.push(b'\n');
            }
        }
    }

    /// Signals the CLI itself: bwrap, its init, then the CLI.
    pub(crate) fn signal(&mut self, signal: Signal, by_us: bool) {
        let init = only_child(self.child.id());
        let cli = init.and_then(only_child).expect("the CLI runs");
        let pid = Pid::from_raw(i32::try_from(cli).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
        self.stopped_by_us = by_us;
    }

    /// Reads to the end; after `limit` it is torn down, which counts as stopped by us.
    pub(crate) fn finish(mut self, limit: Duration) -> Finished {
        let end = Instant::now() + limit;
        while self.read(end) {}
        let mut timed_out = false;
        if Instant::now() >= end {
            timed_out = true;
            self.stopped_by_us = true;
            // die-with-parent ends init, and init's end everything in the namespace.
            let _ = self.child.kill();
            while self.read(Instant::now() + Duration::from_secs(10)) {}
        }
        let status = self.child.wait().unwrap();
        let exit = status.code().or_else(|| Some(128 + status.signal()?));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let now = i64::try_from(now).unwrap();
        let trouble = self.stream.trouble(now);
        let ending = Ending { exit, stopped_by_us: self.stopped_by_us, now };
        Finished {
            exit,
            timed_out,
            outcome: self.stream.end(ending),
            trouble,
            ending,
            seconds: self.started.elapsed().as_secs_f64(),
            session: self.stream.session().map(str::to_owned),
            usage: self.stream.usage(),
            final_text: self.stream.final_text().to_owned(),
            events: self.events,
            stdout: self.stdout,
            stderr: String::from_utf8_lossy(&self.stderr).into_owned(),
        }
    }
}

fn only_child(pid: u32) -> Option<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    std::fs::read_to_string(path).ok()?.split_whitespace().next()?.parse().ok()
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) exit: Option<i32>,
    pub(crate) timed_out: bool,
    pub(crate) outcome: Option<AgentOutcome>,
    pub(crate) trouble: Option<AgentOutcome>,
    pub(crate) ending: Ending,
    pub(crate) seconds: f64,
    pub(crate) session: Option<String>,
    pub(crate) usage: Usage,
    pub(crate) final_text: String,
    pub(crate) events: Vec<AgentEvent>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}
