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

/// How far after the first death the second one comes, at the most: a restart looks, decides and
/// stores what it found in fewer steps.
const SOON: u64 = 2;

/// Two deaths in every place of one scenario: how many pairs came to pass, and what was wrong.
fn pairs(scenario: &Scenario) -> (u32, Vec<String>) {
    let (mut tried, mut wrong) = (0, vec![]);
    let (wanted, whole, _) = played(scenario, Manner::GOOD, None);
    for first in points(&whole) {
        let before = (1..=SOON).map(Die::BeforeAppend);
        for second in before.chain((1..=SOON).map(Die::AfterEffect)) {
            let world = world_of(scenario, Manner::GOOD);
            (world.get().die, world.get().die_again) = (Some(first), Some(second));
            let lives = play(&world, 1, scenario.person);
            // Fewer where the task was over before the second came.
            tried += u32::from(lives == 3);
            let task = world.replayed(&name("t"));
            let same = task.state == wanted.state && task.rescue_ref == wanted.rescue_ref;
            let once = world.get().published.len() == scenario.published;
            if !same || !once || !doubled(&world).is_empty() {
                wrong.push(format!("{} {first:?} {second:?}: {:?}", scenario.name, task.state));
            }
        }
    }
    (tried, wrong)
}

#[test]
fn dying_again_soon_after_a_restart_changes_nothing() {
    let scenarios = all();
    let found: Vec<(u32, Vec<String>)> = std::thread::scope(|scope| {
        let hands: Vec<_> = scenarios.iter().map(|one| scope.spawn(|| pairs(one))).collect();
        hands.into_iter().map(|hand| hand.join().unwrap()).collect()
    });
    let tried: u32 = found.iter().map(|(tried, _)| tried).sum();
    let wrong: Vec<String> = found.into_iter().flat_map(|(_, wrong)| wrong).collect();
    assert_eq!(wrong, Vec::<String>::new());
    let mut out = std::io::stderr();
    writeln!(out, "engine crash pairs {tried} / lost 0 / doubled 0").unwrap();
    assert!(tried > 1_000, "{tried}");
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
