//! The turn: decide for each task, admit for all, start what was decided.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use midwatch_core::admit::{self, Entry, Grant, Queue, Waiting, next_reset};
use midwatch_core::event::Event;
use midwatch_core::id::TaskName;
use midwatch_core::ports::{ActOnLand, ActOnRun, Clock, Store};
use midwatch_core::task::{State, Task};
use midwatch_core::time::Time;

use crate::engine::{Engine, EngineError};
use crate::record::Settled;

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
        self.spread_news()?;
        self.admit()?;
        let names: Vec<TaskName> = self.tasks().keys().cloned().collect();
        let mut earliest: Option<Time> = None;
        for name in names {
            if let Some(at) = self.settle(&name)? {
                earliest = Some(earliest.map_or(at, |other| other.min(at)));
            }
        }
        // What one task learnt is known to all before another one is let in.
        if self.spread_news()? {
            self.inner.turn.notify_one();
        }
        // A task that was released or ended may have made room.
        self.admit()?;
        let reset = next_reset(&self.queue(), self.now());
        Ok(earliest.into_iter().chain(reset).min())
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

    /// Tells every task that could still start a run what is known of its credentials; whether
    /// there was something to tell.
    fn spread_news(&self) -> Result<bool, EngineError<S::Error>> {
        let now = self.now();
        let mut told = false;
        let could_start = |task: &Task| match &task.state {
            State::Queued | State::Running(_) => !task.cancel,
            State::Held(_) | State::Ended(_) => false,
        };
        let names: Vec<TaskName> = self.tasks().keys().cloned().collect();
        for name in names {
            let news = {
                let tasks = self.tasks();
                let task = tasks.get(&name).map(|live| &live.task).filter(|task| could_start(task));
                task.map_or_else(Vec::new, |task| self.credentials().news_for(task, now))
            };
            if !news.is_empty() {
                told |= self.record(&name, &news)?;
            }
        }
        Ok(told)
    }

    fn admit(&self) -> Result<(), EngineError<S::Error>> {
        let now = self.now();
        for grant in admit::admit(&self.queue(), now) {
            let Grant::Admit(name) = grant else { continue };
            let mut events = {
                let tasks = self.tasks();
                let task = tasks.get(&name).map(|live| &live.task);
                task.map_or_else(Vec::new, |task| self.credentials().history_for(task, now))
            };
            events.push(Event::Admitted);
            if self.record(&name, &events)? {
                self.inner.turn.notify_one();
            }
        }
        Ok(())
    }

    /// What the queue looks like now.
    pub fn queue(&self) -> Queue {
        let now = self.now();
        let tasks = self.tasks();
        let entries = tasks
            .values()
            .filter_map(|live| Entry::of(&live.task, live.since, live.place, now))
            .collect();
        Queue {
            limits: self.inner.ports.limits,
            observed: (self.inner.ports.observe)(),
            paused: self.paused(),
            credentials: self.credentials().clone(),
            entries,
        }
    }

    /// Who paused everything.
    pub fn paused(&self) -> Option<String> {
        self.inner.paused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets nobody in any more, or again. What is stored of it is the caller's affair.
    pub fn pause(&self, by: Option<String>) {
        *self.inner.paused.lock().unwrap_or_else(PoisonError::into_inner) = by;
        self.inner.turn.notify_one();
    }

    /// Why every queued task waits, and its place: one round of the queue, however many are shown.
    pub fn waiting(&self) -> BTreeMap<TaskName, Waiting> {
        admit::waiting(&self.queue(), self.now())
    }
}
