//! Whether a user's repository has a commit, and for good.

use midwatch_core::id::CommitId;

use super::Checkout;
use crate::command::Git;
use crate::error::GitError;

impl Checkout {
    /// Whether a commit is there, on a ref or not.
    pub fn has(&self, git: &Git, commit: &CommitId) -> Result<bool, GitError> {
        let asked = self.read(git, "cat-file").args(["-e", &format!("{commit}^{{commit}}")]);
        Ok(asked.finish()?.code == Some(0))
    }

    /// Whether a branch, a remote branch or a tag has a commit in its history. An object without
    /// a ref does not count: git removes it sooner or later.
    pub fn is_on_a_ref(&self, git: &Git, commit: &CommitId) -> Result<bool, GitError> {
        if !self.has(git, commit)? {
            return Ok(false);
        }
        let refs = self
            .read(git, "for-each-ref")
            .args(["--count=1", "--format=%(refname)", "--contains", commit.as_str()])
            .args(["refs/heads", "refs/remotes", "refs/tags"])
            .run()?;
        Ok(!refs.is_empty())
    }
}
