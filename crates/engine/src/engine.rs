//! The engine's state: every open task folded from its log, and one lock around them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use midwatch_core::admit::{Limits, Observed};
use midwatch_core::credentials::Credentials;
use midwatch_core::event::{Action, ActionKey, Event, RunOrder, RunWork};
use midwatch_core::id::{BranchName, RunName, TaskName};
use midwatch_core::ports::{ActOnLand, ActOnRun, Clock, OpenTask, Store, Stored};
use midwatch_core::task::{State, Task, TaskSpec, Wake};
use midwatch_core::time::Time;
use tokio::sync::{Notify, broadcast};

/// How many changes a slow listener may lag behind before it has to read the log again.
const CHANGES_KEPT: usize = 1024;

/// The world, as far as the engine needs it.
pub struct Ports<S, R, L, C> {
    /// Where events are kept.
    pub store: S,
    /// Acts on runs.
    pub runs: R,
    /// Acts on landings.
    pub lands: L,
    /// The clock.
    pub clock: C,
    /// How much may go on at once.
    pub limits: Limits,
    /// What the machine has left, asked for at each turn.
    pub observe: Box<dyn Fn() -> Observed + Send + Sync>,
    /// Told before and after everything that is stored or done, with what it is. Tests let the
    /// process die there; everybody else passes [`pass`].
    pub point: fn(&str, &str),
}

/// Passes a point without doing anything.
pub const fn pass(_place: &str, _what: &str) {}

/// Something that was stored, for those who watch.
#[derive(Debug, Clone)]
pub struct Change {
    /// The task as it was just before the event.
    pub before: Arc<Task>,
    /// The stored event.
    pub stored: Stored,
}

/// What stops the engine. A task's own failures never do.
#[derive(Debug, thiserror::Error)]
pub enum EngineError<E: std::error::Error> {
    /// The store failed: nothing may happen that is not written down.
    #[error("the store failed: {0}")]
    Store(E),
    /// A stored event cannot be replayed: the log was written by something else.
    #[error("task {task}: {illegal}")]
    Replay {
        /// The task.
        task: TaskName,
        /// What cannot be.
        illegal: midwatch_core::apply::Illegal,
    },
}

pub(crate) struct Live {
    pub(crate) task: Task,
    pub(crate) seq: u64,
    /// Since when it waits in the queue.
    pub(crate) since: Time,
    /// Which it was of all that came.
    pub(crate) place: u64,
    /// Actions that are being performed by this process.
    pub(crate) performing: BTreeSet<ActionKey>,
}

/// What every handle on an engine shares.
type Shared<S, R, L, C> = Inner<S, R, L, C, EngineError<<S as Store>::Error>>;

pub(crate) struct Inner<S, R, L, C, E> {
    pub(crate) ports: Ports<S, R, L, C>,
    pub(crate) tasks: Mutex<BTreeMap<TaskName, Live>>,
    /// What is known of credentials. Locked after the tasks, never before.
    pub(crate) credentials: Mutex<Credentials>,
    /// Who paused everything.
    pub(crate) paused: Mutex<Option<String>>,
    pub(crate) changes: broadcast::Sender<Change>,
    /// How many changes were told so far.
    pub(crate) told: AtomicU64,
    pub(crate) turn: Notify,
    /// The error that a task of ours met; the next turn ends with it.
    pub(crate) failed: Mutex<Option<E>>,
}

/// Drives every task. Cheap to clone.
pub struct Engine<S: Store, R, L, C> {
    pub(crate) inner: Arc<Shared<S, R, L, C>>,
}

