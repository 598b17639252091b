//! What a file may not bring along into a layer.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags};

/// The most bytes of a file's list of extended attributes (xattr(7)).
const XATTR_LIST: usize = 64 << 10;

/// Takes set-uid and the like from a file, and every mark of an overlay.
pub(super) fn clean_file(folder: &OwnedFd, name: &CStr, mode: Mode) -> io::Result<()> {
    let plain = mode & (Mode::RWXU | Mode::RWXG | Mode::RWXO);
    if plain != mode {
        rustix::fs::chmodat(folder, name, plain, AtFlags::empty())?;
    }
    match take_marks(folder, name) {
        // Its owner may not read or not write it, and may have put a mark there before.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            rustix::fs::chmodat(folder, name, plain | Mode::RUSR | Mode::WUSR, AtFlags::empty())?;
            take_marks(folder, name)?;
            Ok(rustix::fs::chmodat(folder, name, plain, AtFlags::empty())?)
        }
        taken => taken,
    }
}

fn take_marks(folder: &OwnedFd, name: &CStr) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, name, flags, Mode::empty())?;
    for mark in overlay_marks(file.as_fd())? {
        rustix::fs::fremovexattr(&file, mark.as_str())?;
    }
    Ok(())
}

/// Names of extended attributes that an overlay would read: `user.overlay.*` with `userxattr`.
pub(super) fn overlay_marks(file: impl AsFd) -> io::Result<Vec<String>> {
    let size = match rustix::fs::flistxattr(&file, &mut [] as &mut [u8]) {
        Ok(size) => size,
        Err(rustix::io::Errno::OPNOTSUPP) => 0,
        Err(error) => return Err(error.into()),
    };
    if size == 0 {
        return Ok(Vec::new());
    }
    let mut list = vec![0_u8; size.min(XATTR_LIST)];
    let size = rustix::fs::flistxattr(&file, &mut list[..])?;
    let marks = list[..size]
        .split(|byte| *byte == 0)
        .filter_map(|name| std::str::from_utf8(name).ok())
        .filter(|name| name.starts_with("user.overlay."))
        .map(str::to_owned);
    Ok(marks.collect())
}
