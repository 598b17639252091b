//! Room on the disk that is kept for saving work: taken before an agent begins, given back when
//! the disk is full, so that what was done until then can still be rescued and written down.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use midwatch_core::admit::Observed;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

/// Bytes that are kept, where nobody says otherwise: the bundles of several large changes, and
/// thousands of events.
pub const RESERVE_BYTES: u64 = 128 << 20;

/// Room on the disk of the state folder.
#[derive(Debug)]
pub struct Reserve {
    path: PathBuf,
    bytes: u64,
    held: Mutex<bool>,
    /// The tasks that wait for it.
    waits: Mutex<BTreeSet<String>>,
}

/// A task waits for the room; no longer when this is dropped.
#[derive(Debug)]
pub(crate) struct Waits<'r> {
    reserve: &'r Reserve,
    task: String,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.reserve.waits().remove(&self.task);
    }
}

impl Reserve {
    /// Of the file system of a state folder. Nothing is taken yet.
    pub fn new(root: &Path, bytes: u64) -> Self {
        Self { path: root.join("reserve"), bytes, held: Mutex::default(), waits: Mutex::default() }
    }

    /// Takes the room, if as much again stays free for everybody else. False when there is not
    /// enough.
    pub fn hold(&self) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if !*held {
            *held = match self.take() {
                Ok(taken) => taken,
                Err(error) => {
                    tracing::warn!(%error, "reserve.not_taken");
                    false
                }
            };
        }
        *held
    }

    /// Gives it back: something has to be written now.
    pub fn release(&self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held = false;
        match fs::remove_file(&self.path) {
            Ok(()) => tracing::warn!(bytes = self.bytes, "reserve.released"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%error, "reserve.not_released"),
        }
    }

    /// What the machine has left beside it: what is to be held again is nobody's to begin with,
    /// and where it could not be, no agent would be let go on.
    pub fn beside(&self, observed: Observed) -> Observed {
        let held = *self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let beside = |free: u64| {
            let enough = free >= self.bytes.saturating_mul(2);
            if held || self.bytes == 0 {
                free
            } else if enough {
                free - self.bytes
            } else {
                0
            }
        };
        Observed { free_disk: observed.free_disk.map(beside), ..observed }
    }

    /// Says of a task that it waits for this room, until what is returned is dropped.
    pub(crate) fn wait(&self, task: &str) -> Waits<'_> {
        self.waits().insert(task.to_owned());
        Waits { reserve: self, task: task.to_owned() }
    }

    /// Whether a task waits for it.
    pub(crate) fn is_waited_for(&self, task: &str) -> bool {
        self.waits().contains(task)
    }

    fn waits(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether so little is free that saving work needs the room that is kept for it.
    pub fn is_needed(&self) -> bool {
        self.free().is_ok_and(|free| free < self.bytes)
    }

    fn take(&self) -> io::Result<bool> {
        if fs::metadata(&self.path).is_ok_and(|metadata| metadata.len() >= self.bytes) {
            return Ok(true);
        }
        if self.free()? < self.bytes.saturating_mul(2) {
            return Ok(false);
        }
        let file = File::options().create(true).append(true).open(&self.path)?;
        match fallocate(&file, FallocateFlags::empty(), 0, self.bytes) {
            Ok(()) => Ok(true),
            Err(error) => {
                let _ = fs::remove_file(&self.path);
                match error {
                    // There is room, and this file system cannot keep it for us.
                    Errno::OPNOTSUPP | Errno::NOSYS => Ok(true),
                    Errno::NOSPC | Errno::DQUOT => Ok(false),
                    other => Err(other.into()),
                }
            }
        }
    }

    /// Bytes that may still be written; an error where that cannot be known.
    fn free(&self) -> io::Result<u64> {
        let root = self.path.parent().unwrap_or(&self.path);
        crate::machine::free_disk(root).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_once_and_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::new(folder.path(), 1 << 20);
        assert!(reserve.hold() && reserve.hold());
        let file = folder.path().join("reserve");
        assert_eq!(fs::metadata(&file).unwrap().len(), 1 << 20);
        // The next server finds it.
        assert!(Reserve::new(folder.path(), 1 << 20).hold());
        reserve.release();
        reserve.release();
        assert!(!file.exists());
        assert!(!Reserve::new(folder.path(), u64::MAX / 4).hold(), "no disk is that large");
        assert!(!file.exists());
    }

    #[test]
    fn what_is_to_be_held_again_is_not_free() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::new(folder.path(), 1 << 20);
        let beside = |free: u64| {
            let observed = Observed { free_disk: Some(free), free_memory: Some(7) };
            let Observed { free_disk, free_memory } = reserve.beside(observed);
            assert_eq!(free_memory, Some(7));
            free_disk.unwrap()
        };
        assert_eq!(beside(5 << 20), 4 << 20);
        assert_eq!(beside((2 << 20) - 1), 0, "it could not be held");
        // The controls: what is held is in nobody's count, and none limits nothing.
        assert!(reserve.hold());
        assert_eq!(beside((2 << 20) - 1), (2 << 20) - 1);
        let none = Reserve::new(folder.path(), 0);
        assert_eq!(
            none.beside(Observed { free_disk: Some(1), free_memory: None }).free_disk,
            Some(1)
        );
    }
}
