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

/// Where other users can work, too.
const SHARED: &str = "/tmp";

/// How every name begins.
const NAME: &str = "midwatch-git-";

static NEXT: AtomicU64 = AtomicU64::new(0);

/// The process, and something that nobody guesses: `/tmp` is everybody's.
fn prefix() -> &'static str {
    static PREFIX: OnceLock<String> = OnceLock::new();
    PREFIX.get_or_init(|| {
        let mut bytes = [0_u8; 8];
        let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
        if filled != Ok(bytes.len()) {
            bytes = u64::from(std::process::id()).to_le_bytes();
        }
        format!("{NAME}{}-{}-", std::process::id(), hex(&bytes))
    })
}

impl Scratch {
    /// Makes a folder below `parent`, which is made too.
    pub(crate) fn in_dir(parent: &Path) -> Result<Self, GitError> {
        std::fs::create_dir_all(parent).map_err(GitError::io("could not create", parent))?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("{}{number}", prefix()));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(GitError::io("could not create", &path))?;
        Ok(Self { path })
    }

    /// Makes a folder that another user's git can work in: it must lie outside our own state,
    /// which that user cannot enter.
    pub(crate) fn shared(owner: Option<Owner>) -> Result<Self, GitError> {
        let parent = Path::new(SHARED);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("{}{number}", prefix()));
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

    /// Removes what processes that are gone left below `parent` and among the shared ones.
    pub(crate) fn sweep(parent: &Path) {
        for dir in [parent, Path::new(SHARED)] {
            let Ok(entries) = std::fs::read_dir(dir) else { continue };
            for entry in entries.flatten() {
                if is_left_over(&entry.file_name().to_string_lossy()) {
                    let _ = std::fs::remove_dir_all(entry.path());
                }
            }
        }
    }
}

/// Names begin with the process that made them; a client and the server may work in one mirror.
fn is_left_over(name: &str) -> bool {
    let pid = name.strip_prefix(NAME).and_then(|rest| rest.split('-').next());
    pid.and_then(|pid| pid.parse::<u32>().ok())
        .is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists())
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_dead_left_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        let ours = Scratch::in_dir(dir.path()).unwrap();
        // No process has this number: it is above the kernel's largest.
        let dead = dir.path().join(format!("{NAME}4999999-aa-0"));
        let other = dir.path().join("something-else");
        std::fs::create_dir(&dead).unwrap();
        std::fs::create_dir(&other).unwrap();
        Scratch::sweep(dir.path());
        assert!(ours.path().exists() && other.exists() && !dead.exists());
    }
}
