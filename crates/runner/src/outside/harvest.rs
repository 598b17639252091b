//! What is kept of a setup: untracked paths of the workspace and named cache folders of HOME.
//!
//! The code that wrote them is dead, and all of it was hostile. Nothing is followed, nothing
//! that the commit tracks is taken, nor anything called `.git`: a hook planted by setup ran in
//! the next sandbox, and above the base it replaced tracked files (measured).

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, Uid};

use super::folder;

mod clean;
mod tracked;

use clean::clean_file;
use tracked::{Tracked, is_git, state};

/// Mode of a layer's folders. Go makes its module cache read-only, which nobody can remove.
const FOLDER_MODE: Mode =
    Mode::RWXU.union(Mode::RGRP).union(Mode::XGRP).union(Mode::ROTH).union(Mode::XOTH);

/// Why there is no layer.
#[derive(Debug, thiserror::Error)]
pub(super) enum HarvestError {
    /// A tree deeper than a walk goes.
    #[error("{0} is nested too deep")]
    TooDeep(PathBuf),
    /// Anything else.
    #[error("{path}: {error}")]
    Io {
        /// Where.
        path: PathBuf,
        /// What.
        error: io::Error,
    },
}

/// Who owns a layer's folders: the uid and gid that sandboxes have to the kernel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    /// User.
    pub(super) uid: u32,
    /// Group.
    pub(super) gid: u32,
}

/// Moves what is untracked in a workspace's upper layer into `layer`, which is an empty folder
/// on the same file system. `tracked` are whole trees of what the commit has, the topmost
/// first. Returns the topmost untracked paths.
pub(super) fn workspace(
    upper: &Path,
    tracked: &[PathBuf],
    layer: &Path,
    owner: Owner,
) -> Result<Vec<PathBuf>, HarvestError> {
    let tracked = tracked.iter().map(|tree| open(tree).map(Some)).collect::<Result<Vec<_>, _>>()?;
    let mut walk = Walk { owner, untracked: Vec::new(), keep_git: false };
    walk.beside_tracked(&open(upper)?, &tracked, &open(layer)?, Path::new(""), 0)?;
    walk.untracked.sort();
    Ok(walk.untracked)
}

/// Moves the named folders of HOME's upper layer into `layer`; those that are not there, or are
/// not reached by plain folders, are left out.
pub(super) fn home(
    upper: &Path,
    keep: &[PathBuf],
    layer: &Path,
    owner: Owner,
) -> Result<(), HarvestError> {
    let mut walk = Walk { owner, untracked: Vec::new(), keep_git: true };
    'keep: for path in keep {
        let names = path.iter().map(|part| CString::new(part.as_bytes()));
        let Ok(names) = names.collect::<Result<Vec<_>, _>>() else { continue };
        let mut from = open(upper)?;
        for name in &names {
            let Ok(inner) = folder::open_any(&from, name) else { continue 'keep };
            from = inner;
        }
        let mut to = open(layer)?;
        for name in &names {
            to = walk.folder(&to, name, path)?;
        }
        walk.all_of(&from, &to, path, 0)?;
    }
    Ok(())
}

struct Walk {
    owner: Owner,
    untracked: Vec<PathBuf>,
    /// cargo opens its checkouts of git dependencies as repositories.
    keep_git: bool,
}

impl Walk {
    fn beside_tracked(
        &mut self,
        from: &OwnedFd,
        tracked: &[Option<OwnedFd>],
        to: &OwnedFd,
        at: &Path,
        depth: usize,
    ) -> Result<(), HarvestError> {
        for name in names(from, at, depth)? {
            let path = at.join(OsStr::from_bytes(name.to_bytes()));
            let stat = folder::stat_in(from, &name).map_err(|error| io_error(&path, error))?;
            if is_git(&name) {
                continue;
            }
            match state(tracked, &name) {
                Tracked::No => {
                    if self.take(from, &name, to, &path, depth)? {
                        self.untracked.push(path);
                    }
                }
                Tracked::Folder(below) if folder::is_folder(&stat) => {
                    let inner =
                        folder::open_any(from, &name).map_err(|error| io_error(&path, error))?;
                    let target = self.folder(to, &name, &path)?;
                    self.beside_tracked(&inner, &below, &target, &path, depth + 1)?;
                    // Only what holds something is worth a folder in the layer.
                    let _ = rustix::fs::unlinkat(to, &*name, AtFlags::REMOVEDIR);
                }
                // Changed, removed (a whiteout) or turned into something else: the commit's own.
                Tracked::Folder(_) | Tracked::Other => {}
            }
        }
        Ok(())
    }

