//! Listings of trees and of differences between them, as git's plumbing gives them: bytes
//! between NULs, never quoted, never renamed.

use midwatch_core::id::CommitId;

use crate::command::{Call, Input};
use crate::error::GitError;

/// The kinds of entries that a tree of files has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    File,
    Executable,
    Link,
    Gitlink,
}

impl Mode {
    fn parse(text: &[u8]) -> Option<Self> {
        match text {
            // 664 is what very old gits wrote; git itself reads it as 644.
            b"100644" | b"100664" => Some(Self::File),
            b"100755" => Some(Self::Executable),
            b"120000" => Some(Self::Link),
            b"160000" => Some(Self::Gitlink),
            _ => None,
        }
    }
}

/// One entry of a whole tree.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) mode: Mode,
    pub(crate) id: String,
    pub(crate) path: Vec<u8>,
}

/// Lists a commit's files, links and gitlinks. The call is an `ls-tree` in some repository.
pub(crate) fn tree(call: Call, commit: &CommitId) -> Result<Vec<Entry>, GitError> {
    let out = call.args(["-r", "-z", "--full-tree", commit.as_str()]).run()?;
    let mut entries = Vec::new();
    for line in out.split(|b| *b == 0).filter(|line| !line.is_empty()) {
        let odd = || GitError::unexpected("ls-tree", line);
        let tab = line.iter().position(|b| *b == b'\t').ok_or_else(odd)?;
        let mut head = line[..tab].split(|b| *b == b' ');
        let mode = head.next().and_then(Mode::parse).ok_or_else(odd)?;
        let id = head.nth(1).and_then(|id| std::str::from_utf8(id).ok()).ok_or_else(odd)?;
        entries.push(Entry { mode, id: id.to_owned(), path: line[tab + 1..].to_vec() });
    }
    Ok(entries)
}

/// One side of a changed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Side {
    pub(crate) mode: Mode,
    pub(crate) id: String,
}

/// A path that differs between two trees.
#[derive(Debug, Clone)]
pub(crate) struct Difference {
    /// The commit that the change is charged to.
    pub(crate) commit: CommitId,
    pub(crate) old: Option<Side>,
    pub(crate) new: Option<Side>,
    pub(crate) path: Vec<u8>,
}

/// Compares pairs of commits, `(older, newer)`; the older one may be none: everything is new.
/// The call is a `diff-tree` in some repository.
pub(crate) fn differences(
    call: Call,
    pairs: &[(Option<CommitId>, CommitId)],
) -> Result<Vec<Difference>, GitError> {
    let mut asked = String::new();
    for (old, new) in pairs {
        asked.push_str(new.as_str());
        if let Some(old) = old {
            asked.push(' ');
            asked.push_str(old.as_str());
        }
        asked.push('\n');
    }
    let out = call
        .args(["--stdin", "-r", "-z", "--no-renames", "--raw", "--root", "--no-abbrev", "--always"])
        .arg("--ignore-submodules=none")
        .stdin(Input::Bytes(asked.into_bytes()))
        .run()?;
    parse_differences(&out, pairs)
}

fn parse_differences(
    out: &[u8],
    pairs: &[(Option<CommitId>, CommitId)],
) -> Result<Vec<Difference>, GitError> {
    let mut all = Vec::new();
    let mut heads = pairs.iter().map(|(_, new)| new);
    let mut current: Option<&CommitId> = None;
    let mut fields = out.split(|b| *b == 0).filter(|field| !field.is_empty());
    while let Some(field) = fields.next() {
        let odd = || GitError::unexpected("diff-tree", field);
        let Some(raw) = field.strip_prefix(b":") else {
            // The name of the next commit; each asked one must answer, in order.
            let next = heads.next().ok_or_else(odd)?;
            if field != next.as_str().as_bytes() {
                return Err(odd());
            }
            current = Some(next);
            continue;
        };
        let parts: Vec<&[u8]> = raw.split(|b| *b == b' ').collect();
        let [old_mode, new_mode, old_id, new_id, _status] = parts[..] else { return Err(odd()) };
        let side = |mode: &[u8], id: &[u8]| -> Result<Option<Side>, GitError> {
            if mode == b"000000" {
                return Ok(None);
            }
            let mode = Mode::parse(mode).ok_or_else(odd)?;
            let id = std::str::from_utf8(id).map_err(|_| odd())?.to_owned();
            Ok(Some(Side { mode, id }))
        };
        all.push(Difference {
            commit: current.ok_or_else(odd)?.clone(),
            old: side(old_mode, old_id)?,
            new: side(new_mode, new_id)?,
            path: fields.next().ok_or_else(odd)?.to_vec(),
        });
    }
    match heads.next() {
        None => Ok(all),
        Some(missing) => Err(GitError::unexpected("diff-tree", missing.as_str().as_bytes())),
    }
}
