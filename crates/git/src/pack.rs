//! Packs for sandboxes: files that are bound read-only where a sandbox needs objects. The stores
//! themselves are never bound.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use midwatch_core::id::CommitId;

use crate::command::LONG;
use crate::error::GitError;
use crate::inspect::read_shallow;
use crate::mirror::Mirror;
use crate::quarantine::write_pack;
use crate::revisions::{Revisions, lines};

/// Writes what `commit` reaches and `base` does not as one self-contained pack below
/// `dir/objects/pack`, readable by everybody. Nothing of other tasks is in it. Doing it again
/// changes nothing.
pub fn pack_of(
    mirror: &Mirror,
    base: &CommitId,
    commit: &CommitId,
    dir: &Path,
) -> Result<(), GitError> {
    let packs = dir.join("objects/pack");
    make_dir(&dir.join("objects"))?;
    make_dir(&packs)?;
    if base != commit {
        mirror
            .git()
            .at(&mirror.work(), "pack-objects")
            .args(["--revs", "-q", "--delta-base-offset"])
            .arg(packs.join("pack"))
            .timeout(LONG)
            .stdin(Revisions::wanted([commit]).without([base]).input())
            .run()?;
    }
    open_up(&packs)
}

/// Gives a base checkout's `.git` the objects of `upstream` by hard links (copies on another
/// file system), the cut-off marks of a shallow history, and where the base is a snapshot, its
/// own pack.
pub fn base_objects(mirror: &Mirror, base: &CommitId, git_dir: &Path) -> Result<(), GitError> {
    let packs = git_dir.join("objects/pack");
    for dir in [git_dir.join("objects"), git_dir.join("objects/info"), packs.clone()] {
        make_dir(&dir)?;
    }
    let _locked = mirror.lock()?;
    hardlink_packs(&mirror.upstream(), &packs)?;
    if !mirror.has_upstream(base)? {
        write_pack(mirror, &mirror.work(), &[base], &packs)?;
    }
    let shallow = lines("", read_shallow(&mirror.upstream())?);
    if !shallow.is_empty() {
        let path = git_dir.join("shallow");
        std::fs::write(&path, shallow).map_err(GitError::io("could not write", &path))?;
    }
    open_up(&packs)
}

fn hardlink_packs(store: &Path, into: &Path) -> Result<(), GitError> {
    let from = store.join("objects/pack");
    let entries = std::fs::read_dir(&from).map_err(GitError::io("could not read", &from))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(GitError::io("could not read", &from))?.file_name());
    }
    // The index last: a pack counts from the moment that its index is there.
    names.sort_by_key(|name| name.to_string_lossy().ends_with(".idx"));
    for name in names {
        let known =
            [".pack", ".idx", ".rev"].iter().any(|end| name.to_string_lossy().ends_with(end));
        let (source, target) = (from.join(&name), into.join(&name));
        if !known || target.exists() {
            continue;
        }
        if std::fs::hard_link(&source, &target).is_err() {
            std::fs::copy(&source, &target).map_err(GitError::io("could not copy", &source))?;
        }
    }
    Ok(())
}

fn make_dir(path: &Path) -> Result<(), GitError> {
    std::fs::create_dir_all(path).map_err(GitError::io("could not create", path))?;
    mode(path, 0o755)
}

fn open_up(packs: &Path) -> Result<(), GitError> {
    let entries = std::fs::read_dir(packs).map_err(GitError::io("could not read", packs))?;
    for entry in entries {
        let path = entry.map_err(GitError::io("could not read", packs))?.path();
        mode(&path, 0o444)?;
    }
    Ok(())
}

fn mode(path: &Path, mode: u32) -> Result<(), GitError> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .map_err(GitError::io("could not open up", path))
}