impl<S: Store, R, L, C> Clone for Engine<S, R, L, C> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<S: Store, R: ActOnRun, L: ActOnLand, C: Clock> Engine<S, R, L, C> {
    /// Reads every open task from the store. Nothing happens before [`Engine::run`].
    pub fn load(ports: Ports<S, R, L, C>) -> Result<Self, EngineError<S::Error>> {
        let (tasks, credentials) = read(&ports)?;
        let inner = Inner {
            ports,
            tasks: Mutex::new(tasks),
            credentials: Mutex::new(credentials),
            paused: Mutex::new(None),
            changes: broadcast::Sender::new(CHANGES_KEPT),
            told: AtomicU64::new(0),
            turn: Notify::new(),
            failed: Mutex::new(None),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Takes a task that the store has just made durable.
    pub fn add(&self, spec: TaskSpec) {
        let since = self.now();
        let mut tasks = self.tasks();
        // No open task came after those that are here.
        let place = tasks.values().map(|live| live.place + 1).max().unwrap_or_default();
        let performing = BTreeSet::new();
        let live = Live { task: Task::new(spec.clone()), seq: 0, since, place, performing };
        tasks.entry(spec.name).or_insert(live);
        drop(tasks);
        self.inner.turn.notify_one();
    }

    /// A copy of an open task.
    pub fn task(&self, name: &TaskName) -> Option<Task> {
        self.tasks().get(name).map(|live| live.task.clone())
    }

    /// Copies of every task that is not over.
    pub fn open_tasks(&self) -> Vec<Task> {
        self.tasks().values().map(|live| live.task.clone()).collect()
    }

    /// The task that a branch of a repository belongs to until it is over, held or not.
    pub fn writer(&self, repository: &str, branch: &BranchName) -> Option<TaskName> {
        let tasks = self.tasks();
        let mut specs = tasks.values().map(|live| &live.task.spec);
        let writes = |spec: &&TaskSpec| spec.repository == repository && spec.branch == *branch;
        specs.find(writes).map(|spec| spec.name.clone())
    }

    /// How many tasks are not over.
    pub fn open(&self) -> usize {
        self.tasks().len()
    }

    /// How many tasks something will happen to without anybody's help.
    pub fn busy(&self) -> usize {
        let waits_for_somebody = |task: &Task| match &task.state {
            State::Held(hold) => match hold.until {
                Wake::At(_) => false,
                Wake::On(_) => !task.cancel,
            },
            State::Queued | State::Running(_) | State::Ended(_) => false,
        };
        self.tasks().values().filter(|live| !waits_for_somebody(&live.task)).count()
    }

    /// How many changes were told since this engine was made.
    pub fn told(&self) -> u64 {
        self.inner.told.load(Ordering::SeqCst)
    }

    /// Everything that is stored from now on.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.inner.changes.subscribe()
    }

    /// Something was observed outside: a session id, a checkpoint. Late ones change nothing.
    pub fn observe(&self, task: &TaskName, event: Event) -> Result<(), EngineError<S::Error>> {
        self.record(task, &[event]).map(|_| ())?;
        self.inner.turn.notify_one();
        Ok(())
    }

    /// The open run of that name and its task.
    pub fn open_run(&self, run: &RunName) -> Option<(TaskName, RunOrder)> {
        self.tasks().iter().find_map(|(name, live)| {
            live.task.open_run(run).map(|order| (name.clone(), order.clone()))
        })
    }

    pub(crate) fn now(&self) -> Time {
        self.inner.ports.clock.now()
    }

    pub(crate) fn tasks(&self) -> MutexGuard<'_, BTreeMap<TaskName, Live>> {
        // A panic while holding the lock left at most an event that is stored and not applied;
        // the next append notices the gap.
        self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a run is the one that tries a credential for all: its answer is waited for.
    pub fn is_probing(&self, task: &Task, order: &RunOrder) -> bool {
        let RunWork::Agent(run) = &order.work else { return false };
        let key = task.spec.credential_of(run.agent);
        key.is_some_and(|key| self.credentials().standing(key).is_some())
    }

    pub(crate) fn credentials(&self) -> MutexGuard<'_, Credentials> {
        // A fold of what is stored: the worst that a panic left is a pause too many.
        self.inner.credentials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Actions of a task that nobody in this process performs yet.
    pub(crate) fn unperformed(&self, name: &TaskName) -> Vec<(Task, Action)> {
        let mut tasks = self.tasks();
        let Some(live) = tasks.get_mut(name) else {
            return vec![];
        };
        let fresh: Vec<(ActionKey, Action)> = live
            .task
            .open
            .iter()
            .filter(|(key, _)| !live.performing.contains(*key))
            .map(|(key, action)| (key.clone(), action.clone()))
            .collect();
        live.performing.extend(fresh.iter().map(|(key, _)| key.clone()));
        fresh.into_iter().map(|(_, action)| (live.task.clone(), action)).collect()
    }
}

type Read = (BTreeMap<TaskName, Live>, Credentials);

/// Every open task from its log. What is known of credentials is learnt in the order in which it
/// was stored, whichever task stored it.
fn read<S: Store, R, L, C: Clock>(
    ports: &Ports<S, R, L, C>,
) -> Result<Read, EngineError<S::Error>> {
    let mut tasks = BTreeMap::new();
    let mut told: Vec<(Time, Task, Event)> = Vec::new();
    for (place, open) in (0..).zip(ports.store.open_tasks().map_err(EngineError::Store)?) {
        let OpenTask { spec, submitted, log } = open;
        let name = spec.name.clone();
        let since = log.last().map_or(submitted, |last| last.at);
        let seq = log.last().map_or(0, |last| last.seq);
        let mut task = Task::new(spec);
        for stored in &log {
            if Credentials::hears(&stored.event) {
                told.push((stored.at, task.clone(), stored.event.clone()));
            }
            task.apply(&stored.event)
                .map_err(|illegal| EngineError::Replay { task: name.clone(), illegal })?;
        }
        if !task.state.is_terminal() {
            tasks.insert(name, Live { task, seq, since, place, performing: BTreeSet::new() });
        }
    }
    told.sort_by_key(|(at, _, _)| *at);
    let mut credentials = Credentials::default();
    for (_, before, event) in told {
        learn(&mut credentials, before, std::iter::once(&event));
    }
    Ok((tasks, credentials))
}

pub(crate) fn learn<'a>(
    credentials: &mut Credentials,
    mut task: Task,
    events: impl Iterator<Item = &'a Event>,
) {
    for event in events {
        let before = task.clone();
        if task.apply(event).is_ok() {
            credentials.learn(&before, event, &task);
        }
    }
}
