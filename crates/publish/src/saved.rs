//! Refs of mirrors that save work, seen without the task that they belong to: what a clean-up
//! may let go of.

use std::path::Path;

use midwatch_core::id::{CommitId, Epoch, TaskName};
use midwatch_core::landing::saved_import;
use midwatch_git::error::GitError;
use midwatch_git::inspect::{Checkout, InspectError};
use midwatch_git::{Git, Mirror};

use crate::rescue::refused_ref;

/// Below this stands everything that saves work.
const PREFIX: &str = "refs/midwatch/";

/// The last part of the ref that holds the tree as it was found.
pub(crate) const SNAPSHOT: &str = "snapshot";

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

/// The ref with the newest saved work of a task that git took: a rescue, an import or a
/// checkpoint. Of one epoch a checkpoint is the oldest, and a rescue's snapshot the best.
pub(crate) fn newest(mirror: &Mirror, task: &str) -> Result<Option<(String, CommitId)>, GitError> {
    // Refs are named by names of tasks only.
    let Ok(task) = TaskName::parse(task) else { return Ok(None) };
    let mut found = Vec::new();
    for kind in ["checkpoint", "rescue"] {
        let prefix = format!("{PREFIX}{kind}/{task}/");
        for (name, commit) in mirror.work_refs(prefix.trim_end_matches('/'))? {
            let rest = name.strip_prefix(&prefix).unwrap_or_default();
            let (epoch, rest) = rest.split_once('/').unwrap_or((rest, ""));
            let Ok(epoch) = epoch.parse().map(Epoch) else { continue };
            // Nobody is to stand on it.
            if name == refused_ref(&task, epoch) {
                continue;
            }
            let rank = match rest {
                "" => 0,
                SNAPSHOT => 3,
                _ if name == saved_import(&task, epoch) => 2,
                _ => 1,
            };
            found.push(((epoch, rank), name, commit));
        }
    }
    // Of several that are as good, the first, as a rescue itself names it.
    found.reverse();
    let best = found.into_iter().max_by_key(|(place, ..)| *place);
    Ok(best.map(|(_, name, commit)| (name, commit)))
}

/// The same, of a mirror that is not open.
pub fn newest_in(
    git: &Git,
    mirror: &Path,
    task: &str,
) -> Result<Option<(String, CommitId)>, GitError> {
    newest(&open(git, mirror)?, task)
}

/// Whether branches, remote branches and tags of the user's repository have all of these commits.
/// False where the repository does not know one of them.
pub fn have_landed(git: &Git, repository: &Path, commits: &[CommitId]) -> Result<bool, SavedError> {
    let checkout = Checkout::find(git, repository)?;
    Ok(checkout.are_on_refs(git, commits)?)
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
