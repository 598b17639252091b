//! What is decided and what came of it, stored before anything follows from it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use midwatch_core::credentials::Credentials;
use midwatch_core::decide::{Decision, decide};
use midwatch_core::event::{Action, Event};
use midwatch_core::id::{RunName, TaskName};
use midwatch_core::ports::{ActOnLand, ActOnRun, Clock, Store};
use midwatch_core::task::{State, Task, Wake};
use midwatch_core::time::Time;

use crate::engine::{Change, Engine, EngineError, Live, learn};
use crate::perform::failure;

/// The most events of decisions that are stored at once. No task takes more than a handful; a
/// fault of ours that decides for ever shows in the log rather than in memory.
const MOST_DECIDED: usize = 32;

/// What deciding for a task came to.
pub(crate) enum Settled {
    /// Something was stored: decide again.
    Stored,
    /// It waits.
    Waits {
        /// Until then at most.
        wake: Option<Time>,
        /// Open runs that are to stop.
        stopping: Vec<RunName>,
    },
}

impl<S: Store, R: ActOnRun, L: ActOnLand, C: Clock> Engine<S, R, L, C> {
    /// Stores events and applies them; false when the task is over or cannot take them. Then
    /// nothing is stored.
    pub(crate) fn record(
        &self,
        name: &TaskName,
        events: &[Event],
    ) -> Result<bool, EngineError<S::Error>> {
        self.append(&mut self.tasks(), name, events)
    }

    /// Decides for a task and stores what was decided, with nothing stored in between: a
    /// decision is never about a task that has changed meanwhile. None when it is over.
    pub(crate) fn decide(&self, name: &TaskName) -> Result<Option<Settled>, EngineError<S::Error>> {
        let mut tasks = self.tasks();
        let Some(live) = tasks.get(name) else {
            return Ok(None);
        };
        let decided = decisions(&live.task, self.now());
        if decided.events.is_empty() {
            let wake = match decided.wake {
                Some(Wake::At(time)) => Some(time),
                Some(Wake::On(_)) | None => None,
            };
            let stopping = live.task.stopping.iter().cloned().collect();
            return Ok(Some(Settled::Waits { wake, stopping }));
        }
        self.append(&mut tasks, name, &decided.events)?;
        Ok(Some(Settled::Stored))
    }

    /// Stores what an action came to, and what follows from it. An answer that leaves the intent
    /// open is no answer: it is stored as a failure of ours.
    pub(crate) fn record_result(
        &self,
        name: &TaskName,
        action: &Action,
        event: Event,
    ) -> Result<(), EngineError<S::Error>> {
        let mut tasks = self.tasks();
        let key = action.key();
        let stored = self.append_result(&mut tasks, name, action, event);
        // In the same lock as the result: between the two, a turn would perform it again. Where
        // nothing could be stored, it is looked for again once that is possible.
        if let Some(live) = tasks.get_mut(name) {
            live.performing.remove(&key);
        }
        stored
    }

    /// One append: a result and its consequences cost one flush, and no crash comes in between.
    fn append_result(
        &self,
        tasks: &mut BTreeMap<TaskName, Live>,
        name: &TaskName,
        action: &Action,
        event: Event,
    ) -> Result<(), EngineError<S::Error>> {
        let Some(live) = tasks.get(name) else {
            return Ok(());
        };
        let mut after = live.task.clone();
        let mut events = vec![event];
        events.retain(|event| takes(&mut after, event));
        if after.open.get(&action.key()) == Some(action) {
            let unanswered = failure(action, "it was answered with something else");
            if takes(&mut after, &unanswered) {
                events.push(unanswered);
            }
        }
        // What is learnt of a credential is told to every task before one of them goes on.
        if !events.is_empty() && !events.iter().any(Credentials::hears) {
            events.extend(decisions(&after, self.now()).events);
        }
        if !events.is_empty() {
            self.append(tasks, name, &events)?;
        }
        Ok(())
    }

    fn append(
        &self,
        tasks: &mut BTreeMap<TaskName, Live>,
        name: &TaskName,
        events: &[Event],
    ) -> Result<bool, EngineError<S::Error>> {
        let Some(live) = tasks.get_mut(name) else {
            return Ok(false);
        };
        let mut after = live.task.clone();
        let mut before = Vec::with_capacity(events.len());
        for event in events {
            before.push(Arc::new(after.clone()));
            if !takes(&mut after, event) {
                return Ok(false);
            }
        }
        let now = self.now();
        let ports = &self.inner.ports;
        let what = events.iter().map(Event::name).collect::<Vec<_>>().join("+");
        (ports.point)("before-store", &what);
        let stored = ports.store.append(name, live.seq, events, now).map_err(EngineError::Store)?;
        (ports.point)("after-store", &what);
        let queued_before = matches!(live.task.state, State::Queued);
        self.learn(&live.task, events);
        live.task = after;
        live.seq = stored.last().map_or(live.seq, |last| last.seq);
        if !queued_before {
            live.since = now;
        }
        if live.task.state.is_terminal() {
            tasks.remove(name);
        }
        // Still in the lock, so that those who watch see the log's order.
        for (before, stored) in before.into_iter().zip(stored) {
            // Nobody may be watching.
            let _ = self.inner.changes.send(Change { before, stored });
            self.inner.told.fetch_add(1, Ordering::SeqCst);
        }
        Ok(true)
    }

    /// Takes in what stored events say of credentials.
    fn learn(&self, before: &Task, events: &[Event]) {
        if !events.iter().any(Credentials::hears) {
            return;
        }
        let mut credentials = self.credentials();
        learn(&mut credentials, before.clone(), events.iter());
    }
}

/// Applies an event; false when the task cannot take it.
fn takes(task: &mut Task, event: &Event) -> bool {
    let taken = task.apply(event);
    if let Err(illegal) = &taken {
        tracing::warn!(task = %task.spec.name, %illegal, "refused an event");
    }
    taken.is_ok()
}

/// Decides until there is nothing more to decide: all that follows from what is known now.
fn decisions(task: &Task, now: Time) -> Decision {
    let mut after = task.clone();
    let mut events = Vec::new();
    loop {
        let decision = decide(&after, now);
        // A decision that cannot be is a fault of ours. The task stays where it is, to be seen,
        // rather than turn the engine round and round.
        let taken = decision.events.iter().all(|event| takes(&mut after, event));
        if !taken {
            tracing::error!(task = %task.spec.name, events = ?decision.events, "decided what cannot be");
        }
        if decision.events.is_empty() || !taken || events.len() > MOST_DECIDED {
            return Decision { events, wake: decision.wake };
        }
        events.extend(decision.events);
    }
}
