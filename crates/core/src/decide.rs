//! What happens next to one task. Total, synchronous, with no clock, IO or randomness: the
//! same decisions drive one machine and a cluster.

use crate::event::{Action, EndKind, Event, LandAction, RunOrder, RunWork};
use crate::id::{Epoch, RunName, StepName};
use crate::reason::{FailReason, HoldReason};
use crate::task::{Ending, Hold, State, Task, Wake, WakeEvent};
use crate::time::Time;

mod agent;
mod failure;
mod stage;

pub use failure::MAX_OUTAGE_PAUSES;

/// The most starts of runs in one task: a floor under every loop.
pub const MAX_EPOCHS: u32 = 300;
/// Uncharged retries of one step: a machine that fails this often will not mend itself.
pub const MAX_FREE_RETRIES: u32 = 20;
/// A pause before the next attempt that is longer than this gives the slot back. In a shorter one
/// it would only be missed when the task goes on.
pub const SLOT_KEPT_SECONDS: i64 = 30;

/// What to store, and when to look again if nothing happens before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// To be stored in this order; `Intended` events are performed after that.
    pub events: Vec<Event>,
    /// What the task waits for when there is nothing to store; none only when it is over.
    pub wake: Option<Wake>,
}

impl Decision {
    fn store(event: Event) -> Self {
        Self { events: vec![event], wake: None }
    }

    fn wait(wake: Wake) -> Self {
        Self { events: vec![], wake: Some(wake) }
    }
}

/// Decides. Call again after storing and applying the events, until there are none.
pub fn decide(task: &Task, now: Time) -> Decision {
    match &task.state {
        State::Ended(_) => Decision { events: vec![], wake: None },
        State::Queued | State::Held(_) if task.cancel => {
            Decision::store(Event::Ended(EndKind::Cancelled))
        }
        State::Queued => match waits_before_admission(task, now) {
            Some(hold) => Decision::store(Event::Held(hold)),
            None => Decision::wait(
                task.pauses_until(now).map_or(Wake::On(WakeEvent::Admission), Wake::At),
            ),
        },
        State::Held(hold) => match hold.until {
            Wake::At(time) if time <= now => Decision::store(Event::Released),
            Wake::On(WakeEvent::Answer) if task.open_questions().next().is_none() => {
                Decision::store(Event::Released)
            }
            Wake::At(_) | Wake::On(_) => Decision::wait(hold.until),
        },
        State::Running(_) => running(task, now),
    }
}

/// What keeps a task from being let in at all: it is paused, or nobody could work on it.
fn waits_before_admission(task: &Task, now: Time) -> Option<Hold> {
    if let Some(by) = &task.paused {
        return Some(paused(by));
    }
    // Until it goes on, another agent may be there again.
    let looks = task.needs_agent() && task.pauses_until(now).is_none();
    if looks { task.agent_at(now).err() } else { None }
}

fn paused(by: &str) -> Hold {
    Hold {
        reason: HoldReason::Paused,
        detail: format!("{by} paused it"),
        until: Wake::On(WakeEvent::Resume),
    }
}

/// Open runs that are to stop. What saves work is never stopped; what only judges or prepares
/// may end when a task is paused, because it is short and stopping it would lose its result.
fn stops(task: &Task) -> Vec<Event> {
    let stops = |order: &&RunOrder| match order.work {
        RunWork::Rescue { .. } => false,
        RunWork::Agent(_) => task.cancel || task.paused.is_some(),
        RunWork::Checkout { .. } | RunWork::Setup { .. } | RunWork::Check { .. } => task.cancel,
    };
    task.open_runs()
        .filter(stops)
        .filter(|order| !task.stopping.contains(&order.run))
        .map(|order| Event::StopSent { run: order.run.clone() })
        .collect()
}

