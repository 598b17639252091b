//! Rescues that git refuses: bundles that are kept as files, beside what was saved before.

use std::path::Path;

use midwatch_core::event::{Event, LandAction};
use midwatch_core::id::{CommitId, RunName};
use midwatch_publish::{Git, saved};

use crate::actions::fetched;
use crate::world::World;

/// Something new at the snapshot's ref.
fn half(world: &World, text: &str) -> CommitId {
    world.write("work", text);
    let half = world.commit("half");
    world.git(&world.inside(), &["update-ref", "refs/rescue/snapshot", "HEAD"]);
    half
}

async fn rescued(world: &World, epoch: u32, by: &RunName) -> Event {
    let (run, epoch) = World::run(epoch);
    let rescue = LandAction::SaveRescue { run, epoch, by: by.clone(), base: world.base.clone() };
    world.perform(&world.task(), &rescue).await
}

/// The file that a rescue becomes whose bundle is cut.
async fn cut(world: &World, epoch: u32, from: &CommitId) -> String {
    let (by, _) = World::run(90 + epoch);
    world.bundle(&by, "rescue.bundle", &["refs/rescue/snapshot"], from);
    let out = world.path().join("runs").join(by.as_str()).join("out/rescue.bundle");
    let mut bytes = std::fs::read(&out).unwrap();
    bytes.truncate(bytes.len() - 30);
    std::fs::write(&out, bytes).unwrap();
    let event = rescued(world, epoch, &by).await;
    let Event::Rescued { reference: Some(file), snapshot: None, .. } = event else {
        panic!("{event:?}")
    };
    assert!(Path::new(&file).is_file(), "{file}");
    file
}

async fn checkpointed(world: &World, epoch: u32) {
    let (run, epoch) = World::run(epoch);
    world.bundle(&run, "checkpoint.bundle", &["refs/rescue/snapshot"], &world.base);
    let onto = world.base.clone();
    let checkpoint = LandAction::SaveCheckpoint { run, epoch, number: 1, onto };
    let event = world.perform(&world.task(), &checkpoint).await;
    assert!(matches!(event, Event::Checkpointed { .. }), "{event:?}");
}

#[tokio::test]
async fn beside_a_file_there_is_the_older_checkpoint() {
    let world = World::new();
    fetched(&world).await;
    let half = half(&world, "half\n");
    checkpointed(&world, 1).await;
    cut(&world, 1, &world.base).await;
    let name = "refs/midwatch/checkpoint/fix/1".to_owned();
    assert_eq!(world.view().saved("fix").unwrap(), Some((name, half)));
    assert_eq!(world.view().saved("fi").unwrap(), None, "another task");
}

#[tokio::test]
async fn beside_a_file_there_is_the_sound_rescue_of_an_earlier_attempt() {
    let world = World::new();
    fetched(&world).await;
    half(&world, "a quarter\n");
    checkpointed(&world, 1).await;
    let sound = half(&world, "half\n");
    let (by, _) = World::run(9);
    world.bundle(&by, "rescue.bundle", &["refs/rescue/snapshot"], &world.base);
    let event = rescued(&world, 1, &by).await;
    assert!(matches!(&event, Event::Rescued { snapshot: Some(_), .. }), "{event:?}");
    half(&world, "all\n");
    cut(&world, 2, &sound).await;
    let name = "refs/midwatch/rescue/fix/1/snapshot".to_owned();
    assert_eq!(world.view().saved("fix").unwrap(), Some((name.clone(), sound)));
    // A later checkpoint is newer than that, and what a gate refused is nobody's ground.
    let later = half(&world, "more\n");
    checkpointed(&world, 10).await;
    let refused = "refs/midwatch/rescue/fix/11/refused";
    let work = world.path().join("mirror/work.git");
    world.git(&work, &["update-ref", refused, later.as_str()]);
    let newest = ("refs/midwatch/checkpoint/fix/10".to_owned(), later);
    assert_eq!(world.view().saved("fix").unwrap(), Some(newest.clone()));
    let mirror = world.path().join("mirror");
    let again = saved::newest_in(&Git::find().unwrap(), &mirror, "fix").unwrap();
    assert_eq!(again, Some(newest));
}
