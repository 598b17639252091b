//! A user with a repository, and a server that the test starts, hurts and asks.

use std::ffi::OsStr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use midwatch_core::ports::Stored;
use midwatch_local::folder::StateFolder;
use midwatch_local::store::SqliteStore;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde_json::Value;

use super::until;
use crate::house::{House, Told, tell, told, wait};

/// Every task here is judged by this, unless it says otherwise.
const CHECK: &str = "test -e README";

/// A question of Claude Code's to the model, through the gateway: what an agent that a test plays
/// says of the answer counts only where there was one.
pub(super) const ASKS: &str = r#"curl -sS -o /dev/null -H "x-api-key: $ANTHROPIC_API_KEY" \
        -H 'content-type: application/json' -H 'anthropic-version: 2023-06-01' \
        -d '{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"hi"}]}' \
        "$ANTHROPIC_BASE_URL/v1/messages""#;

/// The user, the repository, the state folder.
pub(super) struct Ground {
    pub(super) house: House,
    pub(super) repository: PathBuf,
    /// Keeps a mount namespace alive, where everything but the test itself is in one.
    holder: Option<Child>,
}

impl Ground {
    /// On the disk that all tests are on.
    pub(super) fn new() -> Self {
        let house = House::new();
        let repository = house.repository("repo", &[("README", "x\n")]);
        Self { house, repository, holder: None }
    }

