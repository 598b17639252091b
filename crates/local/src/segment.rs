//! A run's stream in its files: which lines are in which, and reading from any line on without
//! a walk over all. What is full has a row with its length and digest, so that a file that was
//! cut or changed is told, for its run alone.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use midwatch_api::segment::segment_name;
use sha2::{Digest, Sha256};

use crate::folder::hex;
use crate::store::{SqliteStore, StoreError};

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

    /// The first line behind what cannot be read, where that is known.
    pub fn next(&self) -> Option<u64> {
        match self {
            Self::Missing { last, .. } | Self::Length { last, .. } | Self::Changed { last, .. } => {
                Some(last + 1)
            }
            Self::Gone { .. } | Self::Io { .. } | Self::Store(_) => None,
        }
    }
}

/// Lines of a stream, with the number of the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    /// The number of the first line.
    pub first: u64,
    /// Without their line breaks.
    pub lines: Vec<Vec<u8>>,
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

    /// Lines from `from` on, at most `most`, as far as one file has them: ask again from behind
    /// the last one. No lines means that there are none yet.
    pub fn read(&self, from: u64, most: usize) -> Result<Lines, SegmentError> {
        let rows = self.index(false)?;
        if let Some(row) = rows.iter().find(|row| from < row.first + row.lines) {
            return Ok(cut(&self.full(row)?, row.first, from, most));
        }
        let (number, first) =
            rows.last().map_or((0, 0), |row| (row.number + 1, row.first + row.lines));
        let path = self.path(number);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(SegmentError::Io { path, error }),
        };
        Ok(cut(&bytes, first, from, most))
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

    /// What is wrong with the files that are full: each is read, and compared with its row.
    ///
    /// # Errors
    /// The rows cannot be read.
    pub fn damage(&self) -> Result<Vec<SegmentError>, StoreError> {
        let (rows, mut damage) = match self.index(false) {
            Ok(rows) => (rows, vec![]),
            Err(SegmentError::Store(error)) => return Err(error),
            Err(error) => (self.store.segments(self.run, self.name)?, vec![error]),
        };
        // What is gone without a row is told below.
        damage.retain(|error| !error.is_not_found());
        damage.extend(rows.iter().filter_map(|row| self.full(row).err()));
        // A folder that cannot be listed holds no file that could be read, which is told above.
        let gone = gone(self.folder, self.name).unwrap_or_default();
        let has_row = |path: &PathBuf| rows.iter().any(|row| self.path(row.number) == *path);
        damage.extend(
            gone.into_iter().filter(|path| !has_row(path)).map(|path| SegmentError::Gone { path }),
        );
        Ok(damage)
    }

    fn path(&self, number: u32) -> PathBuf {
        self.folder.join(segment_name(self.name, number))
    }

    /// A full file, checked against its row.
    fn full(&self, row: &Segment) -> Result<Vec<u8>, SegmentError> {
        let path = self.path(row.number);
        let (first, last) = (row.first, (row.first + row.lines).saturating_sub(1));
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(SegmentError::Missing { path, first, last });
            }
            Err(error) => return Err(SegmentError::Io { path, error }),
        };
        let found = bytes.len() as u64;
        if found != row.bytes {
            return Err(SegmentError::Length { path, expected: row.bytes, found, first, last });
        }
        if hex(&Sha256::digest(&bytes)) != row.digest {
            return Err(SegmentError::Changed { path, first, last });
        }
        Ok(bytes)
    }
}

/// Whole lines of a file whose first line has the number `first`; half a line at the end waits.
fn cut(bytes: &[u8], first: u64, from: u64, most: usize) -> Lines {
    let skip = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX);
    let whole = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    let lines = whole.skip(skip).take(most).map(|line| line[..line.len() - 1].to_vec());
    Lines { first: first.max(from), lines: lines.collect() }
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
