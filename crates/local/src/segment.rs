//! A run's stream in its files: which lines are in which, so that who goes on from a line reads
//! none of the files before it. What is full has a row with its length and digest, so that a file
//! that was cut or changed is told, for its run alone.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use midwatch_api::segment::segment_name;
use sha2::{Digest, Sha256};

use crate::folder::hex;
use crate::store::{SqliteStore, StoreError};

/// The end of a stream that people are shown at first, in bytes. It is a little more than a runner
/// keeps beyond the limit of output, so that the line before that is shown too.
pub const SHOWN: u64 = (256 << 10) + 100;

/// The row of a file that is full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Which of the stream's files, from 0.
    pub number: u32,
    /// The number of its first line in the stream, from 0.
    pub first: u64,
    /// Its lines.
    pub lines: u64,
    /// Its bytes.
    pub bytes: u64,
    /// SHA-256 of them.
    pub digest: String,
}

/// What is wrong with a run's stream. Everything before and after it can be read.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// A file is gone.
    #[error("{path} is missing; lines {first} to {last} of this run cannot be read")]
    Missing {
        /// The file.
        path: PathBuf,
        /// Its first line.
        first: u64,
        /// Its last line.
        last: u64,
    },
    /// A file is gone of which nobody wrote down how much it held.
    #[error("{path} is missing; it held a part of this run")]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// A file is shorter or longer than when it was full.
    #[error(
        "{path} has {found} bytes instead of {expected}; lines {first} to {last} of this run cannot be trusted"
    )]
    Length {
        /// The file.
        path: PathBuf,
        /// When it was full.
        expected: u64,
        /// Now.
        found: u64,
        /// Its first line.
        first: u64,
        /// Its last line.
        last: u64,
    },
    /// A file's content is another.
    #[error(
        "{path} was changed after it was full; lines {first} to {last} of this run cannot be trusted"
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// Its first line.
        first: u64,
        /// Its last line.
        last: u64,
    },
    /// A file cannot be read.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The rows cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SegmentError {
    fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { error, .. } if error.kind() == io::ErrorKind::NotFound)
    }
}

/// How much of a stream is compared with its rows. The length of every file always is: that reads
/// none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// The content of those files that so many of its last bytes are in.
    End(u64),
    /// The content of all.
    All,
}

/// One stream of a run.
#[derive(Debug)]
pub struct Stream<'a> {
    store: &'a SqliteStore,
    folder: &'a Path,
    run: &'a str,
    name: &'a str,
}

impl<'a> Stream<'a> {
    /// Names only. `folder` is the run's.
    pub fn new(store: &'a SqliteStore, folder: &'a Path, run: &'a str, name: &'a str) -> Self {
        Self { store, folder, run, name }
    }

    /// The rows of all full files, and of the last one where the run is `over`. Those that nobody
    /// wrote down yet are read for it once.
    pub fn index(&self, over: bool) -> Result<Vec<Segment>, SegmentError> {
        let mut rows = self.store.segments(self.run, self.name)?;
        loop {
            let number = rows.last().map_or(0, |row| row.number + 1);
            // Full is what has a successor.
            let is_full = self.path(number + 1).exists() || over && self.path(number).exists();
            if !is_full {
                return Ok(rows);
            }
            let first = rows.last().map_or(0, |row| row.first + row.lines);
            let path = self.path(number);
            let row =
                count(&path, number, first).map_err(|error| SegmentError::Io { path, error })?;
            self.store.add_segment(self.run, self.name, &row)?;
            rows.push(row);
        }
    }

    /// What is wrong with the files that are full, by their rows. Where all are compared, those
    /// that nobody wrote down yet are read for a row; else they have none to be compared with.
    ///
    /// # Errors
    /// The rows cannot be read.
    pub fn damage(&self, compared: Compared) -> Result<Vec<SegmentError>, StoreError> {
        let (rows, mut damage) = match compared {
            Compared::End(_) => (self.store.segments(self.run, self.name)?, vec![]),
            Compared::All => match self.index(false) {
                Ok(rows) => (rows, vec![]),
                Err(SegmentError::Store(error)) => return Err(error),
                Err(error) => (self.store.segments(self.run, self.name)?, vec![error]),
            },
        };
        // What is gone without a row is told below.
        damage.retain(|error| !error.is_not_found());
        let read_from = match compared {
            Compared::End(most) => self.holding(most),
            Compared::All => 0,
        };
        let fault = |row: &Segment| self.compare(row, row.number >= read_from).err();
        damage.extend(rows.iter().filter_map(fault));
        // A folder that cannot be listed holds no file that could be read, which is told above.
        let gone = gone(self.folder, self.name).unwrap_or_default();
        let has_row = |path: &PathBuf| rows.iter().any(|row| self.path(row.number) == *path);
        damage.extend(
            gone.into_iter().filter(|path| !has_row(path)).map(|path| SegmentError::Gone { path }),
        );
        Ok(damage)
    }

    /// The first of the files that so many of the last bytes are in.
    fn holding(&self, most: u64) -> u32 {
        let (mut first, mut left) = (u32::MAX, most);
        for number in numbers(self.folder, self.name).unwrap_or_default().into_iter().rev() {
            if left == 0 {
                break;
            }
            let length = self.path(number).metadata().map_or(0, |metadata| metadata.len());
            (first, left) = (number, left.saturating_sub(length));
        }
        first
    }

