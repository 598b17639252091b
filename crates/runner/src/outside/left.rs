//! What the inside left in `out`. Every name there is the sandbox's: it may be a link,
//! a pipe, a device or ten gigabytes.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags};

use super::folder;

/// Why a file in `out` is not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum LeftError {
    /// There is none.
    #[error("there is no such file")]
    Missing,
    /// A link, a folder, a pipe or a device.
    #[error("it is not a regular file")]
    NotAFile,
    /// Over the cap.
    #[error("it has {size} bytes, {cap} are allowed")]
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// The cap in bytes.
        cap: u64,
    },
    /// Not UTF-8 where text is expected.
    #[error("it is not UTF-8")]
    NotText,
    /// Anything else.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// A regular file directly in `out`, opened without following a link and without waiting for
/// the other end of a pipe.
pub(super) fn open(out: &Path, name: &str) -> Result<(File, u64), LeftError> {
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = match rustix::fs::openat(CWD, out.join(name), flags, Mode::empty()) {
        Ok(file) => file,
        Err(rustix::io::Errno::NOENT) => return Err(LeftError::Missing),
        // ELOOP is a link; ENXIO a socket or a device without a driver.
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO) => return Err(LeftError::NotAFile),
        Err(error) => return Err(LeftError::Io(error.into())),
    };
    let stat = rustix::fs::fstat(&file).map_err(io::Error::from)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(LeftError::NotAFile);
    }
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    Ok((File::from(file), size))
}

/// The whole of a small text file; `cap` in bytes.
pub(super) fn read_text(out: &Path, name: &str, cap: u64) -> Result<String, LeftError> {
    let (file, size) = open(out, name)?;
    if size > cap {
        return Err(LeftError::TooLarge { size, cap });
    }
    let mut bytes = Vec::new();
    // A bound of its own: the file may grow between the look and the read.
    file.take(cap).read_to_end(&mut bytes)?;
    String::from_utf8(bytes).map_err(|_| LeftError::NotText)
}

/// Removes from `out` whatever no reader may open: all but regular files directly in it.
pub(super) fn sweep(out: &Path) {
    let _ = fs::set_permissions(out, fs::Permissions::from_mode(0o755));
    let Ok(entries) = fs::read_dir(out) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| !kind.is_file()) {
            let _ = folder::remove_tree(&entry.path());
        }
    }
}

/// Follows a file that the inside appends lines to.
#[derive(Debug)]
pub(super) struct Follower {
    name: &'static str,
    offset: u64,
    pending: Vec<u8>,
}

/// Bytes that are read of a followed file in one look, and the longest line.
const LOOK_BYTES: usize = 16 << 10;
/// Bytes that are read of a followed file in a whole run.
const FOLLOW_CAP: u64 = 1 << 20;

impl Follower {
    /// Begins at the start of the file.
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, offset: 0, pending: Vec::new() }
    }

    /// Complete lines that are new since the last look. Whatever is odd counts as nothing new.
    pub(super) fn look(&mut self, out: &Path) -> Vec<String> {
        let Ok((mut file, size)) = open(out, self.name) else {
            return Vec::new();
        };
        if size <= self.offset || self.offset >= FOLLOW_CAP {
            return Vec::new();
        }
        let mut fresh = vec![0; LOOK_BYTES];
        let read = file.seek(SeekFrom::Start(self.offset)).and_then(|_| file.read(&mut fresh));
        let Ok(count) = read else { return Vec::new() };
        self.offset += count as u64;
        self.pending.extend_from_slice(&fresh[..count]);
        let Some(end) = self.pending.iter().rposition(|byte| *byte == b'\n') else {
            if self.pending.len() > LOOK_BYTES {
                self.pending.clear();
            }
            return Vec::new();
        };
        let rest = self.pending.split_off(end + 1);
        let whole = std::mem::replace(&mut self.pending, rest);
        String::from_utf8_lossy(&whole).lines().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_small_regular_files_are_read() {
        let out = tempfile::tempdir().unwrap();
        let path = |name: &str| out.path().join(name);
        fs::write(path("good"), "text").unwrap();
        fs::write(path("big"), vec![b'x'; 101]).unwrap();
        fs::write(path("bytes"), [0xff]).unwrap();
        symlink("/etc/passwd", path("link")).unwrap();
        fs::create_dir(path("folder")).unwrap();
        rustix::fs::mknodat(CWD, path("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert_eq!(read_text(out.path(), "good", 100).unwrap(), "text");
        let error = |name: &str| read_text(out.path(), name, 100).unwrap_err();
        assert!(matches!(error("none"), LeftError::Missing));
        assert!(matches!(error("link"), LeftError::NotAFile));
        assert!(matches!(error("folder"), LeftError::NotAFile));
        assert!(matches!(error("pipe"), LeftError::NotAFile), "and it did not block");
        assert!(matches!(error("big"), LeftError::TooLarge { size: 101, cap: 100 }));
        assert!(matches!(error("bytes"), LeftError::NotText));
        // The control: a naive read follows the link.
        assert!(fs::read_to_string(path("link")).unwrap().contains("root"));
    }

    #[test]
    fn a_follower_sees_whole_lines_once() {
        let out = tempfile::tempdir().unwrap();
        let mut follower = Follower::new("progress");
        assert!(follower.look(out.path()).is_empty());
        let mut file = fs::File::create(out.path().join("progress")).unwrap();
        file.write_all(b"one\ntw").unwrap();
        assert_eq!(follower.look(out.path()), ["one"]);
        assert!(follower.look(out.path()).is_empty());
        file.write_all(b"o\nthree\n").unwrap();
        assert_eq!(follower.look(out.path()), ["two", "three"]);
        file.set_len(0).unwrap();
        assert!(follower.look(out.path()).is_empty());
    }
}
