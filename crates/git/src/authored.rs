//! Commits of our own: by us, at a given time, so that the same is made again with the same id.

use midwatch_core::id::CommitId;

use crate::command::{Call, Input};
use crate::error::GitError;
use crate::refs::{EMAIL, NAME};

/// Commits a tree on a parent; `when` is in seconds since 1970. The call is a `commit-tree`.
pub(crate) fn commit(
    call: Call,
    tree: &str,
    parent: &CommitId,
    when: i64,
    message: impl Into<Vec<u8>>,
) -> Result<CommitId, GitError> {
    let date = format!("@{when} +0000");
    let made = call
        .args([tree, "-p", parent.as_str(), "-F", "-"])
        .env("GIT_AUTHOR_NAME", NAME)
        .env("GIT_AUTHOR_EMAIL", EMAIL)
        .env("GIT_AUTHOR_DATE", &date)
        .env("GIT_COMMITTER_NAME", NAME)
        .env("GIT_COMMITTER_EMAIL", EMAIL)
        .env("GIT_COMMITTER_DATE", &date)
        .stdin(Input::Bytes(message.into()))
        .text()?;
    CommitId::parse(&made).map_err(GitError::Input)
}
