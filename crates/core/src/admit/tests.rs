//! The queue by examples.

use super::*;
use crate::event::Event;

pub(super) mod rounds;

fn entry(name: &str, branch: &str, priority: i32, since: i64, running: bool) -> Entry {
    Entry {
        name: TaskName::parse(name).unwrap(),
        repository: "r".into(),
        branch: BranchName::parse(branch).unwrap(),
        credential: None,
        priority,
        since: Time(since),
        place: 0,
        running,
        again: false,
    }
}

fn queue(limits: Limits, entries: Vec<Entry>) -> Queue {
    let credentials = Credentials::default();
    Queue { limits, observed: Observed::default(), paused: None, credentials, entries }
}

fn admitted(queue: &Queue, now: i64) -> Vec<String> {
    let grants = admit(queue, Time(now)).into_iter();
    grants
        .filter_map(|grant| match grant {
            Grant::Admit(name) => Some(name.to_string()),
            Grant::Wait(_) => None,
        })
        .collect()
}

/// Name, reason, place and how many wait.
fn waiting(queue: &Queue, now: i64) -> Vec<(String, HoldReason, usize, usize)> {
    let grants = admit(queue, Time(now)).into_iter();
    grants
        .filter_map(|grant| match grant {
            Grant::Admit(_) => None,
            Grant::Wait(Waiting { name, reason, position, of, .. }) => {
                Some((name.to_string(), reason, position, of))
            }
        })
        .collect()
}

fn reasons(queue: &Queue) -> Vec<HoldReason> {
    waiting(queue, 10).into_iter().map(|(_, reason, _, _)| reason).collect()
}

#[test]
fn one_writer_per_branch_and_no_more_than_the_slots() {
    let entries = vec![
        entry("a", "x", 0, 0, true),
        entry("b", "x", 9, 0, false),
        entry("c", "y", 0, 5, false),
        entry("d", "z", 0, 1, false),
    ];
    let queue = queue(Limits::slots(2), entries);
    assert_eq!(admitted(&queue, 10), ["d"]);
    let expected = [
        ("b".to_owned(), HoldReason::BranchBusy, 1, 2),
        ("c".to_owned(), HoldReason::Concurrency, 2, 2),
    ];
    assert_eq!(waiting(&queue, 10), expected);
}

#[test]
fn priority_first_but_nothing_starves() {
    let old = entry("old", "x", 0, 0, false);
    let urgent = |since| entry("urgent", "y", 5, since, false);
    let queue = |since| queue(Limits::slots(1), vec![old.clone(), urgent(since)]);
    assert_eq!(admitted(&queue(1), 2), ["urgent"]);
    let later = 7 * AGING_SECONDS * 1000;
    assert_eq!(admitted(&queue(later), later), ["old"]);
}

/// Who gave its slot back in a pause has been begun: it goes on before whoever was not, however
/// urgent. One that keeps its slot is no task that runs.
#[test]
fn what_pauses_between_attempts_is_told_and_goes_on_first() {
    let pauses = |name, running| Entry { again: true, ..entry(name, name, 0, 9, running) };
    let urgent = || entry("urgent", "y", 50, 0, false);
    let queue = |entries| queue(Limits::slots(2), entries);
    let both = queue(vec![urgent(), pauses("again", false), entry("runs", "z", 0, 0, true)]);
    assert_eq!(admitted(&both, 10), ["again"]);
    let said = |entries: Vec<Entry>| {
        let waits = super::waiting(&queue(entries), Time(10));
        waits[&TaskName::parse("urgent").unwrap()].detail.clone()
    };
    let one = vec![urgent(), pauses("a", true), entry("runs", "z", 0, 0, true)];
    assert_eq!(said(one), "1 of 2 tasks run, and 1 waits for its next attempt");
    let two = vec![urgent(), pauses("a", true), pauses("b", true)];
    assert_eq!(said(two), "0 of 2 tasks run, and 2 wait for their next attempt");
    // Let in in this very round, it runs.
    let fills = vec![urgent(), pauses("a", false), pauses("b", false)];
    assert_eq!(said(fills), "2 of 2 tasks run");
}

