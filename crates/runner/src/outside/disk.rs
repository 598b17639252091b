//! How much a run has written: counted in small portions between other duties, and sooner when
//! the file system fills.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use midwatch_api::order::Work;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use super::folder;

/// Names that are counted in one look: some milliseconds.
const PORTION: usize = 8_000;
/// A full count begins at least this often.
const PASS_EVERY: Duration = Duration::from_secs(10);
/// Below this many free bytes every run on the file system is ended, so that the server can
/// still write down what happened.
const FREE_FLOOR: u64 = 256 << 20;
/// The same for a run that saves work, which is begun because the disk is full: the room that was
/// kept for it has been given back, and it may take all but what the server writes meanwhile.
const RESCUE_FLOOR: u64 = 16 << 20;
/// The same for free inodes, on file systems that have a number of them.
const INODE_FLOOR: u64 = 1_000;
/// `st_blocks` counts units of 512 bytes on every file system (stat(2)).
const BLOCK: u64 = 512;

/// Counts what lies in some folders.
#[derive(Debug)]
pub(super) struct DiskMeter {
    roots: Vec<PathBuf>,
    limit: u64,
    floor: u64,
    /// What was there before the run; found by the first count.
    baseline: Option<u64>,
    counted: u64,
    free_at_start: u64,
    free_at_pass: u64,
    began: Option<Instant>,
    pass: Option<Pass>,
}

#[derive(Debug, Default)]
struct Pass {
    /// Folders still to look at: which root, path below it.
    open: Vec<(usize, PathBuf)>,
    bytes: u64,
    /// Some of it could not be looked at: then growth of the file system counts instead.
    hidden: bool,
}

/// The disk is used up, in words for a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DiskFull(pub(super) String);

/// The fewest bytes that have to be free for work of a kind.
pub(super) const fn floor(work: &Work) -> u64 {
    match work {
        Work::Checkout { .. } | Work::Setup { .. } | Work::Agent { .. } | Work::Check { .. } => {
            FREE_FLOOR
        }
        Work::Rescue { .. } => RESCUE_FLOOR,
    }
}

/// Whether a file system has room for a run with this floor.
pub(super) fn has_room(folder: &Path, floor: u64) -> io::Result<Result<(), DiskFull>> {
    let stat = rustix::fs::statvfs(folder)?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free < floor {
        return Ok(Err(DiskFull(format!("{free} bytes are free, {floor} are the floor"))));
    }
    // btrfs and others have no number of inodes and say 0.
    if stat.f_files > 0 && stat.f_favail < INODE_FLOOR {
        return Ok(Err(DiskFull(format!("{} inodes are free", stat.f_favail))));
    }
    Ok(Ok(()))
}

impl DiskMeter {
    /// Begins to watch `roots`, all on one file system, which keeps `floor` bytes free; `fresh`
    /// says that they are empty now.
    pub(super) fn new(
        roots: Vec<PathBuf>,
        limit: u64,
        floor: u64,
        fresh: bool,
    ) -> io::Result<Self> {
        let free = roots.first().map_or(Ok(0), |root| free(root))?;
        Ok(Self {
            roots,
            limit,
            floor,
            baseline: fresh.then_some(0),
            counted: 0,
            free_at_start: free,
            free_at_pass: free,
            began: None,
            pass: None,
        })
    }

    /// Goes on with the count for a moment.
    pub(super) fn look(&mut self, now: Instant) -> io::Result<Result<(), DiskFull>> {
        let Some(root) = self.roots.first() else {
            return Ok(Ok(()));
        };
        if let Err(full) = has_room(root, self.floor)? {
            return Ok(Err(full));
        }
        if self.pass.is_none() && self.is_due(now)? {
            self.free_at_pass = free(&self.roots[0])?;
            self.began = Some(now);
            let open = (0..self.roots.len()).map(|index| (index, PathBuf::new())).collect();
            self.pass = Some(Pass { open, ..Pass::default() });
        }
        let Some(pass) = &mut self.pass else {
            return Ok(Ok(()));
        };
        let done = pass.count(&self.roots, PORTION);
        let bytes = pass.bytes;
        if done {
            let grown = self.free_at_start.saturating_sub(free(&self.roots[0])?);
            let total = if pass.hidden { bytes.max(grown) } else { bytes };
            self.counted = total;
            self.baseline.get_or_insert(total);
            self.pass = None;
        }
        // A count that is not at its end is already a lower bound.
        let Some(baseline) = self.baseline else {
            return Ok(Ok(()));
        };
        let written = self.counted.max(bytes).saturating_sub(baseline);
        if written > self.limit {
            let limit = self.limit;
            return Ok(Err(DiskFull(format!("{written} bytes were written, {limit} are allowed"))));
        }
        Ok(Ok(()))
    }

