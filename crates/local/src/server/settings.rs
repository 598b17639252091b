//! What an operator, or a test, decides about a server.

use std::path::Path;
use std::sync::Arc;

use midwatch_core::admit::{Limits, Observed};

use crate::point::Point;
use crate::reserve::RESERVE_BYTES;
use crate::retain::{Policy, SavedWork};

/// Tasks that run at once, when the operator does not say.
pub const DEFAULT_SLOTS: usize = 4;
/// Bytes of disk that are kept for each running task: its workspace and, above all, its rescue.
const TASK_DISK: u64 = 512 << 20;
/// Bytes of memory that have to be free for one more task: what the leanest agent CLI was seen to
/// use, and as much again for what it starts.
const TASK_MEMORY: u64 = 512 << 20;
/// Bytes of disk that stay free whatever runs, for the database and the logs.
const SPARE_DISK: u64 = 256 << 20;

/// What the operator, or a test, decides about a server.
#[derive(Clone)]
pub struct Settings {
    /// The executable that is started as `PROGRAM runner FOLDER`.
    pub program: std::path::PathBuf,
    /// How much goes on at once.
    pub limits: Limits,
    /// What the machine has left, with the disk of a folder.
    pub observe: fn(&Path) -> Observed,
    /// Told before and after everything that is stored or done; see the engine's ports.
    pub point: Point,
    /// What is kept of tasks that are over.
    pub retention: Policy,
    /// Bytes of the disk that are kept for saving work.
    pub reserve_bytes: u64,
    /// Who knows the refs that save work; none leaves them alone.
    pub saved: Option<Arc<dyn SavedWork>>,
    /// Removes what killed runners left in the kernel; answers the pids of those who still have
    /// something there.
    pub sweep_groups: fn() -> Vec<u32>,
}

impl Settings {
    /// The usual ones.
    pub fn new(program: std::path::PathBuf) -> Self {
        let limits = Limits {
            task_disk: TASK_DISK,
            task_memory: TASK_MEMORY,
            spare_disk: SPARE_DISK,
            ..Limits::slots(DEFAULT_SLOTS)
        };
        Self {
            program,
            limits,
            observe: crate::machine::observed,
            point: midwatch_engine::pass,
            retention: Policy::default(),
            reserve_bytes: RESERVE_BYTES,
            saved: None,
            sweep_groups: Vec::new,
        }
    }
}