    /// Everything in a folder.
    fn all_of(
        &mut self,
        from: &OwnedFd,
        to: &OwnedFd,
        at: &Path,
        depth: usize,
    ) -> Result<(), HarvestError> {
        for name in names(from, at, depth)? {
            let path = at.join(OsStr::from_bytes(name.to_bytes()));
            self.take(from, &name, to, &path, depth)?;
        }
        Ok(())
    }

    /// Moves one name, if it is of a kind that a layer may hold.
    fn take(
        &mut self,
        from: &OwnedFd,
        name: &CStr,
        to: &OwnedFd,
        path: &Path,
        depth: usize,
    ) -> Result<bool, HarvestError> {
        if !self.keep_git && is_git(name) {
            return Ok(false);
        }
        let fail = |error: io::Error| io_error(path, error);
        let stat = folder::stat_in(from, name).map_err(fail)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let inner = folder::open_any(from, name).map_err(fail)?;
                let target = self.folder(to, name, path)?;
                self.all_of(&inner, &target, path, depth + 1)?;
            }
            FileType::RegularFile => {
                rustix::fs::renameat(from, name, to, name).map_err(|error| fail(error.into()))?;
                clean_file(to, name, Mode::from_raw_mode(stat.st_mode)).map_err(fail)?;
            }
            FileType::Symlink => {
                rustix::fs::renameat(from, name, to, name).map_err(|error| fail(error.into()))?;
            }
            // Whiteouts are character devices; sockets and pipes of dead programs mean nothing.
            FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Fifo
            | FileType::Socket
            | FileType::Unknown => return Ok(false),
        }
        Ok(true)
    }

    /// A folder of the layer: made anew, so that no mark of an overlay comes along.
    fn folder(&self, to: &OwnedFd, name: &CStr, path: &Path) -> Result<OwnedFd, HarvestError> {
        let fail = |error: io::Error| io_error(path, error);
        match rustix::fs::mkdirat(to, name, FOLDER_MODE) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(fail(error.into())),
        }
        let made = folder::open_in(to, name).map_err(fail)?;
        // The umask had its say.
        rustix::fs::fchmod(&made, FOLDER_MODE).map_err(|error| fail(error.into()))?;
        if rustix::process::geteuid().is_root() {
            let (uid, gid) = (Uid::from_raw(self.owner.uid), Gid::from_raw(self.owner.gid));
            rustix::fs::fchown(&made, Some(uid), Some(gid)).map_err(|error| fail(error.into()))?;
        }
        Ok(made)
    }
}

fn names(from: &OwnedFd, at: &Path, depth: usize) -> Result<Vec<CString>, HarvestError> {
    if depth > folder::DEEPEST {
        return Err(HarvestError::TooDeep(at.to_owned()));
    }
    folder::names(from).map_err(|error| io_error(at, error))
}

fn open(path: &Path) -> Result<OwnedFd, HarvestError> {
    folder::open(path).map_err(|error| io_error(path, error))
}

fn io_error(path: &Path, error: impl Into<io::Error>) -> HarvestError {
    HarvestError::Io { path: path.to_owned(), error: error.into() }
}

#[cfg(test)]
mod tests {
    use super::clean::overlay_marks;
    use super::*;
    use rustix::fs::XattrFlags;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    struct Place {
        dir: tempfile::TempDir,
        owner: Owner,
    }

    impl Place {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            for name in ["upper", "base", "layer"] {
                fs::create_dir(dir.path().join(name)).unwrap();
            }
            let meta = fs::metadata(dir.path()).unwrap();
            Self { dir, owner: Owner { uid: meta.uid(), gid: meta.gid() } }
        }

        fn file(&self, path: &str, text: &str) {
            let path = self.dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn path(&self, path: &str) -> PathBuf {
            self.dir.path().join(path)
        }

        fn harvest(&self) -> Vec<PathBuf> {
            workspace(&self.path("upper"), &[self.path("base")], &self.path("layer"), self.owner)
                .unwrap()
        }
    }