fn running(task: &Task, now: Time) -> Decision {
    let stops = stops(task);
    if !stops.is_empty() {
        return Decision { events: stops, wake: None };
    }
    if let Some(save) = checkpoint(task) {
        return Decision::store(Event::Intended(save));
    }
    if task.open_runs().next().is_some() || !task.open.is_empty() {
        return Decision::wait(Wake::On(WakeEvent::Action));
    }
    if let Some(unsaved) = &task.unsaved {
        if unsaved.no_room {
            return Decision::store(Event::Held(failure::no_room(task, unsaved, now)));
        }
        return Decision::store(Event::Intended(match &unsaved.by {
            None => start(
                task,
                "rescue",
                0,
                RunWork::Rescue { of: unsaved.run.clone(), of_epoch: unsaved.epoch },
            ),
            Some(by) => Action::Land(LandAction::SaveRescue {
                run: unsaved.run.clone(),
                epoch: unsaved.epoch,
                by: by.clone(),
                base: task.spec.base.clone(),
            }),
        }));
    }
    if let Some(ending) = &task.ending {
        return Decision::store(Event::Ended(match ending {
            Ending::Fail(reason, detail) => {
                EndKind::Failed { reason: *reason, detail: detail.clone() }
            }
            Ending::Cancel => EndKind::Cancelled,
            Ending::NoChange(why) => EndKind::NoChange { why: why.clone() },
        }));
    }
    // What has landed before the cancellation came is landed: it ends as that.
    if task.cancel && task.read_back.is_none() {
        return Decision::store(Event::EndingChosen(Ending::Cancel));
    }
    if let Some(failure) = &task.failure {
        return Decision::store(failure::after(task, failure, now));
    }
    // An import that is due comes before the pause, so that nothing waits unsaved.
    if let Some(by) = task.paused.as_ref().filter(|_| task.to_import.is_none()) {
        return Decision::store(Event::Held(paused(by)));
    }
    match task.pauses_until(now) {
        Some(at) if at > now.plus_seconds(SLOT_KEPT_SECONDS) => Decision::store(Event::Released),
        Some(at) => Decision::wait(Wake::At(at)),
        None => within_bounds(stage::go_on(task, now)),
    }
}

/// No more runs than [`MAX_EPOCHS`]; what is already there may still be imported and landed.
fn within_bounds(decision: Decision) -> Decision {
    let beyond = decision.events.iter().any(
        |event| matches!(event, Event::Intended(Action::Run(order)) if order.epoch.0 > MAX_EPOCHS),
    );
    if beyond {
        return fail(FailReason::Internal, "too many runs were started for one task");
    }
    decision
}

fn checkpoint(task: &Task) -> Option<Action> {
    let (run, epoch, number) = task.checkpoint.as_ref()?;
    let onto = match &task.open_run(run)?.work {
        RunWork::Agent(agent) => agent.onto.clone(),
        RunWork::Checkout { .. }
        | RunWork::Setup { .. }
        | RunWork::Check { .. }
        | RunWork::Rescue { .. } => return None,
    };
    let save = Action::Land(LandAction::SaveCheckpoint {
        run: run.clone(),
        epoch: *epoch,
        number: *number,
        onto,
    });
    let saved = task.checkpoints_saved.get(epoch).is_some_and(|last| last >= number);
    (!saved && !task.open.contains_key(&save.key())).then_some(save)
}

/// The one place that starts runs: each start has an epoch of its own.
fn start(task: &Task, step: &str, ahead: u32, work: RunWork) -> Action {
    let epoch = Epoch(task.epoch.0.saturating_add(ahead).saturating_add(1));
    let step = StepName::parse(step).unwrap_or_else(|_| StepName::task());
    let run = RunName::new(&task.spec.name, &step, epoch);
    Action::Run(RunOrder { run, step, epoch, work })
}

fn fail(reason: FailReason, detail: &str) -> Decision {
    Decision::store(Event::EndingChosen(Ending::Fail(reason, detail.to_owned())))
}
