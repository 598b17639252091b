//! The two ways of asking for a stop: a file in the run's folder, and a signal to the runner.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use midwatch_api::report::STOP_FILE;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::ground::Door;

/// What was asked for up to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    /// Nothing.
    Nothing,
    /// An end with time to save work.
    Stop,
    /// An end at once.
    Kill,
}

/// Listens to both.
#[derive(Debug)]
pub(super) struct Stop {
    signal: Arc<AtomicBool>,
    signals: u32,
    file: bool,
}

impl Stop {
    /// Takes SIGTERM and SIGINT over. Handlers are reset by exec, so nothing of it is
    /// inherited.
    pub(super) fn listen() -> io::Result<Self> {
        let signal = Arc::new(AtomicBool::new(false));
        for number in [SIGTERM, SIGINT] {
            signal_hook::flag::register(number, Arc::clone(&signal))?;
        }
        Ok(Self { signal, signals: 0, file: false })
    }

    /// Looks again. A second signal means now.
    pub(super) fn asked(&mut self, door: &Door) -> Asked {
        if self.signal.swap(false, Ordering::Relaxed) {
            self.signals += 1;
        }
        self.file = self.file || door.has(STOP_FILE);
        match (self.signals, self.file) {
            (0, false) => Asked::Nothing,
            (0, true) | (1, _) => Asked::Stop,
            (2.., _) => Asked::Kill,
        }
    }
}
