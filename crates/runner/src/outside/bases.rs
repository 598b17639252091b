//! Bases that are there already: which may be used, and which a new one can begin from.

use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use midwatch_api::order::base::{MADE_FILE, durable_file, is_whole};
use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags};

use super::folder;

/// The longest mark that is read.
const MARK_BYTES: u64 = 1 << 10;
/// How git's folder is called in a base.
const GIT: &CStr = c".git";

/// Whether a base is there and may be used. One that may not is what a power loss left: it is
/// moved out of the way, so that a whole one can take its place.
pub(super) fn keep_or_set_aside(base: &Path, boot: &str) -> io::Result<bool> {
    if !base.exists() {
        return Ok(false);
    }
    let parent = base.parent().ok_or(io::ErrorKind::InvalidInput)?;
    // Whoever finds a bad one moves that one, and never the good one that another has just put
    // there: a good one is put only where none is.
    let lock = File::open(parent)?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
    if is_usable(base, boot) {
        return Ok(true);
    }
    if base.exists() {
        let aside = base.with_extension(format!("bad-{}", std::process::id()));
        fs::rename(base, &aside)?;
        drop(lock);
        folder::remove_tree(&aside)?;
    }
    Ok(false)
}

fn is_usable(base: &Path, boot: &str) -> bool {
    let Ok(made) = read_mark(&base.join(MADE_FILE)) else { return false };
    let durable = read_mark(&durable_file(base)).ok();
    is_whole(&made, durable.as_deref(), boot)
}

fn read_mark(path: &Path) -> io::Result<String> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(CWD, path, flags, Mode::empty())?);
    let mut text = String::new();
    file.take(MARK_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// Gives a new base the files of the one beside it that was used last, by hard links, and its
/// index: most commits differ in few files from the one before. `git checkout` then replaces what
/// differs by files of its own, and writes into none.
///
/// Where that does not work out, nothing is there, and all files are checked out.
pub(super) fn begin_from_another(fresh: &Path, target: &Path, boot: &str) {
    if let Some(other) = last_used(target, boot)
        && link_files(&other, fresh).is_err()
    {
        let _ = remove_files(fresh);
    }
}

/// The base beside this one that was used last.
fn last_used(target: &Path, boot: &str) -> Option<PathBuf> {
    let length = target.file_name()?.len();
    let mut found: Vec<(SystemTime, PathBuf)> = fs::read_dir(target.parent()?)
        .ok()?
        .flatten()
        .filter(|entry| entry.file_name().len() == length)
        .filter(|entry| entry.file_name().as_bytes().iter().all(u8::is_ascii_hexdigit))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .filter(|(_, path)| is_usable(path, boot))
        .collect();
    found.sort();
    found.pop().map(|(_, path)| path)
}

fn link_files(from: &Path, to: &Path) -> io::Result<()> {
    let (source, target) = (folder::open(from)?, folder::open(to)?);
    link_folder(&source, &target, 0)?;
    // Not a link: it is written to.
    let (theirs, ours) = (folder::open_in(&source, GIT)?, folder::open_in(&target, GIT)?);
    let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut index = File::from(rustix::fs::openat(&theirs, c"index", read, Mode::empty())?);
    let write = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o644);
    let mut copy = File::from(rustix::fs::openat(&ours, c"index", write, mode)?);
    io::copy(&mut index, &mut copy)?;
    // Which entries git reads again hangs on it.
    copy.set_modified(index.metadata()?.modified()?)
}

fn link_folder(from: &OwnedFd, to: &OwnedFd, depth: usize) -> io::Result<()> {
    if depth > folder::DEEPEST {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (name, is_folder) in entries(from)? {
        if depth == 0 && name.as_c_str() == GIT {
            continue;
        }
        if is_folder {
            rustix::fs::mkdirat(to, &name, Mode::from_raw_mode(0o755))?;
            let (from, to) = (folder::open_in(from, &name)?, folder::open_in(to, &name)?);
            link_folder(&from, &to, depth + 1)?;
        } else {
            rustix::fs::linkat(from, &name, to, &name, AtFlags::empty())?;
        }
    }
    Ok(())
}

/// Names, and whether each is a folder.
fn entries(folder: &OwnedFd) -> io::Result<Vec<(CString, bool)>> {
    folder::names(folder)?
        .into_iter()
        .map(|name| {
            let stat = folder::stat_in(folder, &name)?;
            Ok((name, folder::is_folder(&stat)))
        })
        .collect()
}

/// All but git's own folder, and in that the index.
fn remove_files(fresh: &Path) -> io::Result<()> {
    for entry in fs::read_dir(fresh)? {
        let entry = entry?;
        if entry.file_name().as_bytes() != GIT.to_bytes() {
            folder::remove_tree(&entry.path())?;
        }
    }
    folder::remove_tree(&fresh.join(".git/index"))
}
