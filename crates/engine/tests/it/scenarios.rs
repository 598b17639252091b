//! Whole tasks, from submitted to over.

use midwatch_core::reason::FailReason;
use midwatch_core::task::{Outcome, State, Task};
use midwatch_engine::Decided;

use crate::play::{Person, play, says_yes};
use crate::script::{Script, commit, name, spec};
use crate::world::{Manner, World};

/// A scenario: its name, whether it has a review, its script and the person at hand.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) reviewed: bool,
    pub(crate) script: Script,
    pub(crate) person: Person,
    /// How often it publishes.
    pub(crate) published: usize,
}

/// Cancels as soon as an agent works.
fn cancels(task: &Task) -> Option<Decided> {
    let works = task.open.values().any(|action| action.kind() == "Agent");
    (works && !task.cancel).then_some(Decided::Cancel)
}

/// Asks once for something else, then says yes.
fn rejects_once(task: &Task) -> Option<Decided> {
    match says_yes(task) {
        Some(Decided::Approve(_)) if task.review.is_none() => {
            Some(Decided::Reject("leave CI alone".to_owned()))
        }
        other => other,
    }
}

/// Every scenario.
pub(crate) fn all() -> Vec<Scenario> {
    let plain = Script::default();
    let make = |name, reviewed, script, person, published| Scenario {
        name,
        reviewed,
        script,
        person,
        published,
    };
    vec![
        make("quick", false, plain, says_yes as Person, 1),
        make("repair", false, Script { red: 2, ..plain }, says_yes, 1),
        make("too many repairs", false, Script { red: 9, ..plain }, says_yes, 0),
        make("review", true, Script { rejections: 1, ..plain }, says_yes, 1),
        make("rejected by the reviewer", true, Script { rejections: 9, ..plain }, says_yes, 0),
        make("hold and approve", false, Script { hard_path: true, ..plain }, says_yes, 1),
        make("hold and reject", false, Script { hard_path: true, ..plain }, rejects_once, 1),
        make("cancel", false, Script { endless: true, ..plain }, cancels, 0),
        make(
            "an import that fails",
            false,
            Script { refused: Some(FailReason::Internal), ..plain },
            says_yes,
            1,
        ),
        make(
            "an import that is refused",
            false,
            Script { refused: Some(FailReason::SecretFound), ..plain },
            says_yes,
            0,
        ),
        make("a limit", false, Script { limited: true, ..plain }, says_yes, 1),
    ]
}

/// Plays a scenario in a world of that manner.
pub(crate) fn world_of(scenario: &Scenario, manner: Manner) -> World {
    World::new(scenario.script, manner, &[spec("t", "midwatch/t", scenario.reviewed)])
}

fn ended(scenario: &str) -> Outcome {
    let all = all();
    let scenario = all.iter().find(|one| one.name == scenario).unwrap();
    let world = world_of(scenario, Manner::GOOD);
    assert_eq!(play(&world, 1, scenario.person), 1);
    let task = world.replayed(&name("t"));
    assert_eq!(world.get().published.len(), scenario.published);
    match task.state {
        State::Ended(outcome) => outcome,
        other => panic!("{}: {other:?}", scenario.name),
    }
}

fn landed(outcome: &Outcome) -> midwatch_core::id::CommitId {
    match outcome {
        Outcome::Done(landed) => landed.read_back().commit.clone(),
        other => panic!("{other:?}"),
    }
}

fn reason(outcome: &Outcome) -> FailReason {
    match outcome {
        Outcome::Failed { reason, .. } => *reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn scenarios_end_as_they_should() {
    assert_eq!(landed(&ended("quick")), commit(1));
    assert_eq!(landed(&ended("repair")), commit(3));
    assert_eq!(reason(&ended("too many repairs")), FailReason::VerificationFailed);
    assert_eq!(landed(&ended("review")), commit(2));
    assert_eq!(reason(&ended("rejected by the reviewer")), FailReason::ReviewRejected);
    assert_eq!(landed(&ended("hold and approve")), commit(1));
    assert_eq!(landed(&ended("hold and reject")), commit(2));
    assert_eq!(ended("cancel"), Outcome::Cancelled);
    assert_eq!(landed(&ended("an import that fails")), commit(2));
    assert_eq!(reason(&ended("an import that is refused")), FailReason::SecretFound);
    assert_eq!(landed(&ended("a limit")), commit(1));
}

#[test]
fn work_is_saved_where_it_does_not_land() {
    // What checks refuse was imported; that ref is told of.
    for wanted in ["cancel", "an import that is refused", "a limit", "too many repairs"] {
        let all = all();
        let scenario = all.iter().find(|one| one.name == wanted).unwrap();
        let world = world_of(scenario, Manner::GOOD);
        play(&world, 1, scenario.person);
        assert!(world.replayed(&name("t")).rescue_ref.is_some(), "{wanted}");
    }
}
