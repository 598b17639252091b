//! Performing: each intent is looked for in the world before it is done, so that a restart
//! never does a thing twice.

use std::sync::PoisonError;

use midwatch_core::event::{Action, Event, RunResult};
use midwatch_core::id::{RunName, TaskName};
use midwatch_core::ports::{Act, ActOnLand, ActOnRun, Clock, Seen, Store};
use midwatch_core::reason::FailReason;
use midwatch_core::task::Task;

use crate::engine::Engine;

impl<S: Store, R: ActOnRun, L: ActOnLand, C: Clock> Engine<S, R, L, C> {
    /// Starts every open action of a task that this process does not perform yet.
    pub(crate) fn start_open(&self, name: &TaskName) {
        for (task, action) in self.unperformed(name) {
            let engine = self.clone();
            let name = name.clone();
            tokio::spawn(async move {
                let (one, what) = (engine.clone(), action.clone());
                let done = tokio::spawn(async move { one.carry_out(&task, &what).await }).await;
                match done {
                    Ok(event) => engine.finished(&name, &action, event),
                    Err(fault) if fault.is_panic() => {
                        engine.finished(&name, &action, failure(&action, "it panicked"));
                    }
                    // The process is going down: the intent stays open.
                    Err(_) => {}
                }
            });
        }
    }

    async fn carry_out(&self, task: &Task, action: &Action) -> Event {
        let ports = &self.inner.ports;
        (ports.point)("before-act", action.kind());
        let event = match action {
            Action::Run(order) => carry_out(&ports.runs, task, order).await,
            Action::Land(land) => carry_out(&ports.lands, task, land).await,
        };
        (ports.point)("after-act", action.kind());
        event
    }

    fn finished(&self, name: &TaskName, action: &Action, event: Event) {
        if let Err(error) = self.record_result(name, action, event) {
            // The intent stays open in the store: the next start looks for it again.
            tracing::error!(task = %name, %error, "could not store what was done");
            *self.inner.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
        self.inner.turn.notify_one();
    }

    pub(crate) fn send_stop(&self, run: RunName) {
        let engine = self.clone();
        tokio::spawn(async move { engine.inner.ports.runs.stop(&run).await });
    }
}

async fn carry_out<A: Sync>(port: &impl Act<A>, task: &Task, action: &A) -> Event {
    match port.look(task, action).await {
        Seen::Done(event) => *event,
        // Performing an adopted run means waiting for it: the port knows that it goes on.
        Seen::GoesOn | Seen::Nothing => port.perform(task, action).await,
    }
}

/// The event of an action that failed by a fault of ours.
pub(crate) fn failure(action: &Action, detail: &str) -> Event {
    let (reason, detail) = (FailReason::Internal, detail.to_owned());
    match action {
        Action::Run(order) => Event::RunEnded {
            run: order.run.clone(),
            epoch: order.epoch,
            result: RunResult::Failed { reason, detail },
        },
        Action::Land(_) => Event::LandFailed { key: action.key(), reason, detail },
    }
}
