//! A state folder with a repository in it, and runners started on orders, as root and as an
//! ordinary user.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use midwatch_api::order::{
    AgentWork, CommitPack, CustomAgent, Limits, ORDER_VERSION, Order, PromptBy, Work, Workspace,
};
use midwatch_api::report::{Ending, Report};

mod started;

pub(super) use started::{Draft, Started, process, read, wait_gone};

/// The ordinary user of these tests; nobody's.
const USER: u32 = 61_998;

/// How long a story may take before it counts as hanging.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// Who starts the runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Persona {
    /// Root, whose sandboxes run as the service user.
    Root,
    /// An ordinary user.
    User,
}

/// Tells a story as each persona that this process can be, at the same time: most of a story
/// is waiting.
pub(super) fn as_everyone(story: impl Fn(Persona) + Sync) {
    if !rustix::process::geteuid().is_root() {
        println!("NOT RUN: as root, because the tests were not started as root");
        story(Persona::User);
        return;
    }
    let ended = std::thread::scope(|scope| {
        let told = [Persona::Root, Persona::User].map(|persona| {
            scope.spawn({
                let story = &story;
                move || story(persona)
            })
        });
        told.map(std::thread::ScopedJoinHandle::join)
    });
    for (end, persona) in ended.into_iter().zip(["root", "user"]) {
        if let Err(panic) = end {
            println!("the story failed as {persona}");
            std::panic::resume_unwind(panic);
        }
    }
}

/// One state folder.
pub(super) struct World {
    /// Who.
    pub(super) persona: Persona,
    dir: tempfile::TempDir,
    source: PathBuf,
}

/// The runner's program, at a place that everybody can enter.
pub(super) fn program() -> &'static Path {
    static PROGRAM: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = PROGRAM.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let path = dir.path().join("midwatch-runner");
        // By another process: a descriptor of ours open for writing would be inherited by
        // what other tests start meanwhile, and the program be "busy".
        let copied =
            Command::new("cp").arg(env!("CARGO_BIN_EXE_midwatch-runner")).arg(&path).status();
        assert!(copied.unwrap().success());
        (dir, path)
    });
    path
}

