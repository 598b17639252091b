//! Somebody removed the mirror while tasks were open.

use midwatch_core::event::{Event, LandAction};
use midwatch_core::reason::FailReason;

use crate::actions::{failure, fetched, imported, publish};
use crate::world::World;

fn remove(world: &World) {
    std::fs::remove_dir_all(world.path().join("mirror")).unwrap();
}

#[tokio::test]
async fn the_base_is_fetched_again_and_what_an_agent_left_is_imported() {
    let world = World::new();
    fetched(&world).await;
    remove(&world);
    let facts = imported(&world, 2, "one\n").await;
    let landed = world.perform(&world.task(), &publish(&world, &facts.commit, false)).await;
    assert!(matches!(landed, Event::Landed(_)), "{landed:?}");
}

#[tokio::test]
async fn a_rescue_is_saved_into_a_new_mirror() {
    let world = World::new();
    fetched(&world).await;
    world.write("half", "done\n");
    let half = world.commit("half");
    world.git(&world.inside(), &["update-ref", "refs/rescue/snapshot", half.as_str()]);
    let (run, _) = World::run(3);
    world.bundle(&run, "rescue.bundle", &["refs/rescue/snapshot"], &world.base);
    remove(&world);
    let (of, epoch) = World::run(2);
    let save = LandAction::SaveRescue { run: of, epoch, by: run, base: world.base.clone() };
    let event = world.perform(&world.task(), &save).await;
    assert!(matches!(&event, Event::Rescued { reference: Some(_), .. }), "{event:?}");
}

#[tokio::test]
async fn what_was_only_there_fails_with_a_reason() {
    let world = World::new();
    fetched(&world).await;
    let facts = imported(&world, 2, "one\n").await;
    remove(&world);
    let event = world.perform(&world.task(), &publish(&world, &facts.commit, false)).await;
    let (reason, detail) = failure(&event);
    let typed = matches!(reason, FailReason::Internal | FailReason::PushRejected);
    assert!(typed && !detail.is_empty(), "{reason}: {detail}");
    // The mirror serves other tasks as before.
    let other = world.task_named("other");
    let fetch = LandAction::Fetch { commit: world.base.clone() };
    let event = world.perform(&other, &fetch).await;
    assert!(matches!(event, Event::Fetched { .. }), "{event:?}");
}
