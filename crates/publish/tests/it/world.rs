//! A user's repository, a sandbox's clone of it, and a publisher between them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use midwatch_core::agent::{AgentKind, CredentialKind};
use midwatch_core::event::{Event, LandAction};
use midwatch_core::id::{BranchName, CommitId, Epoch, RunName, StepName, TaskName};
use midwatch_core::pipeline::Pipeline;
use midwatch_core::ports::{Act, Seen};
use midwatch_core::task::{Task, TaskSpec};
use midwatch_publish::view::View;
use midwatch_publish::{Git, Home, KnownSecret, Places, Publisher, Remote, Repository};
use tempfile::TempDir;

pub(crate) struct World {
    dir: TempDir,
    pub(crate) base: CommitId,
    places: Arc<Mutex<Repository>>,
}

struct Here {
    repository: Arc<Mutex<Repository>>,
    runs: PathBuf,
}

impl Places for Here {
    fn repository(&self, task: &TaskName) -> Result<Repository, String> {
        match task.as_str() {
            "unknown" => Err("the repository is gone".into()),
            _ => Ok(self.repository.lock().unwrap().clone()),
        }
    }

    fn out(&self, run: &RunName) -> PathBuf {
        self.runs.join(run.as_str()).join("out")
    }
}

/// The user's repository in a folder of the world.
pub(crate) fn checkout(dir: &Path, remote: Option<Remote>) -> Home {
    let path = dir.join("repo");
    // By its real path, as it is ordered.
    let identity = dir.canonicalize().unwrap().join("repo/.git");
    Home::Checkout { path, identity, remote }
}

impl World {
    /// What `midwatch diff` and `midwatch open` look at.
    pub(crate) fn view(&self) -> View {
        let identity = self.path().canonicalize().unwrap().join("repo/.git");
        let (mirror, place) = (self.path().join("mirror"), (&*self.repo(), &*identity));
        View::open(&Git::find().unwrap(), &mirror, place, &self.base).unwrap()
    }

    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository {
            mirror: dir.path().join("mirror"),
            home: checkout(dir.path(), None),
            ca_bundle: None,
            protected: vec![BranchName::parse("main").unwrap()],
            secrets: vec![KnownSecret {
                name: "KEY".into(),
                value: "correct-horse-battery-staple".into(),
            }],
        };
        let base = CommitId::parse(&"0".repeat(40)).unwrap();
        let mut world = Self { dir, base, places: Arc::new(Mutex::new(repository)) };
        std::fs::create_dir(world.repo()).unwrap();
        world.git(&world.repo(), &["init", "-q", "-b", "main"]);
        std::fs::write(world.repo().join("README"), "hello\n").unwrap();
        world.git(&world.repo(), &["add", "-A"]);
        world.git(&world.repo(), &["commit", "-q", "-m", "first"]);
        world.git(world.dir.path(), &["clone", "-q", "repo", "inside"]);
        world.base = world.head(&world.repo());
        world
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.path().join("repo")
    }

    pub(crate) fn inside(&self) -> PathBuf {
        self.path().join("inside")
    }

    pub(crate) fn set_remote(&self, remote: Remote) {
        self.set_home(checkout(self.path(), Some(remote)));
    }

    pub(crate) fn set_home(&self, home: Home) {
        self.places.lock().unwrap().home = home;
    }

    pub(crate) fn trust(&self, certificate: &Path) {
        self.places.lock().unwrap().ca_bundle = Some(certificate.to_owned());
    }

    pub(crate) fn set_protected(&self, branch: &str) {
        self.places.lock().unwrap().protected.push(BranchName::parse(branch).unwrap());
    }

    /// A publisher as a server makes it when it starts.
    fn publisher(&self) -> Publisher<Here> {
        let here = Here { repository: Arc::clone(&self.places), runs: self.path().join("runs") };
        Publisher::new(Git::find().unwrap(), here)
    }

    pub(crate) fn task(&self) -> Task {
        self.task_named("fix")
    }

    pub(crate) fn task_named(&self, name: &str) -> Task {
        Task::new(TaskSpec {
            name: TaskName::parse(name).unwrap(),
            goal: "fix it".into(),
            repository: "repo".into(),
            base: self.base.clone(),
            pipeline: Pipeline {
                name: "quick".into(),
                steps: Vec::new(),
                max_repairs: 3,
                max_reviews: 3,
            },
            agent: AgentKind::Custom,
            profile: "custom".into(),
            model: None,
            credential: CredentialKind::None,
            credential_key: None,
            resumes: true,
            fallbacks: vec![],
            questions: midwatch_core::plan::Questions::Proceed,
            follows: None,
            instructions: String::new(),
            checks: Vec::new(),
            setup: None,
            no_check: false,
            known_failures: false,
            branch: BranchName::parse("midwatch/fix").unwrap(),
            push: false,
            wall_seconds: 60,
            max_turns: None,
            priority: 0,
        })
    }

    pub(crate) async fn look(&self, task: &Task, action: &LandAction) -> Seen {
        self.publisher().look(task, action).await
    }

    pub(crate) async fn perform(&self, task: &Task, action: &LandAction) -> Event {
        self.publisher().perform(task, action).await
    }

    /// Looks, performs, and then crashes before the event is stored: the next server must find
    /// it, and performing it again must change nothing.
    pub(crate) async fn done_through_a_crash(&self, task: &Task, action: &LandAction) -> Event {
        let first = self.look(task, action).await;
        assert_eq!(first, Seen::Nothing, "{action:?}");
        let event = self.perform(task, action).await;
        let found = self.look(task, action).await;
        assert_eq!(found, Seen::Done(Box::new(event.clone())), "{action:?}");
        assert_eq!(self.perform(task, action).await, event);
        event
    }

    pub(crate) fn run(epoch: u32) -> (RunName, Epoch) {
        let (task, step) = (TaskName::parse("fix").unwrap(), StepName::parse("implement").unwrap());
        (RunName::new(&task, &step, Epoch(epoch)), Epoch(epoch))
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.inside().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn commit(&self, message: &str) -> CommitId {
        self.git(&self.inside(), &["add", "-A"]);
        self.git(&self.inside(), &["commit", "-q", "--allow-empty", "-m", message]);
        self.head(&self.inside())
    }

    /// Leaves a bundle of some refs beyond the base in a run's folder.
    pub(crate) fn bundle(&self, run: &RunName, file: &str, refs: &[&str], from: &CommitId) {
        let out = self.path().join("runs").join(run.as_str()).join("out");
        std::fs::create_dir_all(&out).unwrap();
        let file = out.join(file);
        let not = format!("^{from}");
        let mut args = vec!["bundle", "create", "-q", file.to_str().unwrap(), &not];
        args.extend(refs);
        self.git(&self.inside(), &args);
    }

    pub(crate) fn head(&self, repo: &Path) -> CommitId {
        CommitId::parse(&self.git(repo, &["rev-parse", "HEAD"])).unwrap()
    }

    pub(crate) fn try_git(&self, dir: &Path, args: &[&str]) -> Output {
        Command::new("git")
            .current_dir(dir)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.path())
            .env("GIT_AUTHOR_NAME", "A User")
            .env("GIT_AUTHOR_EMAIL", "user@example.com")
            .env("GIT_COMMITTER_NAME", "A User")
            .env("GIT_COMMITTER_EMAIL", "user@example.com")
            .args(args)
            .output()
            .unwrap()
    }

    pub(crate) fn git(&self, dir: &Path, args: &[&str]) -> String {
        let output = self.try_git(dir, args);
        assert!(
            output.status.success(),
            "git {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}
