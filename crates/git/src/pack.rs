//! Packs for sandboxes: files that are bound read-only where a sandbox needs objects. `work` is
//! never bound: through it one task could read another's.

use std::path::Path;

use midwatch_core::id::CommitId;

use crate::command::LONG;
use crate::error::GitError;
use crate::mirror::{Mirror, set_mode};
use crate::quarantine::write_pack;
use crate::revisions::Revisions;
use crate::scratch::Scratch;

/// Writes what `commit` reaches and `base` does not as one self-contained pack below
/// `<pack_dir>/objects/pack`, readable by everybody. Nothing of other tasks is in it. Doing it
/// again changes nothing.
pub fn pack_of(mirror: &Mirror, base: &CommitId, commit: &CommitId) -> Result<(), GitError> {
    whole_or_not(mirror, &mirror.pack_dir(commit), |packs| {
        mirror
            .git()
            .at(&mirror.work(), "pack-objects")
            .args(["--revs", "-q", "--delta-base-offset"])
            .arg(packs.join("pack"))
            .timeout(LONG)
            .stdin(Revisions::wanted([commit]).without([base]).input())
            .run()
            .map(drop)
    })
}

/// Makes the store of a base that is a snapshot: the packs of `upstream` by hard links (copies
/// on another file system), its cut-off marks, and the snapshot's own pack.
pub(crate) fn snapshot_store(mirror: &Mirror, base: &CommitId) -> Result<(), GitError> {
    let store = mirror.snapshot_dir(base);
    whole_or_not(mirror, &store, |packs| {
        let _locked = mirror.lock()?;
        hardlink_packs(&mirror.upstream(), packs)?;
        let (from, to) = (mirror.upstream().join("shallow"), packs.join("../../shallow"));
        match std::fs::copy(&from, &to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(GitError::io("could not copy", &from)(error));
            }
            Ok(_) | Err(_) => {}
        }
        write_pack(mirror, &mirror.work(), &[base], packs)
    })
}

/// Fills `<folder>/objects/pack`; the folder appears whole or not at all.
fn whole_or_not(
    mirror: &Mirror,
    folder: &Path,
    fill: impl FnOnce(&Path) -> Result<(), GitError>,
) -> Result<(), GitError> {
    if folder.exists() {
        return Ok(());
    }
    let scratch = Scratch::in_dir(&mirror.scratch_dir())?;
    let fresh = scratch.path().join("fresh");
    let packs = fresh.join("objects/pack");
    make_dir(&packs)?;
    for dir in [&fresh, &fresh.join("objects"), &packs] {
        set_mode(dir, 0o755)?;
    }
    fill(&packs)?;
    let entries = std::fs::read_dir(&packs).map_err(GitError::io("could not read", &packs))?;
    for entry in entries {
        let path = entry.map_err(GitError::io("could not read", &packs))?.path();
        set_mode(&path, 0o444)?;
    }
    if let Some(parent) = folder.parent() {
        make_dir(parent)?;
        set_mode(parent, 0o711)?;
    }
    match std::fs::rename(&fresh, folder) {
        // Somebody else was as quick, with the same result.
        Err(_) if folder.exists() => Ok(()),
        result => result.map_err(GitError::io("could not create", folder)),
    }
}

fn hardlink_packs(store: &Path, into: &Path) -> Result<(), GitError> {
    let from = store.join("objects/pack");
    let entries = std::fs::read_dir(&from).map_err(GitError::io("could not read", &from))?;
    for entry in entries {
        let name = entry.map_err(GitError::io("could not read", &from))?.file_name();
        let ours = [".pack", ".idx", ".rev"].iter().any(|e| name.to_string_lossy().ends_with(e));
        let (source, target) = (from.join(&name), into.join(&name));
        if ours && std::fs::hard_link(&source, &target).is_err() {
            std::fs::copy(&source, &target).map_err(GitError::io("could not copy", &source))?;
        }
    }
    Ok(())
}

fn make_dir(path: &Path) -> Result<(), GitError> {
    std::fs::create_dir_all(path).map_err(GitError::io("could not create", path))
}
