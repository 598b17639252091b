//! The trash: one rename takes a thing out of everybody's sight, and what is in it is removed at
//! leisure.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::folder::StateFolder;

/// The trash of a state folder.
#[derive(Debug, Clone)]
pub struct Trash {
    folder: PathBuf,
}

impl Trash {
    /// Names only; nothing is made.
    pub fn of(folder: &StateFolder) -> Self {
        Self { folder: folder.root().join("trash") }
    }

    /// Takes a file or folder away. When it is an error and the path is gone, the rest is in the
    /// trash and goes next time; nothing that is not there is no error.
    pub fn take(&self, path: &Path) -> io::Result<()> {
        match self.put_in(path) {
            Ok(there) => crate::sweep::remove_tree(&there),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Moves a file or folder into the trash in one step; says where it is now.
    pub(super) fn put_in(&self, path: &Path) -> io::Result<PathBuf> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        fs::create_dir_all(&self.folder)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let there = self.folder.join(format!("{number}-{name}"));
            if there.symlink_metadata().is_err() {
                fs::rename(path, &there)?;
                return Ok(there);
            }
        }
    }

    /// What is in it.
    pub(super) fn entries(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return vec![] };
        entries.flatten().map(|entry| entry.path()).collect()
    }
}
