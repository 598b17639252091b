//! Looking at work: differences as text, and a worktree to look around in.

use std::path::Path;

use midwatch_core::id::{CommitId, TaskName};
use midwatch_git::diff;
use midwatch_git::error::GitError;
use midwatch_git::inspect::{Checkout, InspectError};
use midwatch_git::worktree;
use midwatch_git::{Git, Mirror};

use crate::publisher::is_sha256;
use crate::saved;

/// Why there is nothing to look at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// The ref is not there.
    #[error("{0} is not in the mirror")]
    Gone(String),
    /// The repository.
    #[error(transparent)]
    Repository(#[from] InspectError),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// A mirror and the repository that it belongs to.
#[derive(Debug)]
pub struct View {
    mirror: Mirror,
    checkout: Option<Checkout>,
}

impl View {
    /// Opens both.
    pub fn open(git: &Git, mirror: &Path, repository: &Path) -> Result<Self, ViewError> {
        let checkout = Checkout::find(git, repository)?;
        let mirror = Mirror::open(git, mirror, checkout.is_sha256())?;
        Ok(Self { mirror, checkout: Some(checkout) })
    }

    /// Opens the mirror of a repository that is only on a server; `base` says which kind of ids
    /// it has.
    pub fn open_remote(git: &Git, mirror: &Path, base: &CommitId) -> Result<Self, ViewError> {
        let mirror = Mirror::open(git, mirror, is_sha256(base))?;
        Ok(Self { mirror, checkout: None })
    }

    /// The commit that a ref of the mirror holds, such as one of a rescue.
    pub fn commit(&self, reference: &str) -> Result<CommitId, ViewError> {
        let found = self.mirror.work_ref(reference)?;
        found.ok_or_else(|| ViewError::Gone(reference.to_owned()))
    }

    /// The newest of a task's saved work that git took, with the ref that keeps it.
    pub fn saved(&self, task: &str) -> Result<Option<(String, CommitId)>, ViewError> {
        Ok(saved::newest(&self.mirror, task)?)
    }

    /// The patch, as bytes of a sandbox: escape them for a terminal.
    pub fn patch(&self, base: &CommitId, commit: &CommitId) -> Result<Vec<u8>, ViewError> {
        Ok(diff::patch(&self.mirror, base, commit)?)
    }

    /// A line per file, and a summary.
    pub fn stat(&self, base: &CommitId, commit: &CommitId) -> Result<String, ViewError> {
        Ok(diff::stat(&self.mirror, base, commit)?)
    }

    /// Puts a commit into a new worktree of the user's repository, or where there is none into a
    /// repository of its own; on no branch. `umask` is the user's; none takes the modes that the
    /// repository's own files have.
    pub fn worktree(
        &self,
        commit: &CommitId,
        task: &TaskName,
        folder: &Path,
        umask: Option<u32>,
    ) -> Result<(), ViewError> {
        let name = task.as_str();
        match &self.checkout {
            Some(checkout) => {
                worktree::open(&self.mirror, checkout, commit, name, folder, umask)?;
            }
            None => worktree::open_alone(&self.mirror, commit, folder, umask)?,
        }
        Ok(())
    }
}
