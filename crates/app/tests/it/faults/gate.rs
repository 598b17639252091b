//! A place in a sandbox where a command waits until the test lets it go on.

use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};

use super::until;
use crate::house::pids;

/// A `sleep` for a time that nobody else sleeps: how its process is found from outside, without
/// a file that the sandbox could see.
pub(crate) struct Gate {
    seconds: String,
}

impl Gate {
    /// A new one; nobody waits at it.
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self { seconds: format!("1{:07}{number:03}", std::process::id()) }
    }

    /// The command that waits at it. It ends by the signal that opens the gate.
    pub(crate) fn command(&self) -> String {
        format!("sleep {}", self.seconds)
    }

    /// Who waits at it.
    pub(crate) fn waiting(&self) -> Vec<u32> {
        let waits = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mut words = line.split(|byte| *byte == 0);
            let sleeps = words.next().is_some_and(|word| word.ends_with(b"sleep"));
            sleeps && words.next() == Some(self.seconds.as_bytes())
        };
        pids().into_iter().filter(waits).collect()
    }

    /// Waits until somebody waits at it.
    #[track_caller]
    pub(crate) fn reached(&self) {
        until("somebody at the gate", || !self.waiting().is_empty());
    }

    /// Waits until somebody waits at it, and ends that one's sleep.
    #[track_caller]
    pub(crate) fn open(&self, signal: Signal) {
        self.reached();
        self.let_go(signal);
    }

    /// Ends the sleep of whoever waits at it now.
    pub(crate) fn let_go(&self, signal: Signal) {
        for pid in self.waiting() {
            let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
            // One that ended meanwhile needs none.
            let _ = kill_process(pid, signal);
        }
    }
}
