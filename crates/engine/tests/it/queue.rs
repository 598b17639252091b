//! Many tasks: slots, branches, and what waits.

use midwatch_core::admit::AGING_SECONDS;
use midwatch_core::ports::Clock;
use midwatch_core::reason::HoldReason;
use midwatch_core::task::{State, TaskSpec};

use crate::play::{load, play, says_yes, turns};
use crate::script::{Script, name, spec};
use crate::world::{BEGINNING, Manner, World};

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

fn world(script: Script, branches: [&str; 5]) -> World {
    let specs: Vec<_> =
        NAMES.into_iter().zip(branches).map(|(task, branch)| spec(task, branch, false)).collect();
    World::new(script, Manner::GOOD, &specs)
}

fn states(world: &World) -> Vec<&'static str> {
    NAMES.into_iter().map(|task| world.replayed(&name(task)).state.as_str()).collect()
}

#[test]
fn no_more_tasks_at_once_than_slots() {
    for slots in [1, 2, 5] {
        let world = world(Script::default(), ["a", "b", "c", "d", "e"]);
        play(&world, slots, says_yes);
        assert_eq!(states(&world), ["Done"; 5]);
        assert_eq!(world.get().most_tasks, slots, "all slots are used, and no more");
    }
}

#[test]
fn one_task_at_once_on_a_branch() {
    let shared = world(Script::default(), ["x", "x", "x", "y", "y"]);
    play(&shared, 5, says_yes);
    assert_eq!(states(&shared), ["Done"; 5]);
    let seen = shared.get();
    assert_eq!((seen.most_on_a_branch, seen.most_tasks), (1, 2));
}

#[test]
fn who_waits_is_told_why() {
    let world = world(Script { endless: true, ..Script::default() }, ["a", "b", "a", "d", "e"]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let engine = load(&world, 2);
        assert!(turns(&engine, &world).await);
        let waiting = engine.waiting();
        assert_eq!(waiting.get(&name("a")), None);
        let waits = |task| waiting.get(&name(task)).map(|it| (it.reason, it.position, it.of));
        assert_eq!(waits("c"), Some((HoldReason::BranchBusy, 1, 3)));
        assert_eq!(waits("d"), Some((HoldReason::Concurrency, 2, 3)));
        assert_eq!((engine.open(), engine.busy()), (5, 5));
    });
}

/// Who came first stays first: over a restart, among tasks of one moment, and before one of a
/// higher priority that came when the first had waited long enough.
#[test]
fn a_restart_keeps_the_places_of_the_queue() {
    let urgent = TaskSpec { priority: 1, ..spec("urgent", "urgent", false) };
    let specs = ["zeta", "yak", "alpha"].map(|task| spec(task, task, false));
    let world = World::new(Script { endless: true, ..Script::default() }, Manner::GOOD, &specs);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        assert!(turns(&load(&world, 1), &world).await);
        world.set_now(BEGINNING.plus_seconds(2 * AGING_SECONDS));
        // The server is another one now.
        let engine = load(&world, 1);
        engine.add(urgent);
        let waiting = engine.waiting();
        let place = |task| waiting.get(&name(task)).map(|it| (it.position, it.of));
        let places = ["zeta", "yak", "alpha", "urgent"].map(place);
        assert_eq!(places, [None, Some((1, 3)), Some((2, 3)), Some((3, 3))]);
    });
}

/// Each run is lost five times, with pauses of 5 to 80 seconds and more.
#[test]
fn in_a_long_pause_between_attempts_others_have_the_slot() {
    let world = world(Script { lost: 5, ..Script::default() }, NAMES);
    play(&world, 1, says_yes);
    assert_eq!(states(&world), ["Done"; 5]);
    assert_eq!(world.get().most_tasks, 1, "who comes back waits for a slot");
    let seconds = (world.now().0 - BEGINNING.0) / 1000;
    let one_by_one = 5 * (5 + 10 + 20 + 40 + 80);
    assert!(seconds < one_by_one * 3 / 5, "{seconds} of {one_by_one}");
    // Short pauses only: no slot is given back, so they follow each other.
    let world = self::world(Script { lost: 3, ..Script::default() }, NAMES);
    play(&world, 1, says_yes);
    let seconds = (world.now().0 - BEGINNING.0) / 1000;
    assert!(seconds >= 5 * (5 + 10 + 20), "{seconds}");
}

#[test]
fn what_is_held_frees_its_slot() {
    let world = world(Script { hard_path: true, ..Script::default() }, ["a", "b", "c", "d", "e"]);
    // Nobody is there to approve.
    play(&world, 1, |_| None);
    assert_eq!(states(&world), ["Held"; 5]);
    for task in NAMES {
        let State::Held(hold) = world.replayed(&name(task)).state else { unreachable!() };
        assert_eq!(hold.reason, HoldReason::Approval);
    }
    play(&world, 1, says_yes);
    assert_eq!(states(&world), ["Done"; 5]);
}
