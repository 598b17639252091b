//! Faults of the store, of the ports, and commands that come at the wrong time.

use std::time::Duration;

use midwatch_core::reason::FailReason;
use midwatch_core::task::{Outcome, State};
use midwatch_engine::{AtHand, CommandError, Decided, EngineError};

use crate::play::{load, play, says_yes, turns};
use crate::script::{Script, commit, name, spec};
use crate::world::{Die, Manner, World};

fn world(script: Script) -> World {
    World::new(script, Manner::GOOD, &[spec("t", "midwatch/t", false)])
}

#[test]
fn the_engine_stops_when_the_store_fails() {
    for append in 1..=8 {
        for die in [Die::BeforeAppend(append), Die::AfterAppend(append)] {
            let world = world(Script::default());
            world.get().die = Some(die);
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let stopped = runtime.block_on(async {
                let engine = load(&world, 1);
                // The limit only ends a test that would hang.
                tokio::time::timeout(Duration::from_mins(1), engine.run()).await
            });
            assert!(matches!(stopped, Ok(EngineError::Store(_))), "{die:?}");
        }
    }
}

#[test]
fn an_answer_of_another_kind_fails_the_task_and_not_the_engine() {
    let world = world(Script { wrong_answer: true, ..Script::default() });
    play(&world, 1, says_yes);
    let state = world.replayed(&name("t")).state;
    let State::Ended(Outcome::Failed { reason, .. }) = state else { panic!("{state:?}") };
    assert_eq!(reason, FailReason::Internal);
}

#[test]
fn a_panic_of_a_port_is_a_failure_that_is_tried_again() {
    let world = world(Script { panics: true, ..Script::default() });
    play(&world, 1, says_yes);
    assert_eq!(world.replayed(&name("t")).state.as_str(), "Done");
    assert_eq!(world.get().published.len(), 1);
}

#[test]
fn commands_at_the_wrong_time_are_refused() {
    let world = world(Script { hard_path: true, ..Script::default() });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let engine = load(&world, 1);
        let task = name("t");
        let command = |decided| engine.command(&task, decided, "me");
        let seen = |digits: &str| AtHand::Commit(digits.to_owned());
        let any = seen(commit(1).as_str());
        for early in [Decided::Approve(any), Decided::Reject(String::new()), Decided::Resume] {
            assert!(matches!(command(early), Err(CommandError::NotNow { state: "Queued", .. })));
        }
        assert!(turns(&engine, &world).await);
        let here = commit(1);
        let plan = AtHand::Plan(here.as_str().to_owned());
        for another in [seen(commit(9).as_str()), seen(&here.as_str()[..6]), seen(""), plan] {
            let told = command(Decided::Approve(another));
            assert!(
                matches!(told, Err(CommandError::Another(now)) if now.digits() == here.as_str())
            );
        }
        assert!(command(Decided::Approve(seen(&here.as_str()[..7]))).is_ok());
        assert!(turns(&engine, &world).await);
        assert!(matches!(command(Decided::Cancel), Err(CommandError::NotOpen)));
        assert_eq!(engine.open(), 0);
    });
    assert_eq!(world.replayed(&name("t")).state.as_str(), "Done");
}

#[test]
fn a_queued_task_is_cancelled_without_a_slot() {
    let world = world(Script::default());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let engine = load(&world, 0);
        assert!(turns(&engine, &world).await);
        engine.command(&name("t"), Decided::Cancel, "me").unwrap();
        assert!(turns(&engine, &world).await);
    });
    assert_eq!(world.replayed(&name("t")).state.as_str(), "Cancelled");
}
