//! The process dies at every point of every scenario, and each action is performed twice: the
//! end is the same, and each effect was done once.

use std::io::Write as _;

use midwatch_core::task::Task;

use crate::play::play;
use crate::scenarios::{Scenario, all, world_of};
use crate::script::name;
use crate::world::{Die, Manner, World};

/// What a scenario comes to, and its world.
fn played(scenario: &Scenario, manner: Manner, die: Option<Die>) -> (Task, World, u32) {
    let world = world_of(scenario, manner);
    world.get().die = die;
    let lives = play(&world, 1, scenario.person);
    (world.replayed(&name("t")), world, lives)
}

/// The points of a scenario: each append in its place and after it, each effect.
fn points(world: &World) -> Vec<Die> {
    let (appends, effects) = {
        let inner = world.get();
        (inner.appends, inner.done_effects)
    };
    let before = (1..=appends).map(Die::BeforeAppend);
    let after = (1..=appends).map(Die::AfterAppend);
    before.chain(after).chain((1..=effects).map(Die::AfterEffect)).collect()
}

/// Effects that were done more than once, or not at all.
fn doubled(world: &World) -> Vec<String> {
    let inner = world.get();
    let doubled = inner.effects.iter().filter(|(_, times)| **times != 1);
    doubled.map(|(key, times)| format!("{key}: {times}")).collect()
}

#[test]
fn dying_anywhere_changes_nothing() {
    let mut tried = 0;
    for scenario in all() {
        let (wanted, whole, _) = played(&scenario, Manner::GOOD, None);
        assert!(wanted.state.is_terminal(), "{}", scenario.name);
        for point in points(&whole) {
            let (task, world, lives) = played(&scenario, Manner::GOOD, Some(point));
            let told = format!("{} {point:?}", scenario.name);
            assert_eq!(lives, 2, "{told}: it did not die");
            assert_eq!(task.state, wanted.state, "{told}");
            assert_eq!(task.rescue_ref, wanted.rescue_ref, "{told}");
            assert_eq!(doubled(&world), Vec::<String>::new(), "{told}");
            assert_eq!(world.get().published.len(), scenario.published, "{told}");
            tried += 1;
        }
    }
    let mut out = std::io::stderr();
    writeln!(out, "engine crash points {tried} / lost 0 / doubled 0").unwrap();
    assert!(tried > 500, "{tried}");
}

#[test]
fn without_looking_first_effects_double() {
    let blind = Manner { looks: false, keyed: false, twice: false };
    let scenarios = all();
    let quick = scenarios.iter().find(|one| one.name == "quick").unwrap();
    let (_, whole, _) = played(quick, blind, None);
    assert_eq!(whole.get().published.len(), 1, "nothing doubles while nothing dies");
    let effects = whole.get().done_effects;
    let twice = (1..=effects).filter(|n| {
        let (_, world, _) = played(quick, blind, Some(Die::AfterEffect(*n)));
        world.get().published.len() == 2
    });
    assert_eq!(twice.count(), 1, "dying after the publication publishes again");
}

#[test]
fn performing_each_action_twice_changes_nothing() {
    for scenario in all() {
        let (wanted, _, _) = played(&scenario, Manner::GOOD, None);
        let manner = Manner { twice: true, ..Manner::GOOD };
        let (task, world, _) = played(&scenario, manner, None);
        assert_eq!(task, wanted, "{}", scenario.name);
        assert_eq!(doubled(&world), Vec::<String>::new(), "{}", scenario.name);
        assert_eq!(world.get().published.len(), scenario.published, "{}", scenario.name);
    }
}

#[test]
fn without_keys_performing_twice_doubles() {
    let scenarios = all();
    let quick = scenarios.iter().find(|one| one.name == "quick").unwrap();
    let manner = Manner { looks: true, keyed: false, twice: true };
    let (_, world, _) = played(quick, manner, None);
    assert_eq!(world.get().published.len(), 2);
}
