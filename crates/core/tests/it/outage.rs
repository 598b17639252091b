//! A provider that does not answer: one wait for all, that grows, and an end.

use midwatch_core::decide::MAX_OUTAGE_PAUSES;
use midwatch_core::event::Event;
use midwatch_core::reason::{FailReason, HoldReason};
use midwatch_core::task::{Outcome, State, Task, Wake};

use crate::fifty::{Fifty, answer};
use crate::story::{failed, failed_agent};

/// Tasks that may run at once.
const SLOTS: usize = 4;

fn down() -> midwatch_core::event::RunResult {
    failed_agent(FailReason::ModelUnavailable, None)
}

/// Every agent fails until nothing happens by itself any more.
fn never_back(world: &mut Fifty) {
    for _ in 0..1_000 {
        world.turn();
        if world.end_agents(&down()) > 0 {
            continue;
        }
        let Some(next) = world.next() else { return };
        world.now = next;
    }
    panic!("never ends: {} failed", world.count("Failed"));
}

fn reason(task: &Task) -> Option<FailReason> {
    match &task.state {
        State::Ended(outcome @ Outcome::Failed { .. }) => Some(failed(outcome)),
        State::Queued | State::Running(_) | State::Held(_) | State::Ended(_) => None,
    }
}

#[test]
fn fifty_tasks_on_one_outage_make_one_wait_that_grows_and_one_try_after_each() {
    let mut world = Fifty::new(Some("k"));
    world.turn();
    assert_eq!(world.starts, SLOTS);
    for (round, plain) in [10, 20, 40, 80, 160, 320, 600, 600, 600].into_iter().enumerate() {
        world.end_agents(&down());
        world.turn();
        assert_eq!(world.starts, SLOTS + round, "nobody tries meanwhile");
        let next = world.next().unwrap();
        let waits = world.held(HoldReason::ModelDown);
        // Who met it first keeps its place and tries again itself.
        assert_eq!(waits.len(), if round == 0 { 49 } else { 50 });
        assert!(waits.iter().all(|until| *until == Wake::At(next)), "{waits:?}");
        let wait = (next.0 - world.now.0) / 1000;
        assert!((plain..=plain + plain / 4).contains(&wait), "{wait} for {plain}");
        world.now = next;
        world.turn();
        assert_eq!(world.starts, SLOTS + round + 1, "one task tries it");
    }
    let probe = world.tasks.iter().position(|task| !task.open.is_empty()).unwrap();
    let order = world.tasks[probe].open_runs().next().unwrap().clone();
    world.take(probe, &Event::ModelAnswered { run: order.run, epoch: order.epoch });
    world.turn();
    assert_eq!(world.starts, SLOTS + 9 + SLOTS - 1, "it is back: the slots are filled");
    while world.end_agents(&answer()) > 0 {
        world.turn();
    }
    assert_eq!(world.count("Answered"), 50, "and every task ends");
    assert!(world.tasks.iter().all(|task| task.attempts == 0), "nothing was charged");
}

#[test]
fn an_outage_without_end_fails_every_task_after_bounded_tries() {
    let mut world = Fifty::new(Some("k"));
    never_back(&mut world);
    assert!(world.tasks.iter().all(|task| reason(task) == Some(FailReason::ModelUnavailable)));
    let most = SLOTS + MAX_OUTAGE_PAUSES as usize + 50;
    assert!(world.starts <= most, "{} starts", world.starts);
    // The control: where nothing tells them that it is one outage, each tries as often as it may.
    let mut storm = Fifty::new(None);
    never_back(&mut storm);
    assert_eq!((storm.starts, storm.count("Failed")), (150, 50));
}

#[test]
fn a_task_that_is_alone_with_a_model_that_is_gone_ends_and_holds_up_nobody() {
    let mut world = Fifty::new(Some("k"));
    for _ in 0..100 {
        world.turn();
        let failed = world.end_agent(0, &down());
        if failed + world.end_agents(&answer()) == 0 {
            let Some(next) = world.next() else { break };
            world.now = next;
        }
    }
    assert_eq!(reason(&world.tasks[0]), Some(FailReason::ModelUnavailable));
    assert_eq!((world.count("Answered"), world.starts), (49, 49 + 3));
}
