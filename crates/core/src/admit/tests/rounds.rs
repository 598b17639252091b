//! One round places everybody as asking for each task alone would, and looks at each but a few
//! times.

use std::cell::Cell;

use proptest::prelude::*;

use super::{entry, queue};
use crate::admit::*;
use crate::credentials::Credentials;
use crate::event::Event;
use crate::task::{Task, WakeEvent};

thread_local! {
    static LOOKS: Cell<usize> = const { Cell::new(0) };
}

/// One look at who has a slot.
pub(in crate::admit) fn look() {
    LOOKS.set(LOOKS.get() + 1);
}

/// How often somebody looked while that was done.
fn looks<T>(work: impl FnOnce() -> T) -> (T, usize) {
    LOOKS.set(0);
    let done = work();
    (done, LOOKS.get())
}

/// The rule told plainly: each task in its turn, beside everybody who has a slot by then.
fn slowly(queue: &Queue, now: Time) -> Vec<Grant> {
    let mut taken: Vec<&Entry> = queue.entries.iter().filter(|entry| entry.running).collect();
    let mut waiting: Vec<&Entry> = queue.entries.iter().filter(|entry| !entry.running).collect();
    waiting.sort_by_key(|entry| (!entry.again, -rank(entry, now), entry.since, entry.name.clone()));
    let running = taken.len();
    let mut tried: Vec<&str> = vec![];
    let mut grants = vec![];
    for entry in waiting {
        match kept_out(queue, now, entry, &taken, running, &tried) {
            None => {
                taken.push(entry);
                let key = entry.credential.as_deref();
                tried.extend(key.filter(|key| queue.credentials.standing(key).is_some()));
                grants.push(Grant::Admit(entry.name.clone()));
            }
            Some((reason, detail)) => {
                let (name, position) = (entry.name.clone(), 0);
                grants.push(Grant::Wait(Waiting { name, reason, detail, position, of: 0 }));
            }
        }
    }
    let of = grants.iter().filter(|grant| matches!(grant, Grant::Wait(_))).count();
    let waits = grants.iter_mut().filter_map(|grant| match grant {
        Grant::Wait(waiting) => Some(waiting),
        Grant::Admit(_) => None,
    });
    waits.zip(1..).for_each(|(waiting, place)| (waiting.position, waiting.of) = (place, of));
    grants
}

fn kept_out(
    queue: &Queue,
    now: Time,
    entry: &Entry,
    taken: &[&Entry],
    running: usize,
    tried: &[&str],
) -> Option<(HoldReason, String)> {
    let count = |alike: &dyn Fn(&Entry) -> bool| {
        let others = taken.iter().inspect(|_| look());
        others.filter(|other| alike(other)).count()
    };
    let says = |reason, detail: String| Some((reason, detail));
    if let Some(by) = &queue.paused {
        return says(HoldReason::Paused, format!("{by} paused all tasks"));
    }
    let same = |other: &&&Entry| {
        look();
        other.repository == entry.repository && other.branch == entry.branch
    };
    if let Some(rival) = taken.iter().find(same) {
        let detail = format!("task {} writes to {}", rival.name, entry.branch);
        return says(HoldReason::BranchBusy, detail);
    }
    if let Some(key) = entry.credential.as_deref()
        && let Some(standing) = queue.credentials.standing(key)
    {
        if standing.is_closed(now) {
            return says(standing.reason, standing.detail.clone());
        }
        let probes = |other: &Entry| standing.probe.as_ref() == Some(&other.name);
        if count(&probes) > 0 || tried.contains(&key) {
            let detail = "another task tries the credential first".to_owned();
            return says(HoldReason::CredentialCoolingDown, detail);
        }
    }
    let Limits { slots, per_repository, per_credential, .. } = queue.limits;
    let run = |limit: usize, what: &str, among: &dyn Fn(&Entry) -> bool| {
        let pauses = count(&|other| among(other) && other.running && other.again);
        let run = format!("{} of {limit} {what} run", count(among) - pauses);
        match pauses {
            0 => run,
            1 => format!("{run}, and 1 waits for its next attempt"),
            n => format!("{run}, and {n} wait for their next attempt"),
        }
    };
    if taken.len() >= slots {
        return says(HoldReason::Concurrency, run(slots, "tasks", &|_| true));
    }
    let n = count(&|other| other.repository == entry.repository);
    if let Some(limit) = per_repository.filter(|limit| n >= *limit) {
        let same = |other: &Entry| other.repository == entry.repository;
        let detail = run(limit, "tasks of this repository", &same);
        return says(HoldReason::RepositoryLimit, detail);
    }
    let n = count(&|other| other.credential == entry.credential);
    if let Some(limit) = per_credential.filter(|limit| n >= *limit && entry.credential.is_some()) {
        let same = |other: &Entry| other.credential == entry.credential;
        let detail = run(limit, "tasks of this credential", &same);
        return says(HoldReason::CredentialLimit, detail);
    }
    let need = queue.limits.task_disk * (taken.len() as u64 + 1) + queue.limits.spare_disk;
    if let Some(free) = queue.observed.free_disk.filter(|free| *free < need) {
        let detail = format!("{} MiB of disk are free, {} are needed", free >> 20, need >> 20);
        return says(HoldReason::DiskLow, detail);
    }
    let need = queue.limits.task_memory * ((taken.len() - running) as u64 + 1);
    let free = queue.observed.free_memory.filter(|free| *free < need && !taken.is_empty())?;
    let detail = format!("{} MiB of memory are free, {} are needed", free >> 20, need >> 20);
    says(HoldReason::MemoryLow, detail)
}

