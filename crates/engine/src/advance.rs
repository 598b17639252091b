//! The turn: decide for each task, admit for all, start what was decided.

use std::sync::PoisonError;
use std::time::Duration;

use midwatch_core::admit::{Entry, Grant, Queue, admit};
use midwatch_core::event::Event;
use midwatch_core::id::TaskName;
use midwatch_core::ports::{ActOnLand, ActOnRun, Clock, Store};
use midwatch_core::task::State;
use midwatch_core::time::Time;

use crate::engine::{Engine, EngineError, Settled};

/// The longest sleep between two turns, so that a clock that jumped is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

impl<S: Store, R: ActOnRun, L: ActOnLand, C: Clock> Engine<S, R, L, C> {
    /// Drives all tasks until the store fails. Ends only with that error.
    pub async fn run(&self) -> EngineError<S::Error> {
        loop {
            let turn = self.inner.turn.notified();
            let wake = match self.turn() {
                Ok(wake) => wake,
                Err(error) => return error,
            };
            let sleep = wake.map_or(LONGEST_SLEEP, |at| {
                let millis = at.0.saturating_sub(self.now().0).max(0);
                Duration::from_millis(millis.unsigned_abs()).min(LONGEST_SLEEP)
            });
            tokio::select! {
                () = turn => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    /// One turn over all tasks; the earliest time at which one wants another.
    pub fn turn(&self) -> Result<Option<Time>, EngineError<S::Error>> {
        let failed = self.inner.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(error) = failed {
            return Err(error);
        }
        self.admit()?;
        let names: Vec<TaskName> = self.tasks().keys().cloned().collect();
        let mut earliest: Option<Time> = None;
        for name in names {
            if let Some(at) = self.settle(&name)? {
                earliest = Some(earliest.map_or(at, |other| other.min(at)));
            }
        }
        // A task that was released or ended may have made room.
        self.admit()?;
        Ok(earliest)
    }

    /// Decides until there is nothing to store, then starts what is open.
    fn settle(&self, name: &TaskName) -> Result<Option<Time>, EngineError<S::Error>> {
        loop {
            match self.decide(name)? {
                None => return Ok(None),
                Some(Settled::Stored) => {}
                Some(Settled::Waits { wake, stopping }) => {
                    self.start_open(name);
                    // Asked again at each turn: the process may have died between storing the
                    // wish and telling it, and a run may have begun only now.
                    for run in stopping {
                        self.send_stop(run);
                    }
                    return Ok(wake);
                }
            }
        }
    }

    fn admit(&self) -> Result<(), EngineError<S::Error>> {
        let now = self.now();
        for grant in admit(&self.queue(), now) {
            if let Grant::Admit(name) = grant
                && self.record(&name, &[Event::Admitted])?
            {
                self.inner.turn.notify_one();
            }
        }
        Ok(())
    }

    /// What the queue looks like now.
    pub fn queue(&self) -> Queue {
        let tasks = self.tasks();
        let entries = tasks.values().filter_map(|live| {
            let running = match &live.task.state {
                State::Queued if live.task.cancel => return None,
                State::Queued => false,
                State::Running(_) => true,
                State::Held(_) | State::Ended(_) => return None,
            };
            Some(Entry {
                name: live.task.spec.name.clone(),
                repository: live.task.spec.repository.clone(),
                branch: live.task.spec.branch.clone(),
                priority: live.task.spec.priority,
                since: live.since,
                running,
            })
        });
        Queue { slots: self.inner.ports.slots, entries: entries.collect() }
    }

    /// Why a queued task waits, and its place.
    pub fn waiting(&self, name: &TaskName) -> Option<(midwatch_core::reason::HoldReason, usize)> {
        admit(&self.queue(), self.now()).into_iter().find_map(|grant| match grant {
            Grant::Wait { name: of, reason, position } if of == *name => Some((reason, position)),
            Grant::Wait { .. } | Grant::Admit(_) => None,
        })
    }
}