fn git(folder: &Path, words: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"])
        .args(words)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl World {
    /// An empty repository's world.
    pub(super) fn new(persona: Persona) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let source = dir.path().join("source");
        fs::create_dir(&source).unwrap();
        git(&source, &["init", "-q"]);
        let world = Self { persona, dir, source };
        for name in ["runs", "bases", "deps", "homes"] {
            fs::create_dir(world.path(name)).unwrap();
            world.give(&world.path(name));
        }
        world
    }

    /// A path in the state folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Hands a path to an ordinary user's world; root's runner hands over by itself.
    pub(super) fn give(&self, path: &Path) {
        if self.persona == Persona::User && rustix::process::geteuid().is_root() {
            chown(path, Some(USER), Some(USER)).unwrap();
        }
    }

    /// The source repository's folder.
    pub(super) fn source(&self) -> &Path {
        &self.source
    }

    /// Commits files to the source repository and brings the upstream store up to date.
    pub(super) fn commit(&self, files: &[(&str, &str)]) -> String {
        for (name, text) in files {
            let path = self.source.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        git(&self.source, &["add", "-A"]);
        git(&self.source, &["commit", "-q", "--allow-empty", "-m", "work"]);
        let upstream = self.upstream();
        let _ = fs::remove_dir_all(&upstream);
        let (from, to) = (self.source.to_str().unwrap(), upstream.to_str().unwrap());
        git(self.dir.path(), &["clone", "-q", "--bare", from, to]);
        git(&upstream, &["repack", "-adq"]);
        git(&self.source, &["rev-parse", "HEAD"])
    }

    /// Leaves only the newest commit in the upstream store.
    pub(super) fn cut_off(&self) {
        let upstream = self.upstream();
        fs::remove_dir_all(&upstream).unwrap();
        let from = format!("file://{}", self.source.display());
        let to = upstream.to_str().unwrap();
        git(self.dir.path(), &["clone", "-q", "--bare", "--depth", "1", &from, to]);
        git(&upstream, &["repack", "-adq"]);
    }

    /// The store with the packs.
    pub(super) fn upstream(&self) -> PathBuf {
        self.path("upstream")
    }

    /// A workspace on the base of a commit, which is made by a checkout run if need be.
    pub(super) fn workspace(&self, commit: &str) -> Workspace {
        let base = self.path("bases").join(commit);
        if !base.exists() {
            let work = Work::Checkout {
                commit: commit.to_owned(),
                upstream: self.upstream(),
                base: base.clone(),
                workers: 0,
            };
            let report = self.order("checkout", work).report();
            assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        }
        Workspace {
            base_commit: commit.to_owned(),
            base,
            deps: Vec::new(),
            commit: None,
            upper: None,
        }
    }

    /// The same workspace with a commit of these files on top, as an import would leave it.
    pub(super) fn on_top(&self, workspace: &Workspace, files: &[(&str, &str)]) -> Workspace {
        let tip = self.commit(files);
        let pack = self.path("packs").join(&tip);
        fs::create_dir_all(pack.join("objects/pack")).unwrap();
        let range = format!("{}..{tip}", workspace.base_commit);
        let name = pack.join("objects/pack/pack");
        let mut packing = Command::new("git")
            .current_dir(&self.source)
            .args(["pack-objects", "--revs", "-q"])
            .arg(&name)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        packing.stdin.take().unwrap().write_all(format!("{range}\n").as_bytes()).unwrap();
        assert!(packing.wait().unwrap().success());
        let commit = Some(CommitPack { id: tip, pack });
        Workspace { commit, ..workspace.clone() }
    }

    /// The files that a bundle's claimed head changes, joined by blanks, seen by git in a
    /// repository that has the base.
    pub(super) fn changed(&self, bundle: &Path, report: &Report) -> String {
        let head = report.claim.as_ref().unwrap().head.clone().unwrap();
        let copy = self.path("bundle");
        fs::copy(bundle, &copy).unwrap();
        let from = copy.to_str().unwrap();
        git(&self.source, &["fetch", "-q", "--force", from, "+refs/*:refs/seen/*"]);
        git(&self.source, &["diff-tree", "-r", "--name-only", "HEAD", &head]).replace('\n', " ")
    }

    /// An order that is not given yet.
    pub(super) fn order(&self, name: &str, work: Work) -> Draft<'_> {
        let number = fs::read_dir(self.path("runs")).unwrap().count() + 1;
        let folder = self.path("runs").join(format!("{number}-{name}"));
        let order = Order {
            version: ORDER_VERSION,
            run: format!("task-{name}-{number}"),
            epoch: u32::try_from(number).unwrap(),
            folder,
            work,
            limits: Limits {
                wall_seconds: 40,
                idle_seconds: 0,
                memory_bytes: 1 << 30,
                pids: 256,
                disk_bytes: 1 << 30,
                output_bytes: 1 << 20,
                grace_seconds: 4,
                ..Limits::default()
            },
            toolchains: Vec::new(),
            ca_bundle: None,
            broker: None,
            client_env: BTreeMap::new(),
            client_files: BTreeMap::new(),
            accept_missing: Vec::new(),
        };
        Draft { world: self, order, variables: Vec::new() }
    }

    /// A check.
    pub(super) fn check(&self, workspace: &Workspace, command: &str) -> Draft<'_> {
        self.order(
            "check",
            Work::Check { workspace: workspace.clone(), command: command.to_owned() },
        )
    }

    /// A custom agent that is a shell script.
    pub(super) fn agent(&self, workspace: &Workspace, script: &str) -> Draft<'_> {
        self.order(
            "agent",
            Work::Agent {
                workspace: workspace.clone(),
                home: self.path("homes/h"),
                agent: Box::new(AgentWork {
                    adapter: "custom".into(),
                    program: "/bin/sh".into(),
                    model: None,
                    prompt: "the prompt, by stdin".into(),
                    preamble: String::new(),
                    session: "0190f3a0-0000-7000-8000-000000000001".into(),
                    resume: false,
                    read_only: false,
                    credential_kind: "None".into(),
                    run_token: String::new(),
                    max_turns: None,
                    max_cost_cents: None,
                    checkpoint_seconds: 0,
                    custom: Some(CustomAgent {
                        argv: vec!["/bin/sh".into(), "-c".into(), script.into()],
                        prompt_by: PromptBy::Stdin,
                        env: BTreeMap::new(),
                        mapping: None,
                    }),
                }),
            },
        )
    }
}

impl Drop for World {
    fn drop(&mut self) {
        open_up(self.dir.path());
    }
}

/// Makes all folders of a tree ours to remove: an overlay's scratch of a killed runner has no
/// permissions at all.
pub(super) fn open_up(tree: &Path) {
    let _ = Command::new("chmod").args(["-R", "u+rwx"]).arg(tree).stderr(Stdio::null()).status();
}
