//! Folders that hostile code wrote, looked at by descriptor: no name in them is ever followed
//! out of the folder that it stands in.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};

/// How deep a tree may be before a walk gives up on it: each level holds a descriptor.
pub(super) const DEEPEST: usize = 200;

const OPEN: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens a folder of our own by path; only its last part is checked not to be a link.
pub(super) fn open(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(CWD, path, OPEN, Mode::empty())?)
}

/// Opens a folder within a folder, never through a link.
pub(super) fn open_in(parent: impl AsFd, name: &CStr) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(parent, name, OPEN, Mode::empty())?)
}

/// As [`open_in`], for a folder that hostile code left without permissions: first makes it
/// ours to enter. Only where that code is dead, as the name is looked up twice.
pub(super) fn open_any(parent: impl AsFd, name: &CStr) -> io::Result<OwnedFd> {
    let stat = stat_in(&parent, name)?;
    let mode = Mode::from_raw_mode(stat.st_mode);
    if is_folder(&stat) && !mode.contains(Mode::RWXU) {
        rustix::fs::chmodat(&parent, name, mode | Mode::RWXU, AtFlags::empty())?;
    }
    open_in(parent, name)
}

/// What a name stands for, a link itself and not its target.
pub(super) fn stat_in(parent: impl AsFd, name: &CStr) -> io::Result<Stat> {
    Ok(rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Whether it is a folder.
pub(super) fn is_folder(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// The names in a folder, without `.` and `..`.
pub(super) fn names(folder: impl AsFd) -> io::Result<Vec<CString>> {
    let mut found = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_bytes() != b"." && name.to_bytes() != b".." {
            found.push(name.to_owned());
        }
    }
    Ok(found)
}

/// Removes a tree of dead hostile code, whatever its permissions and its depth; no such tree is
/// no error.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let name = CString::new(std::os::unix::ffi::OsStrExt::as_bytes(name))?;
    let parent = match open(parent) {
        Ok(parent) => parent,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut removal = Removal { top: parent, deep: Vec::new(), moved: 0 };
    removal.remove(None, &name, 0)?;
    while let Some(name) = removal.deep.pop() {
        removal.remove(None, &name, 0)?;
    }
    Ok(())
}

struct Removal {
    top: OwnedFd,
    /// What lay too deep, moved beside the tree; removed after it.
    deep: Vec<CString>,
    moved: u32,
}

impl Removal {
    /// `parent` is none for the folder that the tree stands in.
    fn remove(&mut self, parent: Option<&OwnedFd>, name: &CStr, depth: usize) -> io::Result<()> {
        let here = parent.unwrap_or(&self.top);
        let stat = match stat_in(here, name) {
            Ok(stat) => stat,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if !is_folder(&stat) {
            return Ok(rustix::fs::unlinkat(here, name, AtFlags::empty())?);
        }
        let folder = open_any(here, name)?;
        if depth > DEEPEST {
            self.moved += 1;
            let id = std::process::id();
            let beside = CString::new(format!(".midwatch-deep-{id}-{}", self.moved))?;
            rustix::fs::renameat(here, name, &self.top, &beside)?;
            self.deep.push(beside);
            return Ok(());
        }
        for inner in names(&folder)? {
            self.remove(Some(&folder), &inner, depth + 1)?;
        }
        let here = parent.unwrap_or(&self.top);
        Ok(rustix::fs::unlinkat(here, name, AtFlags::REMOVEDIR)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_tree_is_removed_but_nothing_behind_its_links() {
        let place = tempfile::tempdir().unwrap();
        let outside = place.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "x").unwrap();
        let tree = place.path().join("tree");
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::write(tree.join("a/b/file"), "x").unwrap();
        symlink(&outside, tree.join("a/link")).unwrap();
        fs::set_permissions(tree.join("a/b"), fs::Permissions::from_mode(0o000)).unwrap();
        remove_tree(&tree).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists() && outside.join("kept").exists());
    }

    #[test]
    fn a_tree_deeper_than_any_path_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let tree = place.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let mut folder = open(&tree).unwrap();
        for _ in 0..1000 {
            rustix::fs::mkdirat(&folder, c"deep-name", Mode::RWXU).unwrap();
            folder = open_in(&folder, c"deep-name").unwrap();
        }
        remove_tree(&tree).unwrap();
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }
}
