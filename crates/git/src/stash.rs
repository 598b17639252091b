//! An entry of the stash as one commit. `git stash -u` keeps untracked files in a third parent,
//! which neither a difference nor a worktree of the entry shows.

use midwatch_core::id::CommitId;

use crate::authored;
use crate::command::{Input, LONG};
use crate::error::GitError;
use crate::mirror::Mirror;
use crate::scratch::Scratch;

/// The message of a commit that holds both.
const MESSAGE: &str = "An entry of the stash, with its untracked files\n";

/// The commit itself; for an entry of the stash with untracked files, a commit of ours on it
/// that has those too. It is made anew each time, with the same id, and no ref keeps it.
pub fn whole(mirror: &Mirror, commit: &CommitId) -> Result<CommitId, GitError> {
    let Some(untracked) = untracked(mirror, commit)? else { return Ok(commit.clone()) };
    let scratch = Scratch::in_dir(&mirror.scratch_dir())?;
    let index = scratch.path().join("index");
    let call = |subcommand| mirror.git().at(&mirror.work(), subcommand);
    call("read-tree").arg(commit.as_str()).env("GIT_INDEX_FILE", &index).timeout(LONG).run()?;
    let files = call("ls-tree").args(["-r", "-z", "--full-tree", untracked.as_str()]).timeout(LONG);
    call("update-index")
        .args(["-z", "--index-info"])
        .env("GIT_INDEX_FILE", &index)
        .timeout(LONG)
        .stdin(Input::Call(Box::new(files)))
        .run()?;
    let tree = call("write-tree").env("GIT_INDEX_FILE", &index).timeout(LONG).text()?;
    let when = call("show").args(["-s", "--format=%ct", commit.as_str()]).text()?;
    let when = when.trim().parse().unwrap_or(0_i64).max(0);
    authored::commit(call("commit-tree"), tree.trim(), commit, when, MESSAGE)
}

/// The commit with the untracked files of a stash entry, which has three parents as no other
/// commit has them: what it stands on, the index on that alone, and one without a parent.
fn untracked(mirror: &Mirror, commit: &CommitId) -> Result<Option<CommitId>, GitError> {
    let parents = parents(mirror, commit)?;
    let [base, index, untracked] = parents.as_slice() else { return Ok(None) };
    let is_entry = self::parents(mirror, index)? == [base.clone()]
        && self::parents(mirror, untracked)?.is_empty();
    Ok(is_entry.then(|| untracked.clone()))
}

fn parents(mirror: &Mirror, commit: &CommitId) -> Result<Vec<CommitId>, GitError> {
    let call = mirror.git().at(&mirror.work(), "rev-list");
    let line = call.args(["--parents", "-n1", commit.as_str()]).text()?;
    line.split_whitespace().skip(1).map(|id| CommitId::parse(id).map_err(GitError::Input)).collect()
}