#[test]
fn repositories_and_credentials_have_their_own_limits() {
    use HoldReason::{CredentialLimit, RepositoryLimit};

    let of = |name: &str, repository: &str, credential: &str| Entry {
        repository: repository.into(),
        credential: (!credential.is_empty()).then(|| credential.to_owned()),
        ..entry(name, name, 0, 0, false)
    };
    let limits = Limits { per_repository: Some(2), per_credential: Some(1), ..Limits::slots(10) };
    let entries = vec![
        of("a", "r", "k"),
        of("b", "r", "k"),
        of("c", "r", ""),
        of("d", "r", ""),
        of("e", "s", "k"),
        of("f", "s", "l"),
    ];
    let queue = queue(limits, entries);
    assert_eq!(admitted(&queue, 10), ["a", "c", "f"]);
    assert_eq!(reasons(&queue), [CredentialLimit, RepositoryLimit, CredentialLimit]);
}

#[test]
fn a_machine_without_room_lets_nobody_in_and_says_why() {
    let limits = Limits { task_disk: 100, spare_disk: 50, task_memory: 10, ..Limits::slots(10) };
    let entries = |running: bool| {
        vec![
            entry("a", "a", 0, 0, running),
            entry("b", "b", 0, 1, false),
            entry("c", "c", 0, 2, false),
        ]
    };
    let with = |running, free_disk, free_memory| {
        let observed = Observed { free_disk, free_memory };
        Queue { observed, ..queue(limits, entries(running)) }
    };
    assert_eq!(admitted(&with(false, None, None), 10), ["a", "b", "c"], "unknown limits nothing");
    assert_eq!(admitted(&with(false, Some(149), None), 10), Vec::<String>::new());
    assert_eq!(admitted(&with(false, Some(150), None), 10), ["a"]);
    // What runs may still need its part.
    assert_eq!(admitted(&with(true, Some(249), None), 10), Vec::<String>::new());
    assert_eq!(admitted(&with(true, Some(250), None), 10), ["b"]);
    assert_eq!(reasons(&with(true, Some(0), None)), [HoldReason::DiskLow; 2]);
    // Memory: one is always tried, and those of this round count.
    assert_eq!(admitted(&with(false, None, Some(0)), 10), ["a"]);
    assert_eq!(admitted(&with(true, None, Some(9)), 10), Vec::<String>::new());
    assert_eq!(admitted(&with(true, None, Some(19)), 10), ["b"]);
    assert_eq!(reasons(&with(true, None, Some(19))), [HoldReason::MemoryLow]);
}

#[test]
fn a_pause_of_all_lets_nobody_in() {
    let paused = Some("me".to_owned());
    let queue = Queue { paused, ..queue(Limits::slots(9), vec![entry("a", "a", 0, 0, false)]) };
    assert_eq!(reasons(&queue), [HoldReason::Paused]);
}

fn known(until: Wake) -> Credentials {
    let mut credentials = Credentials::default();
    let task = crate::task::Task::new(crate::task::tests::spec("knows", Some("k")));
    let event = Event::CredentialLearnt {
        credential: "k".into(),
        reason: HoldReason::CredentialCoolingDown,
        until,
        pauses: 1,
        detail: "limit".into(),
    };
    credentials.learn(&task, &event, &task);
    credentials
}

#[test]
fn a_credential_that_cools_down_lets_nobody_in_and_then_one_first() {
    let of = |name: &str, running| Entry {
        credential: Some("k".to_owned()),
        ..entry(name, name, 0, 0, running)
    };
    let queue = |running, credentials| Queue {
        credentials,
        ..queue(Limits::slots(10), vec![of("a", running), of("b", false), of("c", false)])
    };
    let closed = queue(false, known(Wake::At(Time(11))));
    assert_eq!(admitted(&closed, 10), Vec::<String>::new());
    assert_eq!(next_reset(&closed, Time(10)), Some(Time(11)));
    let open = queue(false, known(Wake::At(Time(10))));
    assert_eq!(admitted(&open, 10), ["a"], "one tries it");
    assert_eq!(reasons(&open), [HoldReason::CredentialCoolingDown; 2]);
    // It was let in: the others wait until it got an answer, or gave up.
    let mut tried = known(Wake::At(Time(10)));
    let probe = crate::task::Task::new(crate::task::tests::spec("a", Some("k")));
    tried.learn(&probe, &Event::Admitted, &probe);
    assert_eq!(admitted(&queue(true, tried.clone()), 10), Vec::<String>::new());
    assert_eq!(admitted(&queue(false, tried), 10), ["a"], "who tried it runs no more");
    assert_eq!(admitted(&queue(true, Credentials::default()), 10), ["b", "c"]);
}
