//! Before a task exists: which repository, which base, may it be worked with, and what of it is
//! uncommitted. Nothing is created but, when asked for, a snapshot in the mirror.

mod remote;
mod told;

use std::path::{Path, PathBuf};

use midwatch_core::id::{BranchName, CommitId, TaskName};
use midwatch_core::input::InvalidInput;
use midwatch_git::deliver::{DeliverError, Delivery, Where, check};
use midwatch_git::error::GitError;
use midwatch_git::inspect::{Checkout, CommitTree, Head, InspectError};
use midwatch_git::remote::RemoteError;
use midwatch_git::snapshot::{Snapshot, snapshot};
use midwatch_git::url::{RepositoryUrl, UrlRules};
use midwatch_git::{Git, Mirror};

pub use midwatch_git::inspect::{Change, DirtyFile};
pub use remote::{Remote, ask};
pub use told::{Told, confirm};

/// Why a repository cannot be worked with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// Wrong usage: a reference, branch or URL.
    #[error(transparent)]
    Input(#[from] InvalidInput),
    /// The repository as it is: none, empty, LFS, submodules.
    #[error("{0}")]
    Repository(InspectError),
    /// The branch cannot be ours.
    #[error(transparent)]
    Branch(DeliverError),
    /// A server did not answer as it should.
    #[error(transparent)]
    Remote(RemoteError),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl From<RemoteError> for OrderError {
    fn from(error: RemoteError) -> Self {
        match error {
            RemoteError::Input(input) => Self::Input(input),
            RemoteError::Git(error) => Self::Git(error),
            other => Self::Remote(other),
        }
    }
}

impl From<InspectError> for OrderError {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::Reference(input) => Self::Input(input),
            InspectError::Git(error) => Self::Git(error),
            other => Self::Repository(other),
        }
    }
}

impl From<DeliverError> for OrderError {
    fn from(error: DeliverError) -> Self {
        match error {
            DeliverError::Git(error) => Self::Git(error),
            DeliverError::Remote(error) => error.into(),
            other => Self::Branch(other),
        }
    }
}

/// Where `origin` is, as far as we can push there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// There is none.
    None,
    /// A repository on this machine.
    Local(PathBuf),
    /// A server.
    Url(RepositoryUrl),
    /// Something that is not pushed to, and why.
    Unfit(InvalidInput),
}

/// A user's repository and the base that an order is about.
#[derive(Debug, Clone)]
pub struct Ordered {
    git: Git,
    checkout: Checkout,
    /// The real path of the common git directory.
    pub identity: PathBuf,
    /// The top folder of the worktree.
    pub top: PathBuf,
    /// The branch that it is on.
    pub head_branch: Option<String>,
    /// The base commit.
    pub base: CommitId,
    /// Filters named by `.gitattributes` of the base; files are taken as they stand in commits.
    pub filters: Vec<String>,
    /// Where `origin` is.
    pub origin: Origin,
}

/// Finds the repository around `path` and the base: `reference`, or HEAD. Refuses what is not
/// supported.
pub fn find(
    git: &Git,
    path: &Path,
    reference: Option<&str>,
    rules: UrlRules,
) -> Result<Ordered, OrderError> {
    let checkout = Checkout::find(git, path)?;
    let top = checkout.top().map(Path::to_owned);
    let top = top.ok_or_else(|| InspectError::Bare(path.to_owned()))?;
    // An empty repository is told as such, whatever reference was given.
    let head = checkout.head_commit(git)?;
    let base = match reference {
        Some(reference) => checkout.resolve(git, reference)?,
        None => head,
    };
    let facts = checkout.supported(git, &base)?;
    let head_branch = match checkout.head(git)? {
        Head::Branch(name) => Some(name),
        Head::Detached => None,
    };
    let origin = origin(git, &checkout, &top, rules)?;
    Ok(Ordered {
        git: git.clone(),
        identity: checkout.common_dir().to_owned(),
        top,
        head_branch,
        base,
        filters: facts.filters,
        origin,
        checkout,
    })
}

fn origin(
    git: &Git,
    checkout: &Checkout,
    top: &Path,
    rules: UrlRules,
) -> Result<Origin, OrderError> {
    let Some(text) = checkout.origin(git)? else { return Ok(Origin::None) };
    match RepositoryUrl::parse(&text, rules) {
        Ok(url) => Ok(Origin::Url(url)),
        Err(error) => {
            // `git clone` of a folder leaves its path, or a file URL.
            let path = text.strip_prefix("file://").unwrap_or(&text);
            let local = !path.contains("::") && !path.contains("://") && !path.starts_with('-');
            let there = top.join(path).canonicalize().ok();
            let there = there.filter(|path| local && Checkout::find(git, path).is_ok());
            Ok(there.map_or_else(|| Origin::Unfit(error.of("origin")), Origin::Local))
        }
    }
}

impl Ordered {
    /// The base's files: what setup, checks and policies are read from.
    pub fn tree(&self) -> CommitTree {
        self.checkout.tree(&self.git, &self.base)
    }

    /// Files that differ from HEAD. `global_excludes` is the user's own ignore file.
    pub fn dirty(&self, global_excludes: Option<&Path>) -> Result<Vec<DirtyFile>, OrderError> {
        Ok(self.checkout.dirty(&self.git, global_excludes)?)
    }

    /// Refuses a branch of ours that could not be set: the base branch, one that exists, one
    /// beside which it cannot be. Only the user's own repository is asked.
    pub fn check_branch(
        &self,
        branch: &BranchName,
        protected: &[BranchName],
    ) -> Result<(), OrderError> {
        let none = &self.base;
        let delivery = Delivery { commit: none, branch, ours_at: None, protected };
        match self.checkout.branch(&self.git, branch)? {
            // Not the task's, even when it stands at the base.
            Some(at) if !protected.contains(branch) => {
                let branch = branch.clone();
                Err(DeliverError::NotOurs { branch, at, place: Where::Here }.into())
            }
            Some(_) | None => Ok(check(&self.git, &self.checkout, &delivery)?),
        }
    }

    /// Refuses a branch that `origin` has already: as last fetched, and by looking where it is on
    /// this machine. A server is asked by [`ask`].
    pub fn check_origin_branch(&self, branch: &BranchName) -> Result<(), OrderError> {
        let known = format!("refs/remotes/origin/{branch}");
        let known = self.checkout.resolve(&self.git, &known).ok();
        let at = match &self.origin {
            Origin::Local(path) => Checkout::find(&self.git, path)?.branch(&self.git, branch)?,
            Origin::Url(_) => known,
            Origin::None | Origin::Unfit(_) => None,
        };
        match at {
            Some(at) => {
                let branch = branch.clone();
                Err(DeliverError::NotOurs { branch, at, place: Where::Remote }.into())
            }
            None => Ok(()),
        }
    }

    /// `--include-dirty`: takes uncommitted work along as the base. The mirror gets the snapshot
    /// under the task's name; the user's repository stays as it is. `when` is in seconds since
    /// 1970.
    pub fn include_dirty(
        &mut self,
        mirror: &Path,
        task: &TaskName,
        global_excludes: Option<&Path>,
        when: i64,
    ) -> Result<Snapshot, OrderError> {
        let mirror = Mirror::open(&self.git, mirror, self.checkout.is_sha256())?;
        let head = self.checkout.head_commit(&self.git)?;
        mirror.fetch_local(&self.checkout, &head)?;
        let target = format!("refs/midwatch/snapshot/{task}");
        let taken = snapshot(&mirror, &self.checkout, global_excludes, &target, when)?;
        self.base = taken.commit.clone();
        Ok(taken)
    }
}
