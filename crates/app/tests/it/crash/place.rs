//! A place for one task: a repository, a state folder, servers and clients.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;

use midwatch_api::report::{IDENTITY_FILE, RunnerIdentity};
use midwatch_local::folder::StateFolder;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::story::Story;
use super::until;
use crate::house::{self, Told};

/// The task's name in every place.
pub(super) const TASK: &str = "t";
/// The branch that it makes.
pub(super) const BRANCH: &str = "midwatch/t";
/// Begins the names of programs kept for a test process.
const KEPT: &str = "midwatch-crash-";
/// How often somebody says something to a task: twice what is needed when nothing dies.
const REPLIES: usize = 6;
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
const PROFILE: &str = r"
apiVersion: midwatch.dev/v1alpha1
kind: AgentProfile
metadata: {name: scripted}
spec:
  agent: custom
  credential: {kind: None}
  custom: {argv: [sh, agent.sh]}
";

/// The program under test, under a name of our own: building it again beside a long test would
/// take it away.
fn program() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let built = Path::new(env!("CARGO_BIN_EXE_midwatch"));
        let kept = built.with_file_name(format!("{KEPT}{}", std::process::id()));
        // Nothing runs when a test process ends: the next one removes what it left.
        for old in std::fs::read_dir(built.parent().unwrap()).unwrap().flatten() {
            let name = old.file_name();
            let pid = name.to_str().and_then(|name| name.strip_prefix(KEPT)?.parse().ok());
            if pid.is_some_and(|pid| super::leaks::words_of(pid).is_none()) {
                std::fs::remove_file(old.path()).unwrap();
            }
        }
        std::fs::hard_link(built, &kept)
            .or_else(|_| std::fs::copy(built, &kept).map(drop))
            .unwrap();
        kept.into_os_string().into_string().unwrap()
    })
}

/// Everything of one task. What goes on in it is killed with it.
pub(super) struct Place {
    folder: tempfile::TempDir,
    story: Story,
    /// What the user's clients find in their environment beside the usual.
    own: Vec<(&'static str, String)>,
}

impl Place {
    /// A new repository, and a state folder that is not there yet.
    pub(super) fn new(story: Story) -> Self {
        let folder = tempfile::Builder::new().prefix("midwatch-crash-").tempdir().unwrap();
        let place = Self { folder, story, own: vec![] };
        for name in ["user", "repository"] {
            std::fs::create_dir(place.path(name)).unwrap();
        }
        std::fs::write(place.path("profile.yaml"), PROFILE.trim_start()).unwrap();
        let repository = place.path("repository");
        let write = |name: &str, text: &str| std::fs::write(repository.join(name), text).unwrap();
        write("agent.sh", midwatch_testkit::scripted_agent::PROGRAM);
        write("check.sh", "test -e dep/there && test \"$(cat answer)\" = 42\n");
        write("setup.sh", "mkdir -p dep && echo yes > dep/there\n");
        write("answer", "0\n");
        write(".gitignore", "dep/\n");
        write("package-lock.json", "{}\n");
        place.git(&["init", "-q", "-b", "main"]);
        place.git(&["add", "-A"]);
        place.git(&["-c", "user.name=u", "-c", "user.email=u@localhost", "commit", "-qm", "base"]);
        place
    }

    /// A variable of the user's clients, which no server is started with.
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.own.push((name, value.to_owned()));
        self
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn story(&self) -> Story {
        self.story
    }

    pub(super) fn state(&self) -> StateFolder {
        StateFolder::new(self.path("state"))
    }

    /// The folder of a run, such as `implement-4`.
    pub(super) fn run_folder(&self, run: &str) -> PathBuf {
        self.state().run(&format!("{TASK}-{run}"))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", self.path("user"))
            .env("MIDWATCH_HOME", self.path("state"))
            .env("MIDWATCH_IDLE_SECONDS", "1")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .current_dir(self.path("repository"))
            .stdin(Stdio::null());
        command
    }

    /// A client in the user's environment.
    fn client(&self, program: &str) -> Command {
        let mut command = self.command(program);
        command.envs(self.own.iter().map(|(name, value)| (name, value)));
        command
    }

    /// What git says in the user's repository.
    pub(super) fn git(&self, words: &[&str]) -> String {
        output(self.command("git").args(words))
    }

    /// What git says in a bare store, and nothing where it says no.
    pub(super) fn git_in(&self, store: &Path, words: &[&str]) -> String {
        let said = self.command("git").arg("--git-dir").arg(store).args(words).output().unwrap();
        String::from_utf8_lossy(&said.stdout).trim_end().to_owned()
    }

    /// A server with these variables, once it answers.
    pub(super) fn serve(&self, variables: &[(&str, &str)]) -> Server {
        self.serve_by(program(), variables)
    }

    /// The same by a program of another version.
    pub(super) fn serve_by(&self, program: &str, variables: &[(&str, &str)]) -> Server {
        let said = std::fs::File::create(self.path("serve.log")).unwrap();
        let mut command = self.command(program);
        command.arg("serve").envs(variables.iter().copied());
        let child = command.stdout(Stdio::null()).stderr(said).spawn().unwrap();
        let server = Server(child);
        let socket = self.state().socket();
        until("a server", || std::os::unix::net::UnixStream::connect(&socket).ok());
        server
    }