    /// A count is due after a while, or when the file system lost a quarter of what the run may
    /// still write: somebody writes, perhaps it is this run.
    fn is_due(&self, now: Instant) -> io::Result<bool> {
        let Some(began) = self.began else {
            return Ok(true);
        };
        if now.duration_since(began) >= PASS_EVERY {
            return Ok(true);
        }
        let left = (self.limit + self.baseline.unwrap_or(0)).saturating_sub(self.counted);
        let lost = self.free_at_pass.saturating_sub(free(&self.roots[0])?);
        Ok(lost > left / 4)
    }
}

impl Pass {
    /// Counts up to `portion` names; true when nothing is left to count.
    fn count(&mut self, roots: &[PathBuf], portion: usize) -> bool {
        let mut seen = 0;
        while let Some((root, path)) = self.open.pop() {
            match open_below(&roots[root], &path)
                .and_then(|folder| self.count_folder(root, &path, &folder))
            {
                Ok(count) => seen += count,
                // Gone since, or without permissions, or too long a path.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(_) => self.hidden = true,
            }
            if seen >= portion {
                break;
            }
        }
        self.open.is_empty()
    }

    fn count_folder(&mut self, root: usize, path: &Path, folder: &OwnedFd) -> io::Result<usize> {
        let names = folder::names(folder)?;
        for name in &names {
            let Ok(stat) = folder::stat_in(folder, name) else {
                continue;
            };
            let blocks = u64::try_from(stat.st_blocks).unwrap_or(0) * BLOCK;
            if folder::is_folder(&stat) {
                self.bytes += blocks;
                let name: &std::ffi::OsStr =
                    std::os::unix::ffi::OsStrExt::from_bytes(name.to_bytes());
                self.open.push((root, path.join(name)));
            } else {
                // Several names of one file share its blocks: cargo's target folder is full of
                // such.
                self.bytes +=
                    blocks / u64::from(u32::try_from(stat.st_nlink).unwrap_or(u32::MAX).max(1));
            }
        }
        Ok(names.len() + 1)
    }
}

/// Opens a folder below a root: no link is followed, and no way leads out.
pub(super) fn open_below(root: &Path, path: &Path) -> io::Result<OwnedFd> {
    let root = folder::open(root)?;
    if path.as_os_str().is_empty() {
        return Ok(root);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    Ok(rustix::fs::openat2(&root, path, flags, Mode::empty(), resolve)?)
}

fn free(path: &Path) -> io::Result<u64> {
    let folder = rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let stat = rustix::fs::fstatvfs(folder)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn growth_over_the_limit_is_seen_and_links_are_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("upper");
        fs::create_dir_all(root.join("a/b")).unwrap();
        let other = place.path().join("other");
        fs::write(&other, vec![1; 4 << 20]).unwrap();
        symlink(&other, root.join("link")).unwrap();
        symlink(place.path(), root.join("a/up")).unwrap();
        let mut meter = DiskMeter::new(vec![root.clone()], 1 << 20, FREE_FLOOR, true).unwrap();
        let now = Instant::now();
        assert_eq!(meter.look(now).unwrap(), Ok(()));
        fs::write(root.join("a/b/file"), vec![1; 2 << 20]).unwrap();
        assert!(meter.look(now + PASS_EVERY).unwrap().is_err());
    }

    #[test]
    fn what_was_there_before_does_not_count() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("home");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("old"), vec![1; 3 << 20]).unwrap();
        let mut meter = DiskMeter::new(vec![root.clone()], 2 << 20, FREE_FLOOR, false).unwrap();
        let now = Instant::now();
        assert_eq!(meter.look(now).unwrap(), Ok(()));
        fs::write(root.join("new"), vec![1; 1 << 20]).unwrap();
        assert_eq!(meter.look(now + PASS_EVERY).unwrap(), Ok(()));
        fs::write(root.join("newer"), vec![1; 2 << 20]).unwrap();
        assert!(meter.look(now + 2 * PASS_EVERY).unwrap().is_err());
    }
}
