//! Folders that git cannot open, though they belong to the tree: their path is longer than the
//! system takes, or they are not ours. git warns, passes them over, and ends with 0.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, openat};

use super::git::{Git, GitError};

/// Bytes of a path with its closing zero (limits.h).
const PATH_MAX: usize = 4096;

/// Whether git may have passed a folder over: it said anything. Only the end of that is kept, and
/// paths in it are cut, so our own walk decides.
pub(super) fn may_be_there(stderr: &[u8]) -> bool {
    !stderr.is_empty()
}

/// Whether no call of the system takes the path of a file.
pub(super) fn is_too_long(path: &[u8]) -> bool {
    path.len() >= PATH_MAX
}

/// The uppermost folders of the tree that cannot be opened, but for those that ignore rules hide.
pub(super) fn folders(git: &Git) -> Result<Vec<PathBuf>, GitError> {
    let told = |source| GitError::Io { what: "the tree".to_owned(), source };
    let mut found = walk(git.tree()).map_err(told)?;
    if !found.is_empty() {
        let args = ["ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z"];
        let listed = git.call(args).output()?;
        let ignored: Vec<&Path> = listed
            .split(|byte| *byte == 0)
            .filter_map(|path| path.strip_suffix(b"/"))
            .map(|path| Path::new(OsStr::from_bytes(path)))
            .collect();
        found.retain(|folder| !ignored.iter().any(|path| folder.starts_with(path)));
    }
    Ok(found)
}

fn walk(tree: &Path) -> io::Result<Vec<PathBuf>> {
    let root = open(CWD, tree)?;
    let (mut found, mut waiting) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(folder) = waiting.pop() {
        match look(&root, &folder) {
            Ok(below) => waiting.extend(below),
            Err(_closed) => found.push(folder),
        }
    }
    Ok(found)
}

/// The folders in a folder, opened by the path that git takes, which ends with a slash.
fn look(root: &OwnedFd, folder: &Path) -> io::Result<Vec<PathBuf>> {
    if folder.as_os_str().len() + 1 >= PATH_MAX {
        return Err(io::ErrorKind::InvalidFilename.into());
    }
    let opened = if folder.as_os_str().is_empty() { None } else { Some(open(root, folder)?) };
    let mut below = Vec::new();
    for entry in Dir::read_from(opened.as_ref().unwrap_or(root))? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if entry.file_type() == FileType::Directory && !matches!(name, b"." | b".." | b".git") {
            below.push(folder.join(OsStr::from_bytes(name)));
        }
    }
    Ok(below)
}

/// A link is not followed: what it leads to is nobody's business here.
fn open(at: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(at, path, flags, Mode::empty())?)
}