    #[test]
    fn untracked_is_kept_and_what_the_commit_tracks_is_not() {
        let place = Place::new();
        place.file("base/src/lib.py", "tracked");
        place.file("base/package.json", "{}");
        symlink("src", place.path("base/link")).unwrap();
        place.file("upper/src/lib.py", "replaced");
        place.file("upper/package.json", "replaced");
        place.file("upper/link/lib.py", "a folder in the place of a link");
        place.file("upper/src/generated.py", "new");
        place.file("upper/node_modules/x/index.js", "new");
        assert_eq!(place.harvest(), [PathBuf::from("node_modules"), "src/generated.py".into()]);
        assert!(place.path("layer/node_modules/x/index.js").exists());
        assert!(!place.path("layer/src/lib.py").exists());
        assert!(!place.path("layer/package.json").exists() && !place.path("layer/link").exists());
    }

    #[test]
    fn repositories_and_special_files_stay_behind() {
        let place = Place::new();
        place.file("base/a", "");
        place.file("upper/.git/hooks/pre-commit", "#!/bin/sh\nevil");
        place.file("upper/.GIT/config", "[core]");
        place.file("upper/vendor/x/.git/config", "[core]");
        place.file("upper/vendor/x/code", "kept");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            place.path("upper/pipe"),
            FileType::Fifo,
            Mode::RUSR,
            0,
        )
        .unwrap();
        assert_eq!(place.harvest(), [PathBuf::from("vendor")]);
        let kept: Vec<_> = fs::read_dir(place.path("layer/vendor/x")).unwrap().collect();
        assert_eq!(kept.len(), 1);
        // The control: what a plain copy of the upper layer would have brought along.
        assert!(place.path("upper/.git/hooks/pre-commit").exists());
    }

    #[test]
    fn links_are_moved_and_never_followed() {
        let place = Place::new();
        place.file("outside/secret", "s");
        place.file("upper/cache/x", "x");
        symlink(place.path("outside"), place.path("upper/way-out")).unwrap();
        place.harvest();
        assert!(fs::symlink_metadata(place.path("layer/way-out")).unwrap().is_symlink());
        assert!(place.path("outside/secret").exists());
    }

    #[test]
    fn marks_and_modes_do_not_come_along() {
        let place = Place::new();
        place.file("upper/dir/file", "x");
        let set = |path: PathBuf, name: &str| {
            rustix::fs::setxattr(path, name, b"y", XattrFlags::empty()).unwrap();
        };
        set(place.path("upper/dir"), "user.overlay.opaque");
        set(place.path("upper/dir/file"), "user.overlay.metacopy");
        set(place.path("upper/dir/file"), "user.mine");
        fs::set_permissions(place.path("upper/dir/file"), fs::Permissions::from_mode(0o4755))
            .unwrap();
        for (name, mode) in [("closed", 0o000), ("fixed", 0o444)] {
            let path = place.path("upper/dir").join(name);
            fs::write(&path, "x").unwrap();
            set(path.clone(), "user.overlay.metacopy");
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::set_permissions(place.path("upper/dir"), fs::Permissions::from_mode(0o555)).unwrap();
        place.harvest();
        let file = place.path("layer/dir/file");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o755);
        let marks = |path: PathBuf| overlay_marks(fs::File::open(path).unwrap()).unwrap();
        assert!(marks(file).is_empty() && marks(place.path("layer/dir")).is_empty());
        for (name, mode) in [("closed", 0o000), ("fixed", 0o444)] {
            let path = place.path("layer/dir").join(name);
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, mode);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(marks(path).is_empty(), "{name}");
        }
    }

    #[test]
    fn only_named_folders_of_home_are_kept() {
        let place = Place::new();
        place.file("upper/.cargo/registry/cache/x", "kept");
        place.file("upper/.cargo/config.toml", "evil");
        place.file("upper/.bashrc", "evil");
        place.file("outside/y", "y");
        symlink(place.path("outside"), place.path("upper/.npm")).unwrap();
        let keep = [".cargo/registry", ".npm", ".cache/pip"].map(PathBuf::from);
        home(&place.path("upper"), &keep, &place.path("layer"), place.owner).unwrap();
        assert!(place.path("layer/.cargo/registry/cache/x").exists());
        assert!(!place.path("layer/.cargo/config.toml").exists());
        assert!(!place.path("layer/.bashrc").exists() && !place.path("layer/.npm").exists());
        assert!(place.path("outside/y").exists());
    }
}