    fn path(&self, number: u32) -> PathBuf {
        self.folder.join(segment_name(self.name, number))
    }

    /// A full file against its row: its length, and its content where it is read.
    fn compare(&self, row: &Segment, read: bool) -> Result<(), SegmentError> {
        let path = self.path(row.number);
        let (first, last) = (row.first, (row.first + row.lines).saturating_sub(1));
        let found = match path.metadata() {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(SegmentError::Missing { path, first, last });
            }
            Err(error) => return Err(SegmentError::Io { path, error }),
        };
        if found != row.bytes {
            return Err(SegmentError::Length { path, expected: row.bytes, found, first, last });
        }
        if read {
            match count(&path, row.number, row.first) {
                Ok(now) if now.digest == row.digest => {}
                Ok(_) => return Err(SegmentError::Changed { path, first, last }),
                Err(error) => return Err(SegmentError::Io { path, error }),
            }
        }
        Ok(())
    }
}

/// Reads a file once for its row.
fn count(path: &Path, number: u32, first: u64) -> io::Result<Segment> {
    let mut file = File::open(path)?;
    let (mut hash, mut lines, mut bytes) = (Sha256::new(), 0, 0);
    let mut piece = vec![0; 64 << 10];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            break;
        }
        hash.update(&piece[..read]);
        bytes += read as u64;
        lines += piece[..read].iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
    }
    Ok(Segment { number, first, lines, bytes, digest: hex(&hash.finalize()) })
}

/// The numbers of a stream's files that are there, in order.
fn numbers(folder: &Path, name: &str) -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?.file_name();
        let number = entry.to_str().and_then(|entry| number_of(name, entry));
        found.extend(number);
    }
    found.sort_unstable();
    Ok(found)
}

/// Which of a stream's files a name is.
fn number_of(stream: &str, name: &str) -> Option<u32> {
    if name == stream {
        return Some(0);
    }
    let (stem, kind) = stream.rsplit_once('.').map_or((stream, None), |(s, k)| (s, Some(k)));
    let rest = name.strip_prefix(stem)?.strip_prefix('.')?;
    let number = match kind {
        Some(kind) => rest.strip_suffix(kind)?.strip_suffix('.')?,
        None => rest,
    };
    number.parse().ok().filter(|number| segment_name(stream, *number) == name)
}

/// A stream's files that are gone though a later one is there. Needs no rows: for whoever has
/// only the folder.
pub fn gone(folder: &Path, name: &str) -> io::Result<Vec<PathBuf>> {
    let there = numbers(folder, name)?;
    let last = there.last().copied().unwrap_or_default();
    let gone = (0..last).filter(|number| !there.contains(number));
    Ok(gone.map(|number| folder.join(segment_name(name, number))).collect())
}

/// The end of a stream as text, at most `most` bytes from the newest files that are there, and how
/// many bytes there are before it. Needs no rows: for whoever has only the folder.
pub fn end_of(folder: &Path, name: &str, most: u64) -> io::Result<(Vec<u8>, u64)> {
    let numbers = numbers(folder, name)?;
    if numbers.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let open = |number: u32| File::open(folder.join(segment_name(name, number)));
    // The last ones of a run's output take turns: one may get another's name in between.
    let gone = Some(io::ErrorKind::NotFound);
    let there = |file: &io::Result<File>| file.as_ref().err().map(io::Error::kind) != gone;
    let files: Vec<File> = numbers.into_iter().map(open).filter(there).collect::<Result<_, _>>()?;
    let lengths: Vec<u64> =
        files.iter().map(|file| file.metadata().map(|m| m.len())).collect::<Result<_, _>>()?;
    let total: u64 = lengths.iter().sum();
    let mut skip = total.saturating_sub(most);
    let skipped = skip;
    let mut bytes = Vec::new();
    for (mut file, length) in files.into_iter().zip(lengths) {
        let from = skip.min(length);
        skip -= from;
        file.seek(SeekFrom::Start(from))?;
        file.take(length - from).read_to_end(&mut bytes)?;
    }
    Ok((bytes, skipped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_stream_are_known_by_their_names() {
        let names = ["e.jsonl", "e.1.jsonl", "e.12.jsonl", "e.01.jsonl", "e.x.jsonl", "f.1.jsonl"];
        let numbers = names.map(|name| number_of("e.jsonl", name));
        assert_eq!(numbers, [Some(0), Some(1), Some(12), None, None, None]);
        assert_eq!((number_of("log", "log.3"), number_of("log", "logs")), (Some(3), None));
    }

    #[test]
    fn a_file_that_is_gone_is_told_and_the_rest_is_read() {
        let folder = tempfile::tempdir().unwrap();
        for (number, text) in [(0, "a\n"), (1, "b\n"), (2, "c\n")] {
            std::fs::write(folder.path().join(segment_name("e.jsonl", number)), text).unwrap();
        }
        assert_eq!(gone(folder.path(), "e.jsonl").unwrap(), [""; 0].map(PathBuf::from));
        std::fs::remove_file(folder.path().join("e.1.jsonl")).unwrap();
        assert_eq!(gone(folder.path(), "e.jsonl").unwrap(), [folder.path().join("e.1.jsonl")]);
        assert_eq!(end_of(folder.path(), "e.jsonl", 99).unwrap(), (b"a\nc\n".to_vec(), 0));
        assert!(end_of(folder.path(), "other", 99).is_err());
    }
}
