//! Looking at work: differences as text, and a worktree to look around in.

use std::path::Path;

use midwatch_core::id::{CommitId, TaskName};
use midwatch_git::diff;
use midwatch_git::error::GitError;
use midwatch_git::inspect::{Checkout, InspectError};
use midwatch_git::worktree;
use midwatch_git::{Git, Mirror};

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
    checkout: Checkout,
}

impl View {
    /// Opens both.
    pub fn open(git: &Git, mirror: &Path, repository: &Path) -> Result<Self, ViewError> {
        let checkout = Checkout::find(git, repository)?;
        let mirror = Mirror::open(git, mirror, checkout.is_sha256())?;
        Ok(Self { mirror, checkout })
    }

    /// The commit that a ref of the mirror holds, such as one of a rescue.
    pub fn commit(&self, reference: &str) -> Result<CommitId, ViewError> {
        let found = self.mirror.work_ref(reference)?;
        found.ok_or_else(|| ViewError::Gone(reference.to_owned()))
    }

    /// The patch, as bytes of a sandbox: escape them for a terminal.
    pub fn patch(&self, base: &CommitId, commit: &CommitId) -> Result<Vec<u8>, ViewError> {
        Ok(diff::patch(&self.mirror, base, commit)?)
    }

    /// A line per file, and a summary.
    pub fn stat(&self, base: &CommitId, commit: &CommitId) -> Result<String, ViewError> {
        Ok(diff::stat(&self.mirror, base, commit)?)
    }

    /// Puts a commit into a new worktree of the user's repository, on no branch. `umask` is the
    /// user's; none takes the modes that the repository's own files have.
    pub fn worktree(
        &self,
        commit: &CommitId,
        task: &TaskName,
        folder: &Path,
        umask: Option<u32>,
    ) -> Result<(), ViewError> {
        let name = task.as_str();
        Ok(worktree::open(&self.mirror, &self.checkout, commit, name, folder, umask)?)
    }
}
