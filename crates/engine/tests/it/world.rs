//! A world in memory. It outlives the engines that act upon it, as a disk and a forge do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use midwatch_core::event::{Action, Event, LandAction, RunOrder, RunWork};
use midwatch_core::id::{BranchName, CommitId, RunName, TaskName};
use midwatch_core::ports::{Act, ActOnRun, Clock, OpenTask, Seen, Store, Stored};
use midwatch_core::task::{Task, TaskSpec};
use midwatch_core::time::Time;
use tokio::sync::Notify;

use crate::script::Script;

/// Where the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Die {
    /// In the place of that append, counted from 1: nothing is stored.
    BeforeAppend(u64),
    /// After that append.
    AfterAppend(u64),
    /// After that effect, before its event is stored.
    AfterEffect(u64),
}

/// How the world behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manner {
    /// `look` tells what is there; the control says no.
    pub(crate) looks: bool,
    /// Each effect is done once for its key; the control says no.
    pub(crate) keyed: bool,
    /// Each action is performed twice.
    pub(crate) twice: bool,
}

impl Manner {
    /// As it should be.
    pub(crate) const GOOD: Self = Self { looks: true, keyed: true, twice: false };
}

#[derive(Debug)]
pub(crate) struct Inner {
    logs: BTreeMap<TaskName, (TaskSpec, Vec<Stored>)>,
    /// Events of effects that were done, by task and key.
    done: BTreeMap<String, Event>,
    /// How often each effect was done.
    pub(crate) effects: BTreeMap<String, u32>,
    /// What was published: task and commit, each time.
    pub(crate) published: Vec<(TaskName, CommitId)>,
    /// Runs that were told to stop.
    pub(crate) stops: BTreeSet<RunName>,
    /// How many of each kind each task had.
    counts: BTreeMap<String, u32>,
    /// Runs that go on, with their task and its branch.
    pub(crate) at_work: BTreeMap<RunName, (TaskName, BranchName)>,
    /// The most tasks that had runs at once, at all and on one branch.
    pub(crate) most_tasks: usize,
    pub(crate) most_on_a_branch: usize,
    /// Names in the order in which they were submitted, all at the world's first moment.
    order: Vec<TaskName>,
    pub(crate) appends: u64,
    pub(crate) done_effects: u64,
    pub(crate) die: Option<Die>,
    /// Where the process after that dies, counted from the first death.
    pub(crate) die_again: Option<Die>,
    /// The process is dying: nothing it still does is stored.
    pub(crate) dead: bool,
    pub(crate) manner: Manner,
    now: Time,
    panicked: bool,
}

/// The first moment of every world.
pub(crate) const BEGINNING: Time = Time::from_seconds(1_000_000);

/// The world. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct World {
    inner: Arc<Mutex<Inner>>,
    pub(crate) script: Script,
    /// Rings when the process is to die.
    pub(crate) dying: Arc<Notify>,
    stop: Arc<Notify>,
}

/// The store failed.
#[derive(Debug, thiserror::Error)]
#[error("no space left on device")]
pub(crate) struct StoreFailed;

impl World {
    pub(crate) fn new(script: Script, manner: Manner, specs: &[TaskSpec]) -> Self {
        let logs = specs.iter().map(|spec| (spec.name.clone(), (spec.clone(), vec![])));
        let inner = Inner {
            logs: logs.collect(),
            done: BTreeMap::new(),
            effects: BTreeMap::new(),
            published: vec![],
            stops: BTreeSet::new(),
            order: specs.iter().map(|spec| spec.name.clone()).collect(),
            counts: BTreeMap::new(),
            at_work: BTreeMap::new(),
            most_tasks: 0,
            most_on_a_branch: 0,
            appends: 0,
            done_effects: 0,
            die: None,
            die_again: None,
            dead: false,
            manner,
            now: BEGINNING,
            panicked: false,
        };
        let inner = Arc::new(Mutex::new(inner));
        let (dying, stop) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        Self { inner, script, dying, stop }
    }

    pub(crate) fn get(&self) -> MutexGuard<'_, Inner> {
        // One test lets a port panic in here.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_now(&self, now: Time) {
        self.get().now = now;
    }

    /// The log of a task.
    pub(crate) fn log(&self, task: &TaskName) -> Vec<Event> {
        self.get().logs[task].1.iter().map(|stored| stored.event.clone()).collect()
    }

    /// The task as its log tells it.
    pub(crate) fn replayed(&self, task: &TaskName) -> Task {
        let (spec, _) = self.get().logs[task].clone();
        Task::replay(spec, &self.log(task)).unwrap()
    }

    /// Does an effect: once for its key where effects are keyed. Dies after it where told.
    async fn effect(&self, task: &Task, action: &Action) -> Event {
        let key = format!("{}/{}", task.spec.name, action.key());
        let (event, dies) = {
            let mut inner = self.get();
            match inner.done.get(&key) {
                Some(event) if inner.manner.keyed => (event.clone(), false),
                Some(_) | None => inner.act(&self.script, task, action, &key),
            }
        };
        if dies {
            self.dying.notify_one();
            // Nobody hears of it any more.
            std::future::pending::<()>().await;
        }
        event
    }

    async fn perform(&self, task: &Task, action: &Action) -> Event {
        let event = self.effect(task, action).await;
        let twice = self.get().manner.twice;
        if twice { self.effect(task, action).await } else { event }
    }

    fn look(&self, task: &Task, action: &Action) -> Seen {
        let inner = self.get();
        let key = format!("{}/{}", task.spec.name, action.key());
        match inner.done.get(&key) {
            Some(event) if inner.manner.looks => Seen::Done(Box::new(event.clone())),
            Some(_) | None => Seen::Nothing,
        }
    }
}

