//! Layers seen as one folder: by an overlay, or by a copy where the kernel or the file system
//! has none for users. Mounted once and bound into each sandbox of a run.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use midwatch_sandbox::overlay::{self, OverlayError};
use midwatch_sandbox::prelude::Entered;
use rustix::mount::UnmountFlags;

use super::ground::Layer;

/// A folder that shows layers; taken down when dropped.
#[derive(Debug)]
pub(super) struct Merged {
    /// Where it is, as policies name it.
    pub(super) folder: PathBuf,
    /// Where it is mounted; none for a copy.
    mounted: Option<PathBuf>,
}

impl Merged {
    /// Shows `lowers` (the topmost first) below what `layer` takes, at the empty folder `at`.
    /// All paths are the host's.
    pub(super) fn show(
        entered: &Entered,
        lowers: &[PathBuf],
        layer: &Layer,
        at: &Path,
    ) -> Result<Self, MergeError> {
        let copy = layer.copy();
        if entered.resolve(&copy).exists() {
            return Ok(Self { folder: copy, mounted: None });
        }
        let resolved: Vec<PathBuf> = lowers.iter().map(|lower| entered.resolve(lower)).collect();
        let target = entered.resolve(at);
        let (upper, work) = (entered.resolve(&layer.upper()), entered.resolve(&layer.work()));
        match overlay::mount(&resolved, &upper, &work, &target, layer.written()) {
            Ok(()) => Ok(Self { folder: at.to_owned(), mounted: Some(target) }),
            // An upper layer of an earlier run means nothing without its overlay.
            Err(error) if !is_empty(&upper)? => Err(MergeError::Overlay(error)),
            Err(_) => {
                let to = entered.resolve(&copy);
                for lower in resolved.iter().rev() {
                    copy_over(lower, &to)?;
                }
                Ok(Self { folder: copy, mounted: None })
            }
        }
    }

    /// Whether it is a copy: then it holds the lower layers' files too.
    pub(super) fn is_copy(&self) -> bool {
        self.mounted.is_none()
    }
}

impl Drop for Merged {
    fn drop(&mut self) {
        if let Some(target) = &self.mounted {
            let _ = rustix::mount::unmount(target, UnmountFlags::DETACH);
        }
    }
}

/// Why layers cannot be shown as one.
#[derive(Debug, thiserror::Error)]
pub(super) enum MergeError {
    /// And a copy would not be the same.
    #[error(transparent)]
    Overlay(OverlayError),
    /// Copying failed.
    #[error("copying layers: {0}")]
    Copy(#[from] io::Error),
}

fn is_empty(folder: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(folder)?.next().is_none())
}

/// Copies a tree over another, links as links. Files in the way are replaced; what stands in
/// the way of a folder, too.
fn copy_over(from: &Path, to: &Path) -> io::Result<()> {
    let meta = fs::symlink_metadata(from)?;
    match fs::symlink_metadata(to) {
        Ok(there) if there.is_dir() => {}
        Ok(_) => {
            fs::remove_file(to)?;
            make(to, &meta)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(to, &meta)?,
        Err(error) => return Err(error),
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_over(&source, &target)?;
            continue;
        }
        match fs::symlink_metadata(&target) {
            Ok(there) if there.is_dir() => fs::remove_dir_all(&target)?,
            Ok(_) => fs::remove_file(&target)?,
            Err(_) => {}
        }
        if kind.is_symlink() {
            symlink(fs::read_link(&source)?, &target)?;
        } else if kind.is_file() {
            fs::copy(&source, &target)?;
            // git takes a file for unchanged by its time.
            let times = fs::FileTimes::new().set_modified(entry.metadata()?.modified()?);
            if let Ok(file) = fs::File::open(&target) {
                let _ = file.set_times(times);
            }
        }
    }
    Ok(())
}

fn make(folder: &Path, like: &fs::Metadata) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o755).create(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(like.mode() & 0o777 | 0o700))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_trees_win_and_links_stay_links() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        for folder in ["deps/lib", "deps/thing", "base/lib"] {
            fs::create_dir_all(path(folder)).unwrap();
        }
        fs::write(path("deps/lib/x"), "deps").unwrap();
        fs::write(path("deps/lib/y"), "deps").unwrap();
        fs::write(path("base/lib/x"), "base").unwrap();
        fs::write(path("base/thing"), "a file now").unwrap();
        symlink("/etc/passwd", path("base/link")).unwrap();
        copy_over(&path("deps"), &path("to")).unwrap();
        copy_over(&path("base"), &path("to")).unwrap();
        assert_eq!(fs::read_to_string(path("to/lib/x")).unwrap(), "base");
        assert_eq!(fs::read_to_string(path("to/lib/y")).unwrap(), "deps");
        assert!(path("to/thing").is_file());
        assert!(fs::symlink_metadata(path("to/link")).unwrap().is_symlink());
    }
}
