//! What the engine needs from the world: a place to store events, and somebody to act.

use std::future::Future;

use crate::event::{Action, Event, LandAction, RunOrder};
use crate::id::{RunName, TaskName};
use crate::task::{Task, TaskSpec};
use crate::time::Time;

/// A stored event with its place in the task's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Counted from 1 in its task, without gaps.
    pub seq: u64,
    /// When it was stored.
    pub at: Time,
    /// The event.
    pub event: Event,
}

/// A stored task that is not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenTask {
    /// What was asked.
    pub spec: TaskSpec,
    /// When it was submitted: one that has waited since keeps its place in the queue.
    pub submitted: Time,
    /// Everything that happened to it.
    pub log: Vec<Stored>,
}

/// Where tasks and their events are kept. Acknowledged means durable.
pub trait Store: Send + Sync + 'static {
    /// What goes wrong.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Every task that is not over, in the order in which they were submitted.
    fn open_tasks(&self) -> Result<Vec<OpenTask>, Self::Error>;

    /// Appends events after `after`; refused when the log has grown meanwhile.
    fn append(
        &self,
        task: &TaskName,
        after: u64,
        events: &[Event],
        now: Time,
    ) -> Result<Vec<Stored>, Self::Error>;
}

/// What was found in the world about an intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Nothing: perform it.
    Nothing,
    /// It goes on (an adopted run): wait for its event, do not perform it.
    GoesOn,
    /// It is done: this is its event.
    Done(Box<Event>),
}

/// Carries out actions of one kind. Both calls are idempotent.
pub trait Act<A>: Send + Sync + 'static {
    /// Looks for the action's effect in the world.
    fn look(&self, task: &Task, action: &A) -> impl Future<Output = Seen> + Send;

    /// Performs it to its end, and says how it went. Failures are events, too.
    fn perform(&self, task: &Task, action: &A) -> impl Future<Output = Event> + Send;
}

/// Acts on runs: beside starting them, it tells them to stop.
pub trait ActOnRun: Act<RunOrder> {
    /// Asks an open run to stop and save. Says nothing: the run's end is the answer.
    fn stop(&self, run: &RunName) -> impl Future<Output = ()> + Send;
}

/// Acts on landings.
pub trait ActOnLand: Act<LandAction> {}

impl<T: Act<LandAction>> ActOnLand for T {}

/// The clock, so that tests can turn it.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Time;
}

/// Which executor an action belongs to.
pub const fn executor(action: &Action) -> &'static str {
    match action {
        Action::Run(_) => "run",
        Action::Land(_) => "land",
    }
}