    /// In a mount namespace of its own, made by a script that sees the state folder as `$1`. What
    /// is mounted there is gone with the test. None, and said so, where that is not possible.
    pub(super) fn apart(script: &str) -> Option<Self> {
        let mut ground = Self::new();
        if !geteuid().is_root() {
            tell("NOT RUN: mounts of its own need root");
            return None;
        }
        let state = ground.house.state();
        std::fs::create_dir_all(&state).unwrap();
        let ready = ground.house.home().join("ready");
        let script = format!("set -e; {script}\n: > \"$2\"; exec sleep 3600");
        let mut command = ground.house.command("unshare", &ground.repository);
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script, "sh"]);
        let mut holder = command.arg(&state).arg(&ready).spawn().unwrap();
        until("the mounts", || ready.exists() || holder.try_wait().unwrap().is_some());
        if holder.try_wait().unwrap().is_some() {
            tell("NOT RUN: nothing can be mounted here");
            return None;
        }
        ground.holder = Some(holder);
        Some(ground)
    }

    /// With a state folder on a disk of so many mebibytes.
    pub(super) fn on_disk(mebibytes: u32) -> Option<Self> {
        Self::apart(&format!("mount -t tmpfs -o size={mebibytes}m,mode=755 midwatch-test \"$1\""))
    }

    /// The state folder, as the test sees it.
    pub(super) fn state(&self) -> StateFolder {
        let state = self.house.state();
        StateFolder::new(match &self.holder {
            None => state,
            Some(holder) => Path::new(&format!("/proc/{}/root", holder.id()))
                .join(state.strip_prefix("/").unwrap()),
        })
    }

    /// A program where the user is.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let Some(holder) = &self.holder else {
            return self.house.command(program, &self.repository);
        };
        let mut command = self.house.command("nsenter", &self.repository);
        command.arg(format!("--mount=/proc/{}/ns/mnt", holder.id()));
        command.arg(format!("--wdns={}", self.repository.display())).arg("--").arg(program);
        command
    }

    /// Does something where the user is, as who runs the tests.
    #[track_caller]
    pub(super) fn sh(&self, script: &str) {
        let done = self.command("sh").args(["-ec", script, "sh"]).arg(self.house.state()).output();
        let done = done.unwrap();
        assert!(done.status.success(), "{script}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// `midwatch` with these words and JSON lines.
    pub(super) fn midwatch(&self, words: &[&str]) -> Told {
        self.midwatch_of(env!("CARGO_BIN_EXE_midwatch").as_ref(), words)
    }

    /// The same of another build.
    pub(super) fn midwatch_of(&self, program: &Path, words: &[&str]) -> Told {
        let mut command = self.command(program);
        command.args(words).args(["--output", "json"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        told(wait(child.unwrap()))
    }

    /// A server with these variables, once it answers.
    pub(super) fn serve(&self, variables: &[(&str, &OsStr)]) -> Server {
        self.serve_of(env!("CARGO_BIN_EXE_midwatch").as_ref(), &[], variables)
    }

    /// The same of another build, or with flags.
    pub(super) fn serve_of(
        &self,
        program: &Path,
        flags: &[&str],
        variables: &[(&str, &OsStr)],
    ) -> Server {
        let said = std::fs::File::create(self.house.home().join("serve.said")).unwrap();
        let mut command = self.command(program);
        command.arg("serve").args(flags).envs(variables.iter().copied());
        let child = command.stdout(Stdio::null()).stderr(said).spawn().unwrap();
        let server = Server { child };
        let socket = self.state().socket();
        until("a server", || UnixStream::connect(&socket).is_ok());
        server
    }

    /// What the servers that were started here last had to say.
    pub(super) fn served(&self) -> String {
        std::fs::read_to_string(self.house.home().join("serve.said")).unwrap()
    }

    /// The same program as another build: one is known by its digest.
    pub(super) fn other_build(&self) -> PathBuf {
        let other = self.house.home().join("midwatch-other");
        // By another process: a file that this one writes may be busy when it is started.
        let mut command = self.house.command("sh", &self.repository);
        command.args(["-ec", "cp \"$1\" \"$2\"; echo >> \"$2\"", "sh"]);
        let copied = command.arg(env!("CARGO_BIN_EXE_midwatch")).arg(&other).status();
        assert!(copied.unwrap().success());
        other
    }

    /// Submits a task of the scripted agent and leaves it; `spec` is more of its profile.
    pub(super) fn submit(&self, name: &str, goal: &str, spec: &str, more: &[&str]) -> Told {
        let profile = self.house.scripted(&format!(", egress: none{spec}"));
        let first = ["run", goal, "--profile", profile.to_str().unwrap(), "--pipeline", "quick"];
        let own = ["--name", name, "--detach"];
        let judged = more.contains(&"--check") || more.contains(&"--no-check");
        let check: &[&str] = if judged { &[] } else { &["--check", CHECK] };
        self.midwatch(&[&first[..], &own, check, more].concat())
    }

    /// As `submit`, and it has to be taken.
    #[track_caller]
    pub(super) fn begin(&self, name: &str, goal: &str, spec: &str, more: &[&str]) {
        let told = self.submit(name, goal, spec, more);
        assert_eq!(told.code, Some(0), "{}{}", told.stdout, told.stderr);
    }

    /// How a task stands.
    pub(super) fn result(&self, name: &str) -> Value {
        self.midwatch(&["get", name]).result
    }

    /// Waits until a task is in a state, and answers how it stands.
    #[track_caller]
    pub(super) fn in_state(&self, name: &str, state: &str) -> Value {
        let mut last = Value::Null;
        let there = crate::house::until(super::PATIENCE, || {
            last = self.result(name);
            last["state"] == state
        });
        assert!(there, "{name} is not {state}: {last}");
        last
    }

    /// Waits for a task's end, or for somebody's turn.
    pub(super) fn wait(&self, name: &str) -> Told {
        self.midwatch(&["wait", name])
    }

    /// Everything that happened to a task that is over, line by line.
    pub(super) fn story(&self, name: &str) -> Told {
        self.midwatch(&["logs", "-f", name])
    }

    /// Why a task waits, in a sentence.
    pub(super) fn explain(&self, name: &str) -> String {
        let told = self.midwatch(&["explain", name]);
        let line = told.of("explain").first().map(|line| line["explain"].to_string());
        line.unwrap_or(told.stderr)
    }

    /// The events of a task, by whoever has the state folder: no server.
    pub(super) fn events(&self, name: &str) -> Vec<Stored> {
        SqliteStore::open(&self.state().database()).unwrap().events(name, 0).unwrap()
    }

    /// What a file holds on a branch; nothing where it is not there.
    pub(super) fn on_branch(&self, branch: &str, file: &str) -> String {
        let at = format!("{branch}:{file}");
        let said = self.house.command("git", &self.repository).args(["show", &at]).output();
        String::from_utf8_lossy(&said.unwrap().stdout).trim_end().to_owned()
    }

    /// The branches that were handed over.
    pub(super) fn branches(&self) -> String {
        self.house.git(&self.repository, &["branch", "--list", "midwatch/*"])
    }

    /// What is in the log of the server.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.state().log()).unwrap_or_default()
    }
}

/// A server that was started here; killed with this.
pub(super) struct Server {
    child: Child,
}

impl Server {
    /// Its process.
    pub(super) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap()
    }

    /// Whether it is still there.
    pub(super) fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// As `kill -9`.
    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end.
    pub(super) fn end(mut self) -> ExitStatus {
        kill_process(self.pid(), Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
