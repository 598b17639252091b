//! Reading and setting refs by exact name.

use std::path::Path;

use midwatch_core::id::CommitId;

use crate::command::{Call, Git, Input};
use crate::error::GitError;

/// Who our commits and reflog entries are by.
pub const NAME: &str = "Midwatch";
/// The address beside [`NAME`].
pub const EMAIL: &str = "midwatch@localhost";

/// The id that a ref of this exact name holds. The call is a `for-each-ref`.
pub(crate) fn read(call: Call, name: &str) -> Result<Option<CommitId>, GitError> {
    let all = list(call, name)?;
    Ok(all.into_iter().find(|(found, _)| found == name).map(|(_, id)| id))
}

/// The refs at or below a name, peeled to commits; others are left out. The call is a
/// `for-each-ref`.
pub(crate) fn list(call: Call, prefix: &str) -> Result<Vec<(String, CommitId)>, GitError> {
    let format = "--format=%(objecttype) %(objectname) %(*objecttype) %(*objectname) %(refname)";
    let out = call.arg(format).arg(prefix).run()?;
    let mut refs = Vec::new();
    for line in String::from_utf8_lossy(&out).lines() {
        let mut parts = line.splitn(5, ' ');
        let (Some(kind), Some(id), Some(inner_kind), Some(inner), Some(name)) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(GitError::unexpected("for-each-ref", line.as_bytes()));
        };
        let commit = match (kind, inner_kind) {
            ("commit", _) => id,
            ("tag", "commit") => inner,
            _ => continue,
        };
        refs.push((name.to_owned(), CommitId::parse(commit)?));
    }
    Ok(refs)
}

/// What a ref must hold before it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before<'a> {
    /// Anything.
    Any,
    /// It must not exist.
    Absent,
    /// Exactly this.
    At(&'a CommitId),
}

/// Sets a ref in one step, only if it holds what it should. The call is an `update-ref`.
pub(crate) fn set(
    call: Call,
    name: &str,
    to: &CommitId,
    before: Before<'_>,
) -> Result<(), GitError> {
    let line = match before {
        Before::Any => format!("update {name}\0{to}\0\0"),
        Before::Absent => format!("create {name}\0{to}\0"),
        Before::At(old) => format!("update {name}\0{to}\0{old}\0"),
    };
    update(call, line)
}

/// Sets several refs, all or none, whatever they hold. The call is an `update-ref`.
pub(crate) fn set_all(call: Call, refs: &[(String, CommitId)]) -> Result<(), GitError> {
    update(
        call,
        refs.iter()
            .map(|(name, to)| format!("update {name}\0{to}\0\0"))
            .collect::<Vec<_>>()
            .concat(),
    )
}

fn update(call: Call, line: String) -> Result<(), GitError> {
    call.args(["--stdin", "-z", "--no-deref", "-m", "midwatch"])
        .env("GIT_COMMITTER_NAME", NAME)
        .env("GIT_COMMITTER_EMAIL", EMAIL)
        .stdin(Input::Bytes(line.into_bytes()))
        .run()
        .map(drop)
}

/// Removes a ref; one that is not there is no error.
pub(crate) fn remove(git: &Git, git_dir: &Path, name: &str) -> Result<(), GitError> {
    git.at(git_dir, "update-ref").args(["--no-deref", "-d", name]).run().map(drop)
}
