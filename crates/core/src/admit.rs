//! Who may begin: all tasks at once, by slots, repositories, branches, credentials and what the
//! machine has left. Total and pure, like `decide`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::credentials::Credentials;
use crate::id::{BranchName, TaskName};
use crate::reason::HoldReason;
use crate::task::{State, Task, Wake};
use crate::time::Time;

mod taken;

use taken::{Count, Taken};

/// A task gains one point of priority for each of these many seconds that it waits, so that
/// nothing starves.
pub const AGING_SECONDS: i64 = 600;

/// How much may go on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Tasks in all.
    pub slots: usize,
    /// Tasks of one repository; none is no limit.
    pub per_repository: Option<usize>,
    /// Tasks of one credential; none is no limit.
    pub per_credential: Option<usize>,
    /// Bytes of disk that a running task may come to need; its rescue is part of that.
    pub task_disk: u64,
    /// Bytes of memory that one more task needs.
    pub task_memory: u64,
    /// Bytes of disk that stay free whatever runs: the database must be able to say no.
    pub spare_disk: u64,
}

impl Limits {
    /// That many tasks at once, and nothing else that limits them.
    pub const fn slots(slots: usize) -> Self {
        Self {
            slots,
            per_repository: None,
            per_credential: None,
            task_disk: 0,
            task_memory: 0,
            spare_disk: 0,
        }
    }
}

/// What the machine has left, as it was seen last. None is not known, and limits nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Observed {
    /// Bytes that can be written to the state folder.
    pub free_disk: Option<u64>,
    /// Bytes of memory that can be had without swapping.
    pub free_memory: Option<u64>,
}

/// What the queue knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// How much may go on at once.
    pub limits: Limits,
    /// What the machine has left.
    pub observed: Observed,
    /// Who paused everything; nothing is let in.
    pub paused: Option<String>,
    /// What is known of credentials.
    pub credentials: Credentials,
    /// Running tasks, and queued ones.
    pub entries: Vec<Entry>,
}

/// One task in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The task.
    pub name: TaskName,
    /// The repository's key.
    pub repository: String,
    /// The branch that it writes.
    pub branch: BranchName,
    /// The credential that it will use first; none needs none.
    pub credential: Option<String>,
    /// Higher goes first.
    pub priority: i32,
    /// Since when it waits.
    pub since: Time,
    /// Its place among those that wait since the same moment: lower came first.
    pub place: u64,
    /// It has a slot already.
    pub running: bool,
    /// It is between two attempts. With a slot it only pauses; without one its pause is over, and
    /// it goes first: it was begun before all that wait.
    pub again: bool,
}

impl Entry {
    /// A task's entry; none for one that is held or over, or about to be, and for one that gave its
    /// slot back for as long as it pauses.
    pub fn of(task: &Task, since: Time, place: u64, now: Time) -> Option<Self> {
        let running = match &task.state {
            State::Queued if task.cancel || task.paused.is_some() => return None,
            State::Queued if task.pauses_until(now).is_some() => return None,
            State::Queued => false,
            State::Running(_) => true,
            State::Held(_) | State::Ended(_) => return None,
        };
        let again = if running {
            task.open.is_empty() && task.pauses_until(now).is_some()
        } else {
            task.retry_at.is_some()
        };
        let agent = task.agent_at(now).unwrap_or(0);
        let credential = task.spec.credential_of(agent).filter(|_| task.needs_agent());
        Some(Self {
            name: task.spec.name.clone(),
            repository: task.spec.repository.clone(),
            branch: task.spec.branch.clone(),
            credential: credential.map(ToOwned::to_owned),
            priority: task.spec.priority,
            since,
            place,
            running,
            again,
        })
    }
}

/// What the queue says of a waiting task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// It may begin.
    Admit(TaskName),
    /// It waits.
    Wait(Waiting),
}

/// A task that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The task.
    pub name: TaskName,
    /// Why.
    pub reason: HoldReason,
    /// What it waits for, in a sentence.
    pub detail: String,
    /// Counted from 1.
    pub position: usize,
    /// How many wait.
    pub of: usize,
}

/// Grants slots: first to what was begun already; then by the highest priority, with aging; then to
/// the oldest; then to who came first. Places and reasons of all come from one pass: whoever shows
/// many tasks asks once, not for each of them.
pub fn admit(queue: &Queue, now: Time) -> Vec<Grant> {
    let mut turn = Turn {
        queue,
        now,
        taken: Taken::of(queue.entries.iter().filter(|entry| entry.running)),
        probed: BTreeSet::new(),
        begun: 0,
    };
    let mut waiting: Vec<&Entry> = queue.entries.iter().filter(|entry| !entry.running).collect();
    waiting.sort_by_cached_key(|entry| {
        let entry: &Entry = entry;
        (Reverse((entry.again, rank(entry, now))), entry.since, entry.place, &entry.name)
    });
    let mut grants = Vec::new();
    let mut position = 0;
    for entry in waiting {
        match turn.keeps_out(entry) {
            None => {
                turn.begin(entry);
                grants.push(Grant::Admit(entry.name.clone()));
            }
            Some((reason, detail)) => {
                position += 1;
                let name = entry.name.clone();
                grants.push(Grant::Wait(Waiting { name, reason, detail, position, of: 0 }));
            }
        }
    }
    for grant in &mut grants {
        if let Grant::Wait(waiting) = grant {
            waiting.of = position;
        }
    }
    grants
}