    /// `midwatch run`, with more words.
    fn run(&self, program: &str, more: &[&str]) -> Command {
        let mut command = self.client(program);
        command.args(["run", self.story.goal, "--name", TASK, "--pipeline", self.story.pipeline]);
        command.args(["--egress", "none", "--setup", "sh setup.sh", "--check", "sh check.sh"]);
        command.arg("--profile").arg(self.path("profile.yaml")).args(more);
        command
    }

    /// Runs the task and watches it to its end, over any restart; the exit code and the result.
    /// Servers that it starts are given the variables.
    pub(super) fn run_to_end(&self, variables: &[(&str, &str)]) -> (i32, Value) {
        let with = |mut command: Command| command.envs(variables.iter().copied()).output().unwrap();
        let asked = |words: &[&str]| {
            let mut command = self.client(program());
            command.args(words).args(["--output", "json"]);
            with(command)
        };
        let mut end = ended(&with(self.run(program(), &["--output", "json"])));
        for _ in 0..REPLIES {
            if end.1["state"] != "Held" {
                return end;
            }
            let view = asked(&["get", TASK]).stdout;
            let view = String::from_utf8(view).unwrap();
            let view =
                serde_json::from_str::<Value>(view.lines().next().unwrap_or("null")).unwrap();
            // Where a server has just died there is nothing to reply to yet. The next one may die
            // of the reply: what came of it is seen at the next look.
            if view["type"] == "task" {
                let _ = asked(&Story::reply(&view));
            }
            end = ended(&asked(&["wait", TASK]));
        }
        panic!("it waits for ever: {end:?}")
    }

    /// What a user's command comes to, with more variables.
    pub(super) fn midwatch(&self, words: &[&str], variables: &[(&str, &str)]) -> Told {
        let mut command = self.client(program());
        command.args(words).args(["--output", "json"]).envs(variables.iter().copied());
        house::told(command.output().unwrap())
    }

    /// Submits the task and leaves it.
    pub(super) fn submit(&self) {
        self.submit_by(program());
    }

    /// The same by a program of another version.
    pub(super) fn submit_by(&self, program: &str) {
        output(&mut self.run(program, &["--detach"]));
    }

    /// What another version says to a command, and how it ends.
    pub(super) fn asked(&self, program: &str, words: &[&str]) -> Output {
        self.command(program).args(words).output().unwrap()
    }

    /// Waits for the task's end, by a server that it starts where none answers.
    pub(super) fn wait(&self) -> (i32, Value) {
        ended(&self.command(program()).args(["wait", TASK, "--output", "json"]).output().unwrap())
    }

    /// A waiting client that is left to itself.
    pub(super) fn begin_to_wait(&self) -> Child {
        let mut command = self.command(program());
        command.args(["wait", TASK, "--output", "json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// What a client that was left to itself came to.
    pub(super) fn waited(client: Child) -> (i32, Value) {
        ended(&client.wait_with_output().unwrap())
    }

    /// Who carries a run out, as soon as it has said so.
    pub(super) fn identity(&self, run: &str) -> Option<RunnerIdentity> {
        let bytes = std::fs::read(self.run_folder(run).join(IDENTITY_FILE)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Ends the server that a client started, and waits until the state folder is free.
    pub(super) fn settle(&self) {
        until("the last server's end", || {
            // Told each time: one that has just been started may not listen to signals yet.
            if let Some(pid) = self.last_server() {
                kill(pid, Signal::TERM);
            }
            self.state().lock().ok()
        });
    }

    /// The pid that the last server of this place logged, while it is that server's.
    pub(super) fn last_server(&self) -> Option<i32> {
        let log = std::fs::read_to_string(self.state().log()).ok()?;
        let started = log.lines().rev().find(|line| line.contains("server.started"))?;
        let line: Value = serde_json::from_str(started).ok()?;
        let pid = i32::try_from(line["fields"]["pid"].as_i64()?).ok()?;
        let words = super::leaks::words_of(pid)?;
        words.iter().any(|word| word == "serve").then_some(pid)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A case that ends early leaves a server that would go on without its folder for hours.
        if let Some(pid) = self.last_server() {
            kill(pid, Signal::KILL);
        }
        if std::thread::panicking() {
            let kept = self.folder.path().with_extension("kept");
            let _ = std::fs::rename(self.folder.path(), kept);
        }
    }
}

/// A server that was started here.
pub(super) struct Server(Child);

impl Server {
    /// Asks it to end, as a service manager does, and waits until it has.
    pub(super) fn stop(mut self) -> ExitStatus {
        kill(i32::try_from(self.0.id()).unwrap(), Signal::TERM);
        self.0.wait().unwrap()
    }

    /// Kills it as `kill -9` does.
    pub(super) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// How it ended, when it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends a signal; who is gone needs none.
pub(super) fn kill(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// The exit code and the last line.
fn ended(output: &Output) -> (i32, Value) {
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    let result = serde_json::from_str(last).unwrap_or_else(|error| {
        panic!("no result ({error}): {text}{}", String::from_utf8_lossy(&output.stderr))
    });
    (output.status.code().unwrap_or(-1), result)
}
