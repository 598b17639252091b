//! Whether a user's repository has a commit, and for good.

use midwatch_core::id::CommitId;

use super::Checkout;
use crate::command::Git;
use crate::error::GitError;
use crate::revisions::Revisions;

impl Checkout {
    /// Whether a commit is there, on a ref or not.
    pub fn has(&self, git: &Git, commit: &CommitId) -> Result<bool, GitError> {
        let asked = self.read(git, "cat-file").args(["-e", &format!("{commit}^{{commit}}")]);
        Ok(asked.finish()?.code == Some(0))
    }

    /// Whether branches, remote branches and tags have all of these commits in their histories. An
    /// object without a ref does not count: git removes it sooner or later.
    pub fn are_on_refs(&self, git: &Git, commits: &[CommitId]) -> Result<bool, GitError> {
        let peeled = commits.iter().map(|commit| format!("{commit}^{{commit}}"));
        // Asked first: of what is not there, the walk below fails as if git did.
        let kinds = self
            .read(git, "cat-file")
            .arg("--batch-check=%(objecttype)")
            .stdin(Revisions::wanted(peeled).input())
            .text()?;
        if kinds.lines().any(|kind| kind != "commit") {
            return Ok(false);
        }
        let left = self
            .read(git, "rev-list")
            .args(["-n1", "--stdin", "--not", "--branches", "--remotes", "--tags"])
            .stdin(Revisions::wanted(commits).input())
            .run()?;
        Ok(left.is_empty())
    }
}
