//! The brief's data, from a database of the first release.

use midwatch_core::event::{EndKind, Event};
use midwatch_core::id::TaskName;
use midwatch_core::ports::Store as _;
use midwatch_core::reason::HoldReason;
use midwatch_core::task::{Hold, Wake, WakeEvent};
use midwatch_core::time::Time;
use midwatch_local::brief::brief;
use midwatch_local::store::{Mark, SqliteStore};

use super::world::{Home, V1, order};

/// When the two tasks that are over ended.
const DONE: i64 = 1_795_282_721_619;
const FAILED: i64 = 1_795_283_016_267;

fn names(tasks: &[midwatch_api::brief::BriefTask]) -> Vec<&str> {
    tasks.iter().map(|task| task.result.task.as_deref().unwrap()).collect()
}

#[test]
fn each_task_is_told_once_in_its_place() {
    let home = Home::of(V1);
    let store = SqliteStore::open(&home.database()).unwrap();
    let night = brief(&store, Time(0), Time(FAILED + 1)).unwrap();
    assert_eq!((names(&night.done), names(&night.failed)), (vec!["done"], vec!["failed"]));
    assert!(night.done[0].result.verified && night.done[0].took_ms == Some(11_202));
    let failed = &night.failed[0].result;
    assert!(failed.hint.is_some() && failed.detail.as_deref().unwrap().contains("no idea"));
    let rescued: Vec<&str> = night.rescued.iter().map(|one| one.task.as_str()).collect();
    assert_eq!(rescued, ["failed"], "what landed needs no saved copy");
    assert_eq!(night.going_on.running, 1);
    // The spans of two looks meet without a gap and without an overlap.
    let first = brief(&store, Time(0), Time(FAILED)).unwrap();
    let second = brief(&store, Time(FAILED), Time(FAILED + 1)).unwrap();
    assert_eq!((names(&first.done), names(&first.failed)), (vec!["done"], vec![]));
    assert_eq!((names(&second.done), names(&second.failed)), (vec![], vec!["failed"]));
    let later = brief(&store, Time(DONE + 1), Time(FAILED)).unwrap();
    assert!(later.done.is_empty() && later.failed.is_empty());
}

#[test]
fn who_waits_for_somebody_is_told_whenever_it_began() {
    let home = Home::new();
    let store = SqliteStore::open(&home.database()).unwrap();
    let holds = [
        ("approve", HoldReason::Approval, Wake::On(WakeEvent::Approval)),
        ("login", HoldReason::NeedsLogin, Wake::On(WakeEvent::Resume)),
        ("cooling", HoldReason::CredentialCoolingDown, Wake::At(Time(99_000))),
    ];
    for (name, reason, until) in holds {
        store.insert(name, &order(), Time(1)).unwrap();
        let hold = Hold { reason, detail: "x".into(), until };
        let name = TaskName::parse(name).unwrap();
        store.append(&name, 0, &[Event::Admitted, Event::Held(hold)], Time(2)).unwrap();
    }
    let brief = brief(&store, Time(50_000), Time(60_000)).unwrap();
    assert_eq!(names(&brief.waiting), ["approve", "login"]);
    assert_eq!(brief.going_on.resting, 1);
    let [group] = &brief.resting[..] else { panic!("{:?}", brief.resting) };
    assert_eq!((group.reason.as_str(), group.count), ("CredentialCoolingDown", 1));
    assert_eq!((group.until_ms, &group.tasks[..]), (Some(60_000), &["cooling".to_owned()][..]));
}

#[test]
fn more_than_anybody_reads_is_counted() {
    let home = Home::new();
    let store = SqliteStore::open(&home.database()).unwrap();
    let order = order();
    for n in 0..510 {
        let name = format!("t{n:03}");
        store.insert(&name, &order, Time(1)).unwrap();
        let name = TaskName::parse(&name).unwrap();
        store.append(&name, 0, &[Event::Ended(EndKind::Cancelled)], Time(10 + n)).unwrap();
    }
    let brief = brief(&store, Time(0), Time(10_000)).unwrap();
    assert_eq!((brief.cancelled.len(), brief.left_out), (500, 10));
    assert_eq!(names(&brief.cancelled)[499], "t509", "the newest are listed");
}

#[test]
fn a_look_is_remembered() {
    let home = Home::new();
    let store = SqliteStore::open(&home.database()).unwrap();
    assert_eq!(store.marked(Mark::BriefRead).unwrap(), None);
    store.mark(Mark::BriefRead, Time(7)).unwrap();
    drop(store);
    let store = SqliteStore::open(&home.database()).unwrap();
    assert_eq!(store.marked(Mark::BriefRead).unwrap(), Some(Time(7)));
}

#[test]
fn fifty_on_one_limit_are_one_line() {
    let home = Home::new();
    let store = SqliteStore::open(&home.database()).unwrap();
    for n in 0..50 {
        let name = format!("t{n:02}");
        store.insert(&name, &order(), Time(n)).unwrap();
        // Jitter spreads them within a minute.
        let until = Wake::At(Time(120_000 + n));
        let reason = HoldReason::CredentialCoolingDown;
        let hold = Hold { reason, detail: "the limit".into(), until };
        let name = TaskName::parse(&name).unwrap();
        store.append(&name, 0, &[Event::Admitted, Event::Held(hold)], Time(2)).unwrap();
    }
    let brief = brief(&store, Time(0), Time(60_000)).unwrap();
    let [group] = &brief.resting[..] else { panic!("{:?}", brief.resting) };
    assert_eq!((group.count, group.tasks.len(), group.until_ms), (50, 3, Some(120_000)));
}

#[test]
fn who_waits_for_something_else_has_a_line_of_its_own() {
    let home = Home::new();
    let store = SqliteStore::open(&home.database()).unwrap();
    for (name, detail) in [("a", "one writes there"), ("b", "two does"), ("c", "one writes there")]
    {
        store.insert(name, &order(), Time(1)).unwrap();
        let until = Wake::On(WakeEvent::Action);
        let hold = Hold { reason: HoldReason::BranchBusy, detail: detail.into(), until };
        let name = TaskName::parse(name).unwrap();
        store.append(&name, 0, &[Event::Admitted, Event::Held(hold)], Time(2)).unwrap();
    }
    let brief = brief(&store, Time(0), Time(60_000)).unwrap();
    let mut lines: Vec<_> =
        brief.resting.iter().map(|group| (group.detail.as_str(), group.count)).collect();
    lines.sort_unstable();
    assert_eq!(lines, [("one writes there", 2), ("two does", 1)]);
}
