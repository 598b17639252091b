//! Where the things of a task are. The binary knows; this crate asks.

use std::path::PathBuf;

use midwatch_core::id::{BranchName, RunName, TaskName};
use midwatch_git::credential::Credential;
use midwatch_git::gates::KnownSecret;
use midwatch_git::url::RepositoryUrl;

/// Where a branch is pushed to.
#[derive(Debug, Clone)]
pub enum Remote {
    /// A bare repository on this machine.
    Local(PathBuf),
    /// A forge or another server.
    Url {
        /// Its address.
        url: RepositoryUrl,
        /// What https asks for.
        credential: Option<Credential>,
        /// The socket of the user's ssh agent.
        ssh_agent: Option<PathBuf>,
    },
}

/// A task's repository.
#[derive(Debug, Clone)]
pub struct Repository {
    /// The folder of its mirror.
    pub mirror: PathBuf,
    /// The user's checkout: what the base is fetched from and a branch is left in.
    pub checkout: PathBuf,
    /// Where `--push` goes.
    pub remote: Option<Remote>,
    /// The base branch, and others that are never written to.
    pub protected: Vec<BranchName>,
    /// Secrets that no commit may hold.
    pub secrets: Vec<KnownSecret>,
}

/// Answers for each action where things are.
pub trait Places: Send + Sync + 'static {
    /// The repository of a task, with credentials read afresh. An error is one sentence.
    fn repository(&self, task: &TaskName) -> Result<Repository, String>;

    /// The folder that a run's inside half wrote its bundles to.
    fn out(&self, run: &RunName) -> PathBuf;
}

/// The bundle of an agent's work in a run's `out`.
pub(crate) const WORK_BUNDLE: &str = "work.bundle";
/// The bundle of a rescue.
pub(crate) const RESCUE_BUNDLE: &str = "rescue.bundle";
/// The bundle of a checkpoint.
pub(crate) const CHECKPOINT_BUNDLE: &str = "checkpoint.bundle";
