//! The head of a bundle, read by us: git itself takes malformed objects from a bundle that it
//! refuses from a pack.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use midwatch_core::id::CommitId;
use rustix::fs::{CWD, Mode, OFlags};

use crate::error::escaped;

/// The longest head, in bytes: a rescue of a few thousand refs fits.
const HEADER_CAP: u64 = 1 << 20;

/// Why a bundle cannot be read. All of it is the doing of the sandbox.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// There is none.
    #[error("there is no bundle")]
    Missing,
    /// A link, pipe, device or folder in its place.
    #[error("the bundle is not a regular file")]
    NotAFile,
    /// Over the cap.
    #[error("the bundle has {size} bytes, {cap} at most")]
    TooLarge {
        /// Its size.
        size: u64,
        /// The cap.
        cap: u64,
    },
    /// Not what the format says.
    #[error("the bundle is malformed: {0}")]
    Malformed(String),
    /// It could not be read.
    #[error("the bundle could not be read: {0}")]
    Io(#[from] std::io::Error),
}

/// What a bundle says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Whether its ids are SHA-256.
    pub sha256: bool,
    /// Commits that the reader must have.
    pub prerequisites: Vec<CommitId>,
    /// Names (escaped) and the ids they stand at; not only commits in a rescue.
    pub refs: Vec<(String, CommitId)>,
}

/// An opened bundle: its head, and its pack still to be read.
#[derive(Debug)]
pub struct Bundle {
    /// The head.
    pub header: Header,
    pack: BufReader<std::io::Take<File>>,
}

impl Bundle {
    /// Opens a bundle of at most `cap` bytes that lies directly in `dir`. Neither the folder nor
    /// the file may be a link.
    pub fn open(dir: &Path, name: &str, cap: u64) -> Result<Self, BundleError> {
        let file = File::from(open_regular(dir, name)?);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(BundleError::NotAFile);
        }
        if metadata.len() > cap {
            return Err(BundleError::TooLarge { size: metadata.len(), cap });
        }
        // It may grow while we read: the sandbox may still live.
        let mut pack = BufReader::new(file.take(cap));
        let header = read_header(&mut pack)?;
        Ok(Self { header, pack })
    }

    /// The pack, to be read once.
    pub fn into_pack(self) -> impl Read + Send + 'static {
        self.pack
    }
}

fn open_regular(dir: &Path, name: &str) -> Result<OwnedFd, BundleError> {
    let io = |errno: rustix::io::Errno| match errno {
        rustix::io::Errno::NOENT => BundleError::Missing,
        rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR => BundleError::NotAFile,
        other => BundleError::Io(other.into()),
    };
    if name.contains('/') {
        return Err(BundleError::NotAFile);
    }
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    let dir = rustix::fs::openat(CWD, dir, flags, Mode::empty()).map_err(io)?;
    // Not to wait for the writer of a pipe that stands in its place.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(&dir, name, flags, Mode::empty()).map_err(io)
}

fn read_header(from: &mut impl BufRead) -> Result<Header, BundleError> {
    let mut left = HEADER_CAP;
    let mut line = || -> Result<Vec<u8>, BundleError> {
        let mut line = Vec::new();
        let read = from.by_ref().take(left).read_until(b'\n', &mut line)?;
        left -= read as u64;
        match line.pop() {
            Some(b'\n') => Ok(line),
            Some(_) | None => Err(BundleError::Malformed("its head is cut off or too long".into())),
        }
    };
    let odd = |line: &[u8]| BundleError::Malformed(format!("unexpected line '{}'", escaped(line)));
    let first = line()?;
    let version = match first.as_slice() {
        b"# v2 git bundle" => 2,
        b"# v3 git bundle" => 3,
        _ => return Err(BundleError::Malformed("it is no bundle of version 2 or 3".into())),
    };
    let mut header = Header { sha256: false, prerequisites: Vec::new(), refs: Vec::new() };
    loop {
        let line = line()?;
        match line.first() {
            None => break,
            Some(b'@') if version == 3 => match line.as_slice() {
                b"@object-format=sha1" => header.sha256 = false,
                b"@object-format=sha256" => header.sha256 = true,
                // A filter leaves objects out: what is missing cannot be looked at.
                _ => return Err(odd(&line)),
            },
            Some(b'-') => {
                let id = line[1..].split(|b| *b == b' ').next().unwrap_or_default();
                header.prerequisites.push(parse_id(id).ok_or_else(|| odd(&line))?);
            }
            Some(_) => {
                let space = line.iter().position(|b| *b == b' ').ok_or_else(|| odd(&line))?;
                let id = parse_id(&line[..space]).ok_or_else(|| odd(&line))?;
                header.refs.push((escaped(&line[space + 1..]), id));
            }
        }
    }
    let digits = if header.sha256 { 64 } else { 40 };
    let all = header.prerequisites.iter().chain(header.refs.iter().map(|(_, id)| id));
    match all.into_iter().find(|id| id.as_str().len() != digits) {
        Some(id) => Err(odd(id.as_str().as_bytes())),
        None => Ok(header),
    }
}

fn parse_id(bytes: &[u8]) -> Option<CommitId> {
    CommitId::parse(std::str::from_utf8(bytes).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> Result<Header, BundleError> {
        read_header(&mut text.as_bytes())
    }

    #[test]
    fn heads_of_both_versions_are_read() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let two =
            header(&format!("# v2 git bundle\n-{a} old work\n{b} refs/heads/x\n\nPACK")).unwrap();
        assert_eq!(two.prerequisites, [CommitId::parse(&a).unwrap()]);
        assert_eq!(two.refs, [("refs/heads/x".to_owned(), CommitId::parse(&b).unwrap())]);
        let c = "c".repeat(64);
        let three =
            header(&format!("# v3 git bundle\n@object-format=sha256\n{c} HEAD\n\n")).unwrap();
        assert!(three.sha256);
    }

    #[test]
    fn odd_heads_are_refused() {
        let a = "a".repeat(40);
        for text in [
            String::new(),
            "# v2 git bundle\n".into(),
            "# v4 git bundle\n\n".into(),
            format!("# v2 git bundle\n{a} HEAD"),
            format!("# v3 git bundle\n@filter=blob:none\n{a} HEAD\n\n"),
            format!("# v2 git bundle\n@object-format=sha256\n{a} HEAD\n\n"),
            format!("# v3 git bundle\n@object-format=sha256\n{a} HEAD\n\n"),
            "# v2 git bundle\n--upload-pack=x\n\n".into(),
            format!("# v2 git bundle\n{}\n", "x".repeat(2 << 20)),
            "\0\0\0".into(),
        ] {
            assert!(header(&text).is_err(), "{text:.60}");
        }
    }
}
