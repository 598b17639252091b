//! The index of a base: looked through once, and its times put where no later change can hide.
//!
//! git takes a file for unchanged while its time, in whole seconds here, and its size are what
//! the index says; and it reads again, each time, every file that is not older than the index.
//! So each file of a base is to be older than the index by a second: then no `git status` in any
//! overlay reads it. And none may bear a second in which a change can still be made, or that
//! change could look like none. Both hold when the files of the last second are set back by one.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

/// Bytes before the first entry, and where in an entry what stands: git's
/// Documentation/gitformat-index.txt.
const HEADER: usize = 12;
const MTIME: usize = 8;
const MODE: usize = 24;
const ID: usize = 40;
/// In an entry's flags: there are two more bytes of them.
const EXTENDED: u16 = 0x4000;
/// The kind of an entry, in its mode.
const KIND: u32 = 0o170_000;
/// A commit of another repository: a folder on disk.
const GITLINK: u32 = 0o160_000;

/// An index that cannot be worked with.
#[derive(Debug, thiserror::Error)]
pub(in crate::inside) enum IndexError {
    #[error("{path}: {source}")]
    Io {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("it is cut off or of an unknown version")]
    Unknown,
}

/// One file that the index knows.
#[derive(Debug, Clone, Copy)]
struct Entry {
    at: usize,
    path: (usize, usize),
}

/// An index as git wrote it.
#[derive(Debug)]
pub(super) struct Index {
    file: PathBuf,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// The second in which git wrote it.
    written: i64,
    /// Bytes of an object id.
    id: usize,
    /// Where the entries end.
    end: usize,
}

impl Index {
    /// Reads an index of version 2 or 3, with object ids of `id` bytes.
    pub(super) fn read(file: &Path, id: usize) -> Result<Self, IndexError> {
        let bytes = fs::read(file).map_err(at(file))?;
        let written = fs::metadata(file).map_err(at(file))?.mtime();
        let (entries, end) = entries(&bytes, id).ok_or(IndexError::Unknown)?;
        Ok(Self { file: file.to_owned(), bytes, entries, written, id, end })
    }

    /// The tree that the index says it is, where it says so.
    pub(super) fn tree(&self) -> Option<String> {
        let mut rest = self.bytes.get(self.end..self.bytes.len().checked_sub(self.id)?)?;
        while rest.len() >= 8 {
            let (head, body) = rest.split_at(8);
            let size = usize::try_from(u32_at(head, 4)?).ok()?;
            let (body, after) = (body.get(..size)?, body.get(size..)?);
            if head.starts_with(b"TREE") {
                // The root: an empty path, NUL, the number of entries (-1 when it is not known),
                // a blank, the number of subtrees, a newline, the id.
                let line = body.strip_prefix(b"\0")?;
                let end = line.iter().position(|byte| *byte == b'\n')?;
                let known = !line.starts_with(b"-");
                let id = line.get(end + 1..end + 1 + self.id)?;
                return known.then(|| hex(id));
            }
            rest = after;
        }
        None
    }

    /// The first file that is not below `tree`.
    pub(super) fn missing(&self, tree: &Path) -> Option<&[u8]> {
        self.entries
            .iter()
            .map(|entry| self.path(entry))
            .find(|path| tree.join(OsStr::from_bytes(path)).symlink_metadata().is_err())
    }