/// Why every queued task waits, and its place: for whoever shows them.
pub fn waiting(queue: &Queue, now: Time) -> BTreeMap<TaskName, Waiting> {
    let waits = admit(queue, now).into_iter().filter_map(|grant| match grant {
        Grant::Wait(waiting) => Some((waiting.name.clone(), waiting)),
        Grant::Admit(_) => None,
    });
    waits.collect()
}

/// One round of grants.
struct Turn<'a> {
    queue: &'a Queue,
    now: Time,
    /// Who has a slot, those of this round included.
    taken: Taken<'a>,
    /// Credentials that a task of this round tries.
    probed: BTreeSet<&'a str>,
    /// How many began in this round: what was observed does not know of them.
    begun: u64,
}

impl<'a> Turn<'a> {
    fn begin(&mut self, entry: &'a Entry) {
        self.taken.add(entry);
        self.begun += 1;
        if let Some(key) = &entry.credential
            && self.queue.credentials.standing(key).is_some()
        {
            self.probed.insert(key);
        }
    }

    /// What keeps a task out, its own matters first.
    fn keeps_out(&self, entry: &Entry) -> Option<(HoldReason, String)> {
        if let Some(by) = &self.queue.paused {
            return Some((HoldReason::Paused, format!("{by} paused all tasks")));
        }
        if let Some(rival) = self.taken.writer(entry) {
            let detail = format!("task {rival} writes to {}", entry.branch);
            return Some((HoldReason::BranchBusy, detail));
        }
        self.credential(entry).or_else(|| self.counts(entry)).or_else(|| self.machine())
    }

    fn credential(&self, entry: &Entry) -> Option<(HoldReason, String)> {
        let key = entry.credential.as_deref()?;
        let standing = self.queue.credentials.standing(key)?;
        if standing.is_closed(self.now) {
            return Some((standing.reason, standing.detail.clone()));
        }
        let tried = standing.probe.as_ref().is_some_and(|probe| self.taken.has(probe));
        (tried || self.probed.contains(key)).then(|| {
            let detail = "another task tries the credential first".to_owned();
            (HoldReason::CredentialCoolingDown, detail)
        })
    }

    fn counts(&self, entry: &Entry) -> Option<(HoldReason, String)> {
        let Limits { slots, per_repository, per_credential, .. } = self.queue.limits;
        let full = |limit: Option<usize>, count: Count| limit.filter(|limit| count.all >= *limit);
        let count = self.taken.count();
        if count.all >= slots {
            return Some((HoldReason::Concurrency, count.of(slots, "tasks")));
        }
        let beside = self.taken.of_repository(entry);
        if let Some(limit) = full(per_repository, beside) {
            let detail = beside.of(limit, "tasks of this repository");
            return Some((HoldReason::RepositoryLimit, detail));
        }
        let beside = self.taken.of_credential(entry.credential.as_deref()?);
        full(per_credential, beside).map(|limit| {
            let detail = beside.of(limit, "tasks of this credential");
            (HoldReason::CredentialLimit, detail)
        })
    }

    fn machine(&self) -> Option<(HoldReason, String)> {
        let Queue { limits, observed, .. } = self.queue;
        // Every running task may still need its part: room for a rescue is never given away.
        let runs = self.taken.count().all as u64;
        let need = limits
            .task_disk
            .saturating_mul(runs.saturating_add(1))
            .saturating_add(limits.spare_disk);
        if let Some(free) = observed.free_disk.filter(|free| *free < need) {
            let detail = format!("{} MiB of disk are free, {} are needed", free >> 20, need >> 20);
            return Some((HoldReason::DiskLow, detail));
        }
        // What runs has its memory already. One task is always tried: it is ended by its own
        // limit if it needs more than there is, and nobody else suffers.
        let need = limits.task_memory.saturating_mul(self.begun.saturating_add(1));
        let free = observed.free_memory.filter(|free| *free < need && runs > 0)?;
        let detail = format!("{} MiB of memory are free, {} are needed", free >> 20, need >> 20);
        Some((HoldReason::MemoryLow, detail))
    }
}

fn rank(entry: &Entry, now: Time) -> i64 {
    let waited = now.0.saturating_sub(entry.since.0).max(0) / 1000;
    i64::from(entry.priority).saturating_add(waited / AGING_SECONDS)
}

/// When a queued task could be let in by the clock alone: the next reset of a credential.
pub fn next_reset(queue: &Queue, now: Time) -> Option<Time> {
    let keys = queue.entries.iter().filter(|entry| !entry.running);
    let standings = keys.filter_map(|entry| queue.credentials.standing(entry.credential.as_ref()?));
    let times = standings.filter_map(|standing| match standing.until {
        Wake::At(at) if at > now => Some(at),
        Wake::At(_) | Wake::On(_) => None,
    });
    times.min()
}

#[cfg(test)]
mod tests;