const NOW: Time = Time(10_000_000);

/// What one task learnt of a credential, and whether another one tries it.
fn standing(key: usize, closed: bool, login: bool, probe: Option<usize>) -> [(Task, Event); 2] {
    let task = |name: &str| Task::new(crate::task::tests::spec(name, Some(&key_of(key))));
    let until = match (login, closed) {
        (true, _) => Wake::On(WakeEvent::Resume),
        (false, true) => Wake::At(Time(NOW.0 + 1)),
        (false, false) => Wake::At(NOW),
    };
    let reason = if login { HoldReason::NeedsLogin } else { HoldReason::CredentialCoolingDown };
    let gone = Event::AgentUnavailable { agent: 0, reason, detail: "limit".into(), until };
    let admitted = probe.map_or(Event::Released, |_| Event::Admitted);
    let prober = task(&name_of(probe.unwrap_or(0)));
    [(task("learner"), gone), (prober, admitted)]
}

fn key_of(n: usize) -> String {
    format!("k{n}")
}

fn name_of(n: usize) -> String {
    format!("t{n}")
}

prop_compose! {
    fn some_entry()(
        repository in 0_usize..3, branch in 0_usize..12, key in prop::option::of(0_usize..3),
        priority in -2_i32..3, since in 0_i64..4, running in prop::bool::weighted(0.3),
        again in prop::bool::weighted(0.3),
    ) -> Entry {
        Entry {
            again,
            repository: format!("r{repository}"),
            credential: key.map(key_of),
            ..entry("x", &format!("b{branch}"), priority, since * 3_000_000, running)
        }
    }
}

prop_compose! {
    fn some_limits()(
        slots in 0_usize..14, per_repository in prop::option::of(0_usize..5),
        per_credential in prop::option::of(0_usize..5), task_disk in 0_u64..4,
        task_memory in 0_u64..4, spare_disk in 0_u64..9,
    ) -> Limits {
        Limits { slots, per_repository, per_credential, task_disk, task_memory, spare_disk }
    }
}

prop_compose! {
    fn some_queue()(
        mut entries in prop::collection::vec(some_entry(), 0..24),
        limits in some_limits(),
        free_disk in prop::option::of(0_u64..40),
        free_memory in prop::option::of(0_u64..40),
        paused in prop::bool::weighted(0.05),
        standings in prop::collection::vec(
            (0_usize..3, any::<bool>(), prop::bool::weighted(0.2), prop::option::of(0_usize..24)),
            0..3,
        ),
    ) -> Queue {
        for (n, entry) in entries.iter_mut().enumerate() {
            entry.name = TaskName::parse(&name_of(n)).unwrap();
        }
        let mut credentials = Credentials::default();
        for (key, closed, login, probe) in standings {
            for (task, event) in standing(key, closed, login, probe) {
                credentials.learn(&task, &event, &task);
            }
        }
        Queue {
            limits,
            observed: Observed { free_disk, free_memory },
            paused: paused.then(|| "me".to_owned()),
            credentials,
            entries,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn one_round_says_what_asking_one_by_one_says(board in some_queue()) {
        prop_assert_eq!(admit(&board, NOW), slowly(&board, NOW));
    }
}

#[test]
fn a_round_over_ten_thousand_looks_at_each_but_a_few_times() {
    let board = |waiting: usize| {
        let entries = (0..waiting + 1_000).map(|n| Entry {
            credential: Some(key_of(n % 7)),
            ..entry(&name_of(n), &format!("b{n}"), 0, 0, n < 1_000)
        });
        let limits = Limits { per_repository: Some(1_500), ..Limits::slots(2_000) };
        queue(limits, entries.collect())
    };
    let (grants, few) = looks(|| admit(&board(9_000), NOW));
    assert_eq!(grants.len(), 9_000);
    let last = grants.iter().rev().find_map(|grant| match grant {
        Grant::Wait(waiting) => Some((waiting.reason, waiting.position, waiting.of)),
        Grant::Admit(_) => None,
    });
    assert_eq!(last, Some((HoldReason::RepositoryLimit, 8_500, 8_500)));
    assert!(few <= 5 * 10_000, "{few} looks");
    // The control: one by one each waiting task is compared with everybody.
    let (plain, many) = looks(|| slowly(&board(900), NOW));
    assert_eq!(plain, admit(&board(900), NOW));
    assert!(many > 100 * 900, "{many} looks");
}
