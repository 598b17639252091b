//! Refs of mirrors that save work, seen without the task that they belong to: what a clean-up
//! may let go of.

use std::path::Path;

use midwatch_core::id::CommitId;
use midwatch_git::error::GitError;
use midwatch_git::inspect::{Checkout, InspectError};
use midwatch_git::{Git, Mirror};

/// Below this stands everything that saves work.
const PREFIX: &str = "refs/midwatch/";

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SavedError {
    /// The user's repository.
    #[error(transparent)]
    Repository(#[from] InspectError),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// Every ref of a mirror that saves work, with what it keeps.
pub fn refs(git: &Git, mirror: &Path) -> Result<Vec<(String, CommitId)>, GitError> {
    open(git, mirror)?.work_refs(PREFIX)
}

/// Whether a branch, a remote branch or a tag of the user's repository has a commit. False where
/// the repository does not know it.
pub fn has_landed(git: &Git, repository: &Path, commit: &CommitId) -> Result<bool, SavedError> {
    let checkout = Checkout::find(git, repository)?;
    Ok(checkout.is_on_a_ref(git, commit)?)
}

/// Removes refs of a mirror.
pub fn forget(git: &Git, mirror: &Path, names: &[&str]) -> Result<(), GitError> {
    let mirror = open(git, mirror)?;
    names.iter().filter(|name| name.starts_with(PREFIX)).try_for_each(|name| mirror.forget(name))
}

/// The kind of object ids plays no part for refs.
fn open(git: &Git, mirror: &Path) -> Result<Mirror, GitError> {
    Mirror::open(git, mirror, false)
}
