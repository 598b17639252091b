//! Folders for one piece of work, removed when it ends, and swept after a crash.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::command::Owner;
use crate::error::GitError;
use crate::hex::hex;

/// A private folder (0700) that is removed on drop.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
}

static NEXT: AtomicU64 = AtomicU64::new(0);

/// Tells this process's folders from those that a dead one left.
fn process_token() -> &'static str {
    static TOKEN: OnceLock<String> = OnceLock::new();
    TOKEN.get_or_init(|| {
        let mut bytes = [0_u8; 8];
        let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
        if filled != Ok(bytes.len()) {
            bytes = u64::from(std::process::id()).to_le_bytes();
        }
        hex(&bytes)
    })
}

impl Scratch {
    /// Makes a folder below `parent`, which is made too.
    pub(crate) fn in_dir(parent: &Path) -> Result<Self, GitError> {
        std::fs::create_dir_all(parent).map_err(GitError::io("could not create", parent))?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("{}-{number}", process_token()));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(GitError::io("could not create", &path))?;
        Ok(Self { path })
    }

    /// Makes a folder that another user's git can work in: it must lie outside our own state,
    /// which that user cannot enter.
    pub(crate) fn shared(owner: Option<Owner>) -> Result<Self, GitError> {
        let parent = Path::new("/tmp");
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("midwatch-git-{}-{number}", process_token()));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(GitError::io("could not create", &path))?;
        let scratch = Self { path };
        Self::give(&scratch.path, owner)?;
        Ok(scratch)
    }

    /// Hands a path inside over to the user that works there.
    pub(crate) fn give(path: &Path, owner: Option<Owner>) -> Result<(), GitError> {
        let Some(Owner { uid, gid }) = owner else { return Ok(()) };
        std::os::unix::fs::lchown(path, Some(uid), Some(gid))
            .map_err(GitError::io("could not hand over", path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what processes before this one left below `parent`.
    pub(crate) fn sweep(parent: &Path) {
        let Ok(entries) = std::fs::read_dir(parent) else { return };
        for entry in entries.flatten() {
            if !entry.file_name().to_string_lossy().starts_with(process_token()) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
