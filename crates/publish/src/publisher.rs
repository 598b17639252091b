//! The executor of land actions.

use std::path::Path;
use std::sync::Arc;

use midwatch_core::event::{Action, ActionKey, Event, LandAction};
use midwatch_core::id::{BranchName, CommitId, TaskName};
use midwatch_core::ports::{Act, Seen};
use midwatch_core::reason::FailReason;
use midwatch_core::task::Task;
use midwatch_git::deliver::DeliverError;
use midwatch_git::error::GitError;
use midwatch_git::gates::{KnownSecret, Scanner};
use midwatch_git::import::{ImportError, sanitised};
use midwatch_git::inspect::InspectError;
use midwatch_git::remote::RemoteError;
use midwatch_git::{Git, Mirror};

use crate::places::{self, Place, Places, Remote, Repository, Server};

/// Acts on Land.
pub struct Publisher<P> {
    inner: Arc<Inner<P>>,
}

struct Inner<P> {
    git: Git,
    places: P,
}

impl<P: Places> Publisher<P> {
    /// A publisher with the installed git. `self_test` should have passed before.
    pub fn new(git: Git, places: P) -> Self {
        Self { inner: Arc::new(Inner { git, places }) }
    }

    /// Works on a thread of its own: git calls block.
    async fn blocking<T: Send + 'static>(
        &self,
        task: &Task,
        action: &LandAction,
        work: impl FnOnce(&P, &Ground, &LandAction) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Trouble> {
        let inner = Arc::clone(&self.inner);
        let job = Job::of(task);
        let action = action.clone();
        let joined = tokio::task::spawn_blocking(move || {
            let repository = inner.places.repository(&job.task);
            let repository = repository.map_err(Trouble::internal)?;
            let ground = Ground::open(&inner.git, job, repository)?;
            work(&inner.places, &ground, &action)
        })
        .await;
        joined.unwrap_or_else(|error| Err(Trouble::internal(error.to_string())))
    }
}

impl<P: Places> Act<LandAction> for Publisher<P> {
    async fn look(&self, task: &Task, action: &LandAction) -> Seen {
        let seen = self.blocking(task, action, |_, ground, action| match action {
            LandAction::Fetch { commit } => crate::fetch::look(ground, commit),
            LandAction::Import { epoch, .. } => crate::import::look(ground, *epoch),
            LandAction::SaveRescue { epoch, .. } => crate::rescue::look(ground, *epoch),
            // A newer one stands in the same place: it is saved again.
            LandAction::SaveCheckpoint { .. } => Ok(None),
            LandAction::Publish { commit, branch, push, .. } => {
                crate::land::look(ground, commit, branch, *push)
            }
            LandAction::Keep { commit, branch } => crate::land::look(ground, commit, branch, false),
        });
        match seen.await {
            Ok(Some(event)) => Seen::Done(Box::new(event)),
            Ok(None) => Seen::Nothing,
            Err(trouble) => {
                // Performing will meet it again, and say so.
                tracing::warn!(task = %task.spec.name, detail = trouble.detail, "could not look");
                Seen::Nothing
            }
        }
    }

    async fn perform(&self, task: &Task, action: &LandAction) -> Event {
        let key = Action::Land(action.clone()).key();
        let done = self.blocking(task, action, |places, ground, action| match action {
            LandAction::Fetch { commit } => crate::fetch::perform(ground, commit),
            LandAction::Import { run, epoch, onto, base } => {
                crate::import::perform(ground, &places.out(run), *epoch, onto, base)
            }
            LandAction::SaveRescue { epoch, by, base, .. } => {
                crate::rescue::perform(ground, &places.out(by), *epoch, base)
            }
            LandAction::SaveCheckpoint { run, epoch, onto, .. } => {
                crate::rescue::checkpoint(ground, &places.out(run), *epoch, onto)
            }
            LandAction::Publish { commit, base, branch, push } => {
                crate::land::publish(ground, commit, base, branch, *push)
            }
            LandAction::Keep { commit, branch } => crate::land::keep(ground, commit, branch),
        });
        done.await.unwrap_or_else(|trouble| trouble.event(key))
    }
}

/// What an action needs to know of its task.
pub(crate) struct Job {
    pub(crate) task: TaskName,
    /// The tasks that this one goes on from, the first one first.
    pub(crate) chain: Vec<TaskName>,
    pub(crate) base: CommitId,
    /// Where the work begins, where that is not the base: what the chain saved and landed.
    pub(crate) begins: Vec<CommitId>,
    /// What stored events say that the task, else its chain, landed last.
    pub(crate) landed: Option<CommitId>,
    /// The branch of ours.
    pub(crate) branch: BranchName,
    /// The message of commits that have none of their own: the goal's first line.
    pub(crate) subject: String,
    /// The commands that check the work.
    pub(crate) checks: Vec<String>,
}

impl Job {
    fn of(task: &Task) -> Self {
        let subject = task.spec.goal.lines().find(|line| !line.trim().is_empty());
        let follows = task.spec.follows.as_deref();
        let onto = follows.and_then(|before| before.onto.clone());
        let mut begins: Vec<CommitId> = follows
            .and_then(|before| before.start.clone())
            .into_iter()
            .chain(onto.clone())
            .collect();
        begins.dedup();
        begins.retain(|commit| *commit != task.spec.base);
        Self {
            task: task.spec.name.clone(),
            chain: follows.map(|before| before.chain.clone()).unwrap_or_default(),
            base: task.spec.base.clone(),
            begins,
            landed: task.read_back.as_ref().map(|there| there.commit.clone()).or(onto),
            branch: task.spec.branch.clone(),
            subject: sanitised(subject.unwrap_or_default().as_bytes(), "Change made by Midwatch"),
            checks: task.spec.checks.clone(),
        }
    }
}