impl Inner {
    /// The second death, counted from now.
    pub(crate) fn again(&mut self) -> Option<Die> {
        Some(match self.die_again.take()? {
            Die::BeforeAppend(n) => Die::BeforeAppend(self.appends + n),
            Die::AfterAppend(n) => Die::AfterAppend(self.appends + n),
            Die::AfterEffect(n) => Die::AfterEffect(self.done_effects + n),
        })
    }

    fn begins(&mut self, order: &RunOrder, task: &Task) {
        let who = (task.spec.name.clone(), task.spec.branch.clone());
        self.at_work.insert(order.run.clone(), who);
        let tasks: BTreeSet<_> = self.at_work.values().collect();
        let on = |branch: &BranchName| tasks.iter().filter(|(_, other)| other == branch).count();
        let most = tasks.iter().map(|(_, branch)| on(branch)).max().unwrap_or(0);
        self.most_on_a_branch = self.most_on_a_branch.max(most);
        self.most_tasks = self.most_tasks.max(tasks.len());
    }

    fn act(&mut self, script: &Script, task: &Task, action: &Action, key: &str) -> (Event, bool) {
        let name = &task.spec.name;
        let first = !self.done.contains_key(key);
        let counted = self.counts.entry(format!("{name}/{}", kind(action))).or_default();
        let nth = if first { *counted } else { counted.saturating_sub(1) };
        *counted += u32::from(first);
        if script.panics && action.kind() == "Publish" && !self.panicked {
            self.panicked = true;
            panic!("a fault of the publisher");
        }
        let event = script.event(action, nth, self.now.0 / 1000);
        self.done.insert(key.to_owned(), event.clone());
        if let Action::Land(LandAction::Publish { commit, .. }) = action {
            self.published.push((name.clone(), commit.clone()));
        }
        *self.effects.entry(key.to_owned()).or_default() += 1;
        self.done_effects += 1;
        (event, self.die == Some(Die::AfterEffect(self.done_effects)))
    }
}

/// Reviews and implementations are counted apart.
fn kind(action: &Action) -> String {
    match action {
        Action::Run(RunOrder { work: RunWork::Agent(run), .. }) => run.role.as_str().to_owned(),
        Action::Run(_) | Action::Land(_) => action.kind().to_owned(),
    }
}

impl Store for World {
    type Error = StoreFailed;

    fn open_tasks(&self) -> Result<Vec<OpenTask>, StoreFailed> {
        let inner = self.get();
        let open = inner.order.iter().map(|name| {
            let (spec, log) = inner.logs[name].clone();
            OpenTask { spec, submitted: BEGINNING, log }
        });
        Ok(open.collect())
    }

    fn append(
        &self,
        task: &TaskName,
        after: u64,
        events: &[Event],
        now: Time,
    ) -> Result<Vec<Stored>, StoreFailed> {
        let mut inner = self.get();
        inner.appends += 1;
        let count = inner.appends;
        if inner.dead || inner.die == Some(Die::BeforeAppend(count)) {
            inner.dead = true;
            return Err(StoreFailed);
        }
        let log = &mut inner.logs.get_mut(task).unwrap().1;
        assert_eq!(log.len() as u64, after, "append-only, without gaps");
        let stored: Vec<Stored> = (after + 1..)
            .zip(events)
            .map(|(seq, event)| Stored { seq, at: now, event: event.clone() })
            .collect();
        log.extend(stored.iter().cloned());
        if inner.die == Some(Die::AfterAppend(count)) {
            inner.dead = true;
            return Err(StoreFailed);
        }
        Ok(stored)
    }
}

impl Clock for World {
    fn now(&self) -> Time {
        self.get().now
    }
}

impl Act<RunOrder> for World {
    async fn look(&self, task: &Task, order: &RunOrder) -> Seen {
        Self::look(self, task, &Action::Run(order.clone()))
    }

    async fn perform(&self, task: &Task, order: &RunOrder) -> Event {
        self.get().begins(order, task);
        // Others get their turn, so that what may run at once does.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        while self.script.endless
            && matches!(order.work, RunWork::Agent(_))
            && !self.get().stops.contains(&order.run)
        {
            self.stop.notified().await;
        }
        let event = Self::perform(self, task, &Action::Run(order.clone())).await;
        self.get().at_work.remove(&order.run);
        event
    }
}

impl ActOnRun for World {
    async fn stop(&self, run: &RunName) {
        self.get().stops.insert(run.clone());
        self.stop.notify_waiters();
    }
}

impl Act<LandAction> for World {
    async fn look(&self, task: &Task, land: &LandAction) -> Seen {
        Self::look(self, task, &Action::Land(land.clone()))
    }

    async fn perform(&self, task: &Task, land: &LandAction) -> Event {
        Self::perform(self, task, &Action::Land(land.clone())).await
    }
}
