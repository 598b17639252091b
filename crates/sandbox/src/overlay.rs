//! Layered folders, mounted by an ordinary user in its own user and mount namespace.

use std::ffi::{CString, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::mount::MountFlags;
use thiserror::Error;

/// The kernel reads at most a page of options.
const MOST_OPTIONS: usize = 4095;

/// Since Linux 5.10 (Documentation/filesystems/overlayfs.rst, "Volatile mount").
const VOLATILE: &str = ",volatile";

/// Why an overlay was not mounted. The caller then falls back to a copy, and says so.
#[derive(Debug, Error)]
pub enum OverlayError {
    /// The paths together are too long for the kernel.
    #[error("the paths of an overlay are too long together ({0} bytes, at most {MOST_OPTIONS})")]
    TooLong(usize),
    /// Nothing to layer.
    #[error("an overlay needs at least one lower folder")]
    NoLower,
    /// The kernel, or the file system of the upper folder, has no overlays for users.
    #[error("overlay: {0} (the kernel has overlays for users since 5.11)")]
    Mount(io::Error),
}

/// What becomes of what is written through an overlay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Somebody wants it later. Taking the overlay down brings the whole file system below it to
    /// the disk.
    Kept,
    /// It goes with the overlay. Nothing is brought to the disk, and `fsync` inside does nothing:
    /// after a power loss the upper folder is worth nothing.
    ThrownAway,
}

/// The options of one overlay. `userxattr` is what makes it possible for a user.
pub fn options(lowers: &[PathBuf], upper: &Path, work: &Path) -> Result<OsString, OverlayError> {
    if lowers.is_empty() {
        return Err(OverlayError::NoLower);
    }
    let mut text = b"userxattr,lowerdir=".to_vec();
    for (index, lower) in lowers.iter().enumerate() {
        if index > 0 {
            text.push(b':');
        }
        escape(lower, &mut text);
    }
    text.extend(b",upperdir=");
    escape(upper, &mut text);
    text.extend(b",workdir=");
    escape(work, &mut text);
    if text.len() + VOLATILE.len() > MOST_OPTIONS {
        return Err(OverlayError::TooLong(text.len()));
    }
    Ok(OsString::from_vec(text))
}

/// `,` and `:` part options and layers, `\` escapes.
fn escape(path: &Path, text: &mut Vec<u8>) {
    for byte in path.as_os_str().as_bytes() {
        if matches!(byte, b',' | b':' | b'\\') {
            text.push(b'\\');
        }
        text.push(*byte);
    }
}

/// Mounts in the calling process's mount namespace, which must be its own.
pub fn mount(
    lowers: &[PathBuf],
    upper: &Path,
    work: &Path,
    target: &Path,
    written: Written,
) -> Result<(), OverlayError> {
    let plain = options(lowers, upper, work)?;
    match written {
        Written::Kept => mount_with(plain, target),
        Written::ThrownAway => {
            let mut quick = plain.clone();
            quick.push(VOLATILE);
            // A kernel or a file system that refuses it says so in no other way; what is wrong
            // with the rest of the options is said again below.
            mount_with(quick, target).or_else(|_| {
                let _ = clear_work(work);
                mount_with(plain, target)
            })
        }
    }
}

fn mount_with(options: OsString, target: &Path) -> Result<(), OverlayError> {
    let options = CString::new(options.into_vec())
        .map_err(|_| OverlayError::Mount(io::ErrorKind::InvalidInput.into()))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount("overlay", target, "overlay", flags, options.as_c_str())
        .map_err(|error| OverlayError::Mount(error.into()))
}

/// Removes what the kernel leaves in a work folder: folders without any permission, on which an
/// ordinary recursive removal fails. Among them is the mark of an overlay whose writes were to be
/// thrown away: with it there, no other can be mounted.
pub fn clear_work(work: &Path) -> io::Result<()> {
    for name in ["work", "index"] {
        let inner = work.join(name);
        match std::fs::symlink_metadata(&inner) {
            Ok(meta) if meta.is_dir() => {
                open_up(&inner)?;
                std::fs::remove_dir_all(&inner)?;
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Gives the folders of a work folder, which nobody but the kernel has written to, to their
/// owner.
fn open_up(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_in_paths_are_escaped() {
        let lowers = [PathBuf::from("/a,b"), PathBuf::from("/c:d\\e")];
        let text = options(&lowers, Path::new("/u"), Path::new("/w")).unwrap();
        assert_eq!(text, "userxattr,lowerdir=/a\\,b:/c\\:d\\\\e,upperdir=/u,workdir=/w");
    }

    #[test]
    fn limits() {
        assert!(matches!(
            options(&[], Path::new("/u"), Path::new("/w")),
            Err(OverlayError::NoLower)
        ));
        let long = PathBuf::from(format!("/{}", "x".repeat(5000)));
        let refused = options(&[long], Path::new("/u"), Path::new("/w"));
        assert!(matches!(refused, Err(OverlayError::TooLong(_))));
    }
}
