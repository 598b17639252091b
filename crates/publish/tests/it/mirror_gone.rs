//! Somebody removed the mirror while tasks were open.

use std::collections::BTreeMap;

use midwatch_core::event::{Event, LandAction};
use midwatch_core::id::CommitId;
use midwatch_core::ports::Seen;
use midwatch_core::reason::FailReason;
use midwatch_core::task::{Follows, Task};

use crate::actions::{failure, fetched, imported, publish};
use crate::world::World;

pub(crate) fn remove(world: &World) {
    std::fs::remove_dir_all(world.path().join("mirror")).unwrap();
}

/// A task that goes on from one that landed.
pub(crate) fn follow_up(world: &World, landed: &CommitId) -> Task {
    let mut task = world.task();
    task.spec.follows = Some(Box::new(Follows {
        task: world.task_named("before").spec.name,
        goal: "fix it".into(),
        start: Some(landed.clone()),
        onto: Some(landed.clone()),
        chain: vec![],
        sessions: BTreeMap::new(),
    }));
    task
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

#[tokio::test]
async fn a_follow_up_begins_with_what_landed_and_moves_the_branch_from_there() {
    let world = World::new();
    fetched(&world).await;
    let first = imported(&world, 2, "one\n").await.commit;
    let landed = world.perform(&world.task(), &publish(&world, &first, false)).await;
    assert!(matches!(landed, Event::Landed(_)), "{landed:?}");
    remove(&world);
    let follow_up = follow_up(&world, &first);
    let fetch = LandAction::Fetch { commit: world.base.clone() };
    world.done_through_a_crash(&follow_up, &fetch).await;
    let pack = world.path().join("mirror/packs").join(first.as_str());
    assert!(pack.is_dir(), "a sandbox can begin there");
    // Somebody may remove that alone.
    std::fs::remove_dir_all(&pack).unwrap();
    assert_eq!(world.look(&follow_up, &fetch).await, Seen::Nothing);
    world.done_through_a_crash(&follow_up, &fetch).await;
    // The control: who neither landed it nor goes on from it does not move the branch.
    let second = publish(&world, &imported(&world, 3, "two\n").await.commit, false);
    let event = world.perform(&world.task(), &second).await;
    assert_eq!(failure(&event).0, FailReason::PushRejected);
    world.done_through_a_crash(&follow_up, &second).await;
    assert_eq!(world.git(&world.repo(), &["show", "midwatch/fix:work"]), "two");
}
