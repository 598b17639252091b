//! Where the things of a task are. The binary knows; this crate asks.

use std::path::{Path, PathBuf};

use midwatch_core::id::{BranchName, RunName, TaskName};
use midwatch_git::Git;
use midwatch_git::credential::Credential;
use midwatch_git::gates::KnownSecret;
use midwatch_git::inspect::{Checkout, InspectError};
use midwatch_git::remote::{Access, Addresses, Proxy};
use midwatch_git::url::RepositoryUrl;

use crate::publisher::Trouble;

/// A repository on a forge or another server, and how it is spoken with.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its address.
    pub url: RepositoryUrl,
    /// What https asks for.
    pub credential: Option<Credential>,
    /// The socket of the user's ssh agent.
    pub ssh_agent: Option<PathBuf>,
    /// What its host's name may stand for.
    pub addresses: Addresses,
    /// The operator's own HTTP proxy, where it stands before this server.
    pub proxy: Option<Proxy>,
}

impl Server {
    pub(crate) fn access(&self) -> Access<'_> {
        Access {
            url: &self.url,
            credential: self.credential.as_ref(),
            ssh_agent: self.ssh_agent.as_deref(),
            addresses: self.addresses,
            proxy: self.proxy.as_ref(),
        }
    }
}

/// Where the user's checkout was when its task was ordered: it may be away for a while. Only who
/// needs it looks for it; work is imported, saved and shown while it is away.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    identity: PathBuf,
}

impl Place {
    pub(crate) fn new(path: PathBuf, identity: PathBuf) -> Self {
        Self { path, identity }
    }

    /// The checkout, where it is there.
    pub(crate) fn look(&self, git: &Git) -> Result<Option<Checkout>, InspectError> {
        match Checkout::find(git, &self.path) {
            // In an empty mount point the repository around it is found.
            Ok(checkout) => Ok((checkout.common_dir() == self.identity).then_some(checkout)),
            Err(InspectError::NotARepository(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The checkout, for what cannot do without.
    pub(crate) fn find(&self, git: &Git) -> Result<Checkout, Trouble> {
        let away = || Trouble::away(&self.path);
        self.look(git)?.ok_or_else(away)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Where a branch is pushed to.
#[derive(Debug, Clone)]
pub enum Remote {
    /// A bare repository on this machine.
    Local(PathBuf),
    /// A server.
    Server(Server),
}

/// Where a repository is.
#[derive(Debug, Clone)]
pub enum Home {
    /// The user's checkout: the base is fetched from it and a branch left in it.
    Checkout {
        /// Its top folder.
        path: PathBuf,
        /// The real path of its common git folder: another repository may be found at `path`.
        identity: PathBuf,
        /// Where `--push` goes.
        remote: Option<Remote>,
    },
    /// A server, and nothing on this machine: the base is fetched from it and the branch pushed
    /// to it.
    Server(Server),
}

/// A task's repository.
#[derive(Debug, Clone)]
pub struct Repository {
    /// The folder of its mirror.
    pub mirror: PathBuf,
    /// Where it is.
    pub home: Home,
    /// The operator's CA bundle, for https.
    pub ca_bundle: Option<PathBuf>,
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
