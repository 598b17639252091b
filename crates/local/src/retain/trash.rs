//! The trash: one rename takes a thing out of everybody's sight, and what is in it is removed at
//! leisure.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::folder::StateFolder;
use crate::point::Point;

/// The trash of a state folder.
#[derive(Debug, Clone)]
pub struct Trash {
    root: PathBuf,
    folder: PathBuf,
    point: Point,
}

impl Trash {
    /// Names only; nothing is made.
    pub fn of(folder: &StateFolder, point: Point) -> Self {
        let root = folder.root().to_owned();
        Self { folder: root.join("trash"), root, point }
    }

    /// Takes a file or folder away. When it is an error and the path is gone, the rest is in the
    /// trash and goes next time; nothing that is not there is no error.
    pub fn take(&self, path: &Path) -> io::Result<()> {
        match self.put_in(path) {
            Ok(there) => {
                let removed = crate::sweep::remove_tree(&there);
                (self.point)("after-trash", self.what(path));
                removed
            }
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
                (self.point)("before-trash", self.what(path));
                fs::rename(path, &there)?;
                (self.point)("in-trash", self.what(path));
                return Ok(there);
            }
        }
    }

    /// The part of the state folder that something is in, such as `runs`.
    fn what<'a>(&self, path: &'a Path) -> &'a str {
        let inside = path.strip_prefix(&self.root).ok();
        let first = inside.and_then(|inside| inside.iter().next());
        first.and_then(|first| first.to_str()).unwrap_or_default()
    }

    /// Who is told before and after everything that goes.
    pub(super) const fn point(&self) -> Point {
        self.point
    }

    /// What is in it.
    pub(super) fn entries(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return vec![] };
        entries.flatten().map(|entry| entry.path()).collect()
    }
}