    /// Sets the files below `tree` that are as new as the index back by a second, on disk and
    /// here. Answers whether there were any.
    pub(super) fn settle(&mut self, tree: &Path) -> Result<bool, IndexError> {
        let before = self.written - 1;
        let Ok(stamp) = u32::try_from(before) else { return Ok(false) };
        let time = Timespec { tv_sec: before, tv_nsec: 0 };
        let times = Timestamps { last_access: time, last_modification: time };
        let mut changed = false;
        for entry in self.entries.clone() {
            let mode = u32_at(&self.bytes, entry.at + MODE).ok_or(IndexError::Unknown)?;
            let seconds = u32_at(&self.bytes, entry.at + MTIME).ok_or(IndexError::Unknown)?;
            if i64::from(seconds) < self.written || mode & KIND == GITLINK {
                continue;
            }
            let path = tree.join(OsStr::from_bytes(self.path(&entry)));
            // A file of another base too, from before the clock was set back: not to be touched.
            // It is read again by every status, and no change is missed.
            if path.symlink_metadata().map_err(at(&path))?.nlink() > 1 {
                continue;
            }
            utimensat(CWD, &path, &times, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|error| at(&path)(error.into()))?;
            let place = self.bytes.get_mut(entry.at + MTIME..entry.at + MTIME + 8);
            let (head, tail) = place.ok_or(IndexError::Unknown)?.split_at_mut(4);
            head.copy_from_slice(&stamp.to_be_bytes());
            tail.fill(0);
            changed = true;
        }
        Ok(changed)
    }

    /// Writes it in place of git's. The sum at its end is not right any more: git does not look
    /// at it when it reads.
    pub(super) fn write(&self) -> Result<(), IndexError> {
        let fresh = self.file.with_extension("settled");
        fs::write(&fresh, &self.bytes).map_err(at(&fresh))?;
        fs::rename(&fresh, &self.file).map_err(at(&self.file))
    }

    fn path(&self, entry: &Entry) -> &[u8] {
        self.bytes.get(entry.path.0..entry.path.1).unwrap_or_default()
    }
}

/// Every entry, and where the last one ends.
fn entries(bytes: &[u8], id: usize) -> Option<(Vec<Entry>, usize)> {
    let known = bytes.starts_with(b"DIRC") && matches!(u32_at(bytes, 4)?, 2 | 3);
    let count = usize::try_from(u32_at(bytes, 8)?).ok().filter(|_| known)?;
    // Each takes more than 62 bytes: no number makes us take more memory than the file has.
    let mut found = Vec::with_capacity(count.min(bytes.len() / 62));
    let mut at = HEADER;
    for _ in 0..count {
        let flags = at + ID + id;
        let extended = u16::from_be_bytes(bytes.get(flags..flags + 2)?.try_into().ok()?) & EXTENDED;
        let start = flags + if extended == 0 { 2 } else { 4 };
        let length = bytes.get(start..)?.iter().position(|byte| *byte == 0)?;
        found.push(Entry { at, path: (start, start + length) });
        // One to eight NULs, up to a multiple of eight.
        at += (start + length - at + 8) & !7;
    }
    (at <= bytes.len()).then_some((found, at))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn at(path: &Path) -> impl Fn(std::io::Error) -> IndexError {
    let path = path.display().to_string();
    move |source| IndexError::Io { path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An index of one entry with a path of this length.
    fn one(length: usize, id: usize) -> Vec<u8> {
        let mut bytes = b"DIRC\0\0\0\x02\0\0\0\x01".to_vec();
        bytes.extend(vec![0; ID + id]);
        bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        bytes.extend(vec![b'x'; length]);
        let padding = 8 - (bytes.len() - HEADER) % 8;
        bytes.extend(vec![0; padding]);
        bytes
    }

    #[test]
    fn entries_of_every_length_end_where_git_ends_them() {
        for id in [20, 32] {
            for length in 1..20 {
                let bytes = one(length, id);
                let (found, end) = entries(&bytes, id).unwrap();
                assert_eq!((found.len(), end), (1, bytes.len()), "{length}");
                assert_eq!(found[0].path.1 - found[0].path.0, length);
            }
        }
    }

    #[test]
    fn what_is_cut_off_or_of_another_version_is_refused() {
        let whole = one(5, 20);
        for end in 0..whole.len() {
            assert!(entries(&whole[..end], 20).is_none(), "{end}");
        }
        let mut newer = whole.clone();
        newer[7] = 4;
        assert!(entries(&newer, 20).is_none());
        let mut more = whole;
        more[8] = 0xff;
        assert!(entries(&more, 20).is_none());
    }
}
