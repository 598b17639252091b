//! Saving work that did not come to an end: checkpoints while a run lives, and everything that
//! an agent's repository held after it failed. No gate but git's own check of the objects: it
//! is kept, not published.

use std::path::{Path, PathBuf};

use midwatch_core::id::{BranchName, CommitId};

use super::{ImportError, received};
use crate::bundle::Bundle;
use crate::error::GitError;
use crate::mirror::Mirror;
use crate::quarantine::Objects;
use crate::refs;

mod trees;

/// The most refs that are kept of one rescue.
const REFS_KEPT: usize = 500;

/// What is to be saved.
#[derive(Debug, Clone, Copy)]
pub struct RescueOrder<'a> {
    /// The folder that the sandbox wrote to.
    pub dir: &'a Path,
    /// The bundle's name in it.
    pub name: &'a str,
    /// The task's base.
    pub base: &'a CommitId,
    /// Commits of the same task in `work` that the bundle may stand on.
    pub known: &'a [CommitId],
    /// The bundle's cap in bytes.
    pub bundle_bytes: u64,
}

/// What was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescued {
    /// Full ref names in `work`, with what they hold.
    pub refs: Vec<(String, CommitId)>,
    /// How many refs were left out: no commits, or over the cap.
    pub left_out: usize,
    /// Git refused its commits: each ref holds one of ours with the same files.
    pub as_trees: bool,
}

/// Saves the one commit of a checkpoint's bundle at a ref, in the place of an earlier one.
pub fn checkpoint(
    mirror: &Mirror,
    order: &RescueOrder<'_>,
    target: &str,
) -> Result<CommitId, ImportError> {
    let bundle = Bundle::open(order.dir, order.name, order.bundle_bytes)?;
    let [(_, head)] = bundle.header.refs.as_slice() else {
        return Err(ImportError::Refs(bundle.header.refs.len()));
    };
    let head = head.clone();
    let rescued = keep(mirror, order, bundle, &[(target.to_owned(), head.clone())])?;
    match rescued.refs.as_slice() {
        [_] => Ok(head),
        _ => Err(ImportError::NotDescendant(head)),
    }
}

/// Saves every ref of a rescue's bundle below a prefix such as
/// `refs/midwatch/rescue/<task>/<epoch>`. Names are ours: what does not fit our grammar is
/// numbered. Where git refuses its commits, the bundle is kept as `file` before any ref is set: who
/// finds a ref later knows that the rescue is whole.
pub fn rescue(
    mirror: &Mirror,
    order: &RescueOrder<'_>,
    prefix: &str,
    file: &str,
) -> Result<Rescued, ImportError> {
    let bundle = Bundle::open(order.dir, order.name, order.bundle_bytes)?;
    let mut names: Vec<(String, CommitId)> = Vec::new();
    for (index, (name, id)) in bundle.header.refs.iter().enumerate().take(REFS_KEPT) {
        let short = name.strip_prefix("refs/rescue/").or_else(|| name.strip_prefix("refs/"));
        let short = short.unwrap_or(name).replace(['@', '{', '}'], "-");
        let short = short.trim_end_matches('-');
        let fits = BranchName::parse(short).is_ok() && short.len() < 150;
        let name = if fits { format!("{prefix}/{short}") } else { format!("{prefix}/ref-{index}") };
        let taken = |name: &str| {
            names.iter().any(|(other, _)| {
                other == name
                    || other.starts_with(&format!("{name}/"))
                    || name.starts_with(&format!("{other}/"))
            })
        };
        let name = if taken(&name) { format!("{prefix}/ref-{index}") } else { name };
        names.push((name, id.clone()));
    }
    let over = bundle.header.refs.len().saturating_sub(REFS_KEPT);
    let mut rescued = match keep(mirror, order, bundle, &names) {
        // What still is refused then is no matter of commits: the first answer says it all.
        Err(refused @ ImportError::Objects(_)) => {
            keep_file(mirror, order, file)?;
            match trees::keep(mirror, order, &names) {
                Err(ImportError::Objects(_)) => return Err(refused),
                rescued => rescued?,
            }
        }
        rescued => rescued?,
    };
    rescued.left_out += over;
    Ok(rescued)
}

/// Keeps a bundle that could not be imported as the file that it is, so that nothing is lost.
/// Regular files only. It is there whole, or not at all.
pub fn keep_file(
    mirror: &Mirror,
    order: &RescueOrder<'_>,
    name: &str,
) -> Result<PathBuf, GitError> {
    use std::os::unix::fs::OpenOptionsExt;
    let from = order.dir.join(order.name);
    let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let no_wait = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let source = std::fs::File::options()
        .read(true)
        .custom_flags(no_follow | no_wait)
        .open(&from)
        .map_err(GitError::io("could not open", &from))?;
    let metadata = source.metadata().map_err(GitError::io("could not read", &from))?;
    if !metadata.is_file() || metadata.len() > order.bundle_bytes {
        return Err(GitError::unexpected("bundle", b"it is no regular file, or too large"));
    }
    let dir = mirror.kept_bundles();
    std::fs::create_dir_all(&dir).map_err(GitError::io("could not create", &dir))?;
    let (to, new) = (dir.join(name), dir.join(format!("{name}.new")));
    let write = || {
        let mut kept = std::fs::File::create(&new)?;
        std::io::copy(&mut std::io::Read::take(source, order.bundle_bytes), &mut kept)?;
        kept.sync_all()?;
        std::fs::rename(&new, &to)?;
        std::fs::File::open(&dir)?.sync_all()
    };
    write().map_err(|error| {
        // Half of it must not take the room that the next try needs.
        let _nothing_to_remove = std::fs::remove_file(&new);
        GitError::io("could not write", &to)(error)
    })?;
    Ok(to)
}

fn keep(
    mirror: &Mirror,
    order: &RescueOrder<'_>,
    bundle: Bundle,
    names: &[(String, CommitId)],
) -> Result<Rescued, ImportError> {
    let mut standing: Vec<CommitId> = vec![order.base.clone()];
    standing.extend_from_slice(order.known);
    let quarantine = received(mirror, bundle, &standing, order.bundle_bytes, Objects::Sound)?;
    let mut kept = Vec::new();
    let mut left_out = 0;
    for (name, id) in names {
        // A tag stands for its commit; what stands for none is no work.
        let peeled = quarantine
            .call("rev-parse")
            .args(["--verify", "-q", &format!("{id}^{{commit}}")])
            .finish()?;
        match CommitId::parse(String::from_utf8_lossy(&peeled.stdout).trim()) {
            Ok(commit) if peeled.code == Some(0) => kept.push((name.clone(), commit)),
            Ok(_) | Err(_) => left_out += 1,
        }
    }
    if kept.is_empty() {
        return Ok(Rescued { refs: kept, left_out, as_trees: false });
    }
    let tips: Vec<CommitId> = kept.iter().map(|(_, id)| id.clone()).collect();
    quarantine.admit(&tips, &standing)?;
    // All or none: who finds one later knows that the rescue is whole.
    refs::set_all(mirror.git().at(&mirror.work(), "update-ref"), &kept)?;
    Ok(Rescued { refs: kept, left_out, as_trees: false })
}
