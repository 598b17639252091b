//! `--include-dirty`: the uncommitted work of a checkout as one commit on HEAD, made in a git
//! directory of ours. Their index, HEAD, objects and worktree stay as they are.

use std::path::Path;

use midwatch_core::id::CommitId;

use crate::authored;
use crate::command::{Input, LONG};
use crate::error::GitError;
use crate::inspect::{Change, Checkout, DirtyFile, InspectError, ShadowIndex};
use crate::mirror::Mirror;
use crate::pack;
use crate::refs::{self, Before};
use crate::revisions::Revisions;

/// The most that untracked and changed files may hold together, in bytes: a forgotten disk image
/// is no work.
const SNAPSHOT_CAP: u64 = 1 << 30;
/// The message of a snapshot.
const MESSAGE: &str = "Uncommitted work, taken along by --include-dirty\n";

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its commit, kept in `work`; HEAD itself when nothing differed.
    pub commit: CommitId,
    /// What it stands on.
    pub head: CommitId,
    /// What was taken along.
    pub files: Vec<DirtyFile>,
    /// Repositories inside the worktree, which were not.
    pub nested: Vec<DirtyFile>,
}

/// Takes a snapshot of a checkout into `work`, kept by the ref `target`. HEAD must have been
/// fetched before. `when` is its date in seconds since 1970: the same work gives the same id.
pub fn snapshot(
    mirror: &Mirror,
    checkout: &Checkout,
    global_excludes: Option<&Path>,
    target: &str,
    when: i64,
) -> Result<Snapshot, InspectError> {
    let git = mirror.git();
    let head = checkout.head_commit(git)?;
    let shadow = ShadowIndex::of(git, checkout)?;
    let (nested, files): (Vec<_>, Vec<_>) = shadow
        .dirty(git, &head, global_excludes)?
        .into_iter()
        .partition(|file| file.change == Change::NestedRepository);
    check_size(&shadow, &files)?;
    let commit = if files.is_empty() {
        head.clone()
    } else {
        let mut paths = Vec::new();
        for file in &files {
            paths.extend_from_slice(&file.path);
            paths.push(0);
        }
        shadow
            .call(git, "update-index")
            .args(["--add", "--remove", "-z", "--stdin"])
            .timeout(LONG)
            .stdin(Input::Bytes(paths))
            .run()?;
        let tree = shadow.call(git, "write-tree").timeout(LONG).text()?;
        let call = shadow.call(git, "commit-tree");
        let commit = authored::commit(call, &tree, &head, when, MESSAGE)?;
        bring(mirror, &shadow, &commit, &head)?;
        commit
    };
    let set = git.at(&mirror.work(), "update-ref");
    refs::set(set, target, &commit, Before::Any)?;
    if commit != head {
        pack::snapshot_store(mirror, &commit)?;
    }
    Ok(Snapshot { commit, head, files, nested })
}

fn bring(
    mirror: &Mirror,
    shadow: &ShadowIndex,
    commit: &CommitId,
    head: &CommitId,
) -> Result<(), GitError> {
    let pack = shadow
        .call(mirror.git(), "pack-objects")
        .args(["--revs", "--stdout", "-q", "--delta-base-offset", "--no-use-bitmap-index"])
        .timeout(LONG)
        .stdin(Revisions::wanted([commit]).without([head]).input());
    mirror
        .git()
        .at(&mirror.work(), "index-pack")
        .args(["--strict", "--stdin"])
        .timeout(LONG)
        .stdin(Input::Call(Box::new(pack)))
        .run()
        .map(drop)
}

fn check_size(shadow: &ShadowIndex, files: &[DirtyFile]) -> Result<(), GitError> {
    use std::os::unix::ffi::OsStrExt;
    let mut left = SNAPSHOT_CAP;
    for file in files {
        let path = shadow.top().join(std::ffi::OsStr::from_bytes(&file.path));
        let size = path.symlink_metadata().map_or(0, |metadata| metadata.len());
        left = left.checked_sub(size).ok_or_else(|| {
            let detail =
                format!("uncommitted files hold over {SNAPSHOT_CAP} bytes, among them {file}");
            GitError::Unexpected { what: "snapshot", detail }
        })?;
    }
    Ok(())
}
