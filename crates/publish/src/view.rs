//! Looking at work: differences as text, and a worktree to look around in.

use std::path::{Path, PathBuf};

use midwatch_core::id::{CommitId, TaskName};
use midwatch_git::diff;
use midwatch_git::error::GitError;
use midwatch_git::inspect::{Checkout, InspectError};
use midwatch_git::{Git, Mirror, stash, worktree};

use crate::places::Place;
use crate::publisher::is_sha256;
use crate::saved;

/// Why there is nothing to look at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// The ref is not there.
    #[error("{0} is not in the mirror")]
    Gone(String),
    /// Neither the mirror nor the user's repository has the commit.
    #[error("no repository of this machine has {} any more", .0.short())]
    Lost(CommitId),
    /// The mirror does not have the commit, and the user's repository is not there.
    #[error("the mirror lost {}, and the repository is not at {}", .0.short(), .1.display())]
    Away(CommitId, PathBuf),
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
    home: Home,
}

/// Where the mirror's repository is.
#[derive(Debug)]
enum Home {
    Here(Checkout),
    /// It was there once.
    Away(PathBuf),
    /// On a server only.
    Server,
}

impl View {
    /// Opens both. The repository may be away: what is in the mirror can be looked at all the
    /// same. `base` says which kind of ids it has, `identity` is the real path of its common git
    /// folder.
    pub fn open(
        git: &Git,
        mirror: &Path,
        (repository, identity): (&Path, &Path),
        base: &CommitId,
    ) -> Result<Self, ViewError> {
        let place = Place::new(repository.to_owned(), identity.to_owned());
        let home = match place.look(git)? {
            Some(checkout) => Home::Here(checkout),
            None => Home::Away(place.path().to_owned()),
        };
        let mirror = Mirror::open(git, mirror, is_sha256(base))?;
        Ok(Self { mirror, home })
    }

    /// Opens the mirror of a repository that is only on a server; `base` says which kind of ids
    /// it has.
    pub fn open_remote(git: &Git, mirror: &Path, base: &CommitId) -> Result<Self, ViewError> {
        let mirror = Mirror::open(git, mirror, is_sha256(base))?;
        Ok(Self { mirror, home: Home::Server })
    }

    /// Makes sure that a commit is in the mirror: where somebody removed that, it is taken from
    /// the user's repository, which has what landed there.
    pub fn bring(&self, commit: &CommitId) -> Result<(), ViewError> {
        if self.mirror.has(commit)? {
            return Ok(());
        }
        match &self.home {
            Home::Here(checkout) if checkout.has(self.mirror.git(), commit)? => {
                Ok(self.mirror.fetch_local(checkout, commit)?)
            }
            Home::Here(_) | Home::Server => Err(ViewError::Lost(commit.clone())),
            Home::Away(path) => Err(ViewError::Away(commit.clone(), path.clone())),
        }
    }

    /// The commit that a ref of the mirror holds, such as one of a rescue: of a stash, one that
    /// has its untracked files, too.
    pub fn commit(&self, reference: &str) -> Result<CommitId, ViewError> {
        let found = self.mirror.work_ref(reference)?;
        let found = found.ok_or_else(|| ViewError::Gone(reference.to_owned()))?;
        Ok(stash::whole(&self.mirror, &found)?)
    }

    /// The newest of a task's saved work that git took, with the ref that keeps it.
    pub fn saved(&self, task: &str) -> Result<Option<(String, CommitId)>, ViewError> {
        let Some((name, commit)) = saved::newest(&self.mirror, task)? else { return Ok(None) };
        Ok(Some((name, stash::whole(&self.mirror, &commit)?)))
    }

    /// The patch, as bytes of a sandbox: escape them for a terminal.
    pub fn patch(&self, base: &CommitId, commit: &CommitId) -> Result<Vec<u8>, ViewError> {
        Ok(diff::patch(&self.mirror, base, commit)?)
    }

    /// The patch as `git apply` takes it, binary files and all.
    pub fn raw_patch(&self, base: &CommitId, commit: &CommitId) -> Result<Vec<u8>, ViewError> {
        Ok(diff::raw(&self.mirror, base, commit)?)
    }

    /// A line per file, and a summary.
    pub fn stat(&self, base: &CommitId, commit: &CommitId) -> Result<String, ViewError> {
        Ok(diff::stat(&self.mirror, base, commit)?)
    }

    /// Puts a commit into a new worktree of the user's repository, or where that is not there into
    /// a repository of its own; on no branch. `umask` is the user's; none takes the modes that the
    /// repository's own files have.
    pub fn worktree(
        &self,
        commit: &CommitId,
        task: &TaskName,
        folder: &Path,
        umask: Option<u32>,
    ) -> Result<(), ViewError> {
        let name = task.as_str();
        match &self.home {
            Home::Here(checkout) => {
                worktree::open(&self.mirror, checkout, commit, name, folder, umask)?;
            }
            Home::Away(_) | Home::Server => {
                worktree::open_alone(&self.mirror, commit, folder, umask)?;
            }
        }
        Ok(())
    }
}