/// A task's repository, opened.
pub(crate) struct Ground {
    pub(crate) job: Job,
    pub(crate) home: Home,
    pub(crate) mirror: Mirror,
    protected: Vec<BranchName>,
    secrets: Vec<KnownSecret>,
}

/// Where a task's repository is.
pub(crate) enum Home {
    /// The user's checkout, which may be away for a while.
    Checkout { place: Place, remote: Option<Remote> },
    /// A server only.
    Server(Server),
}

impl Ground {
    fn open(git: &Git, job: Job, repository: Repository) -> Result<Self, Trouble> {
        let Repository { mirror, home, ca_bundle, protected, secrets } = repository;
        let git = git.clone().with_ca_bundle(ca_bundle);
        let home = match home {
            places::Home::Checkout { path, identity, remote } => {
                Home::Checkout { place: Place::new(path, identity), remote }
            }
            places::Home::Server(server) => Home::Server(server),
        };
        // The base's id is of the kind that its repository has.
        let mirror = Mirror::open(&git, &mirror, is_sha256(&job.base))?;
        Ok(Self { job, home, mirror, protected, secrets })
    }

    pub(crate) fn scanner(&self) -> Scanner {
        Scanner::new(&self.secrets).with_checks(&self.job.checks)
    }

    /// A ref of this task in `work`.
    pub(crate) fn name(&self, kind: &str, rest: impl std::fmt::Display) -> String {
        format!("refs/midwatch/{kind}/{}/{rest}", self.job.task)
    }

    /// Every commit of this task that `work` keeps: bundles of its later runs may stand on them.
    pub(crate) fn known(&self) -> Result<Vec<CommitId>, GitError> {
        let mut known = Vec::new();
        for begin in &self.job.begins {
            // Nothing else may keep it any more.
            if self.mirror.has(begin)? {
                known.push(begin.clone());
            }
        }
        for task in self.job.chain.iter().chain([&self.job.task]) {
            for kind in ["import", "rescue", "checkpoint"] {
                let prefix = format!("refs/midwatch/{kind}/{task}/");
                known.extend(self.mirror.work_refs(&prefix)?.into_iter().map(|(_, id)| id));
            }
        }
        known.sort();
        known.dedup();
        Ok(known)
    }

    /// The branches that are never written to.
    pub(crate) fn protected(&self) -> &[BranchName] {
        &self.protected
    }
}

/// Whether an id is of a repository that uses SHA-256.
pub(crate) fn is_sha256(commit: &CommitId) -> bool {
    commit.as_str().len() == 64
}

/// Why an action failed.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) reason: FailReason,
    pub(crate) detail: String,
}

impl Trouble {
    pub(crate) fn new(reason: FailReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        Self::new(FailReason::Internal, detail)
    }

    /// What the task was ordered for is not there.
    pub(crate) fn away(path: &Path) -> Self {
        let detail = format!("the repository is not at {}", path.display());
        Self::new(FailReason::RepositoryAway, detail)
    }

    fn event(self, key: ActionKey) -> Event {
        tracing::warn!(%key, reason = %self.reason, detail = self.detail, "landing failed");
        Event::LandFailed { key, reason: self.reason, detail: self.detail }
    }
}

impl From<GitError> for Trouble {
    fn from(error: GitError) -> Self {
        let reason = if error.is_disk() { FailReason::Disk } else { FailReason::Internal };
        Self::new(reason, error.to_string())
    }
}

impl From<InspectError> for Trouble {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::Git(error) => error.into(),
            // It was one when the task was ordered.
            InspectError::NotARepository(path) => Self::away(&path),
            other => Self::new(FailReason::InvalidInput, other.to_string()),
        }
    }
}

impl From<ImportError> for Trouble {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::CouldNotRun(error) => error.into(),
            other if other.is_bundles_fault() => {
                Self::new(FailReason::InvalidInput, other.to_string())
            }
            other => Self::internal(other.to_string()),
        }
    }
}

impl From<DeliverError> for Trouble {
    fn from(error: DeliverError) -> Self {
        match error {
            DeliverError::Git(error) => error.into(),
            DeliverError::Remote(error) => error.into(),
            other => Self::new(FailReason::PushRejected, other.to_string()),
        }
    }
}

impl From<RemoteError> for Trouble {
    fn from(error: RemoteError) -> Self {
        let reason = match error {
            RemoteError::Git(error) => return error.into(),
            RemoteError::NoCredential(_)
            | RemoteError::Authentication(_)
            | RemoteError::NotAllowed(_)
            | RemoteError::ProxyLogin(_) => FailReason::Authentication,
            // Tried again after a pause: a network comes back.
            RemoteError::Unreachable(_) => FailReason::Internal,
            RemoteError::Redirected(_) | RemoteError::NotFound(_) => FailReason::PushRejected,
            other => return Self::new(FailReason::InvalidInput, other.to_string()),
        };
        Self::new(reason, error.to_string())
    }
}
