//! The user's repository is not where it was: an unmounted disk, a folder that was moved.

use std::path::PathBuf;

use midwatch_core::event::{Event, LandAction};
use midwatch_core::id::RunName;
use midwatch_core::reason::FailReason;
use midwatch_git::Git;
use midwatch_publish::Remote;
use midwatch_publish::view::ViewError;

use crate::actions::{failure, fetched, imported, publish};
use crate::mirror_gone::remove;
use crate::world::World;

/// Takes the repository away.
fn away(world: &World) -> PathBuf {
    let elsewhere = world.path().join("elsewhere");
    std::fs::rename(world.repo(), &elsewhere).unwrap();
    elsewhere
}

fn back(world: &World) {
    std::fs::rename(world.path().join("elsewhere"), world.repo()).unwrap();
}

/// The bundle of a rescue, and the action that saves it.
fn rescue(world: &World) -> LandAction {
    world.write("half", "done\n");
    let half = world.commit("half");
    world.git(&world.inside(), &["update-ref", "refs/rescue/snapshot", half.as_str()]);
    let (by, _): (RunName, _) = World::run(3);
    world.bundle(&by, "rescue.bundle", &["refs/rescue/snapshot"], &world.base);
    let (run, epoch) = World::run(2);
    LandAction::SaveRescue { run, epoch, by, base: world.base.clone() }
}

#[tokio::test]
async fn work_is_imported_and_saved_while_it_is_away_and_landed_when_it_is_back() {
    let world = World::new();
    fetched(&world).await;
    away(&world);
    let facts = imported(&world, 1, "one\n").await;
    let event = world.perform(&world.task(), &rescue(&world)).await;
    assert!(
        matches!(&event, Event::Rescued { reference: Some(name), .. } if name.starts_with("refs/")),
        "{event:?}"
    );
    let view = world.view();
    assert!(view.stat(&world.base, &facts.commit).unwrap().contains("work"));
    let folder = world.path().join("opened");
    view.worktree(&facts.commit, &world.task().spec.name, &folder, None).unwrap();
    assert_eq!(std::fs::read_to_string(folder.join("work")).unwrap(), "one\n");

    let action = publish(&world, &facts.commit, false);
    let event = world.perform(&world.task(), &action).await;
    assert_eq!(failure(&event).0, FailReason::RepositoryAway, "{event:?}");
    assert!(failure(&event).1.contains("/repo"), "{event:?}");
    back(&world);
    world.done_through_a_crash(&world.task(), &action).await;
    assert_eq!(world.git(&world.repo(), &["show", "midwatch/fix:work"]), "one");
}

#[tokio::test]
async fn another_repository_in_its_place_gets_nothing() {
    let world = World::new();
    fetched(&world).await;
    let facts = imported(&world, 1, "one\n").await;
    let action = publish(&world, &facts.commit, false);
    // An empty mount point below a repository, then another clone where it was.
    let elsewhere = away(&world);
    std::fs::create_dir(world.repo()).unwrap();
    world.git(world.path(), &["init", "-q", "-b", "main"]);
    let event = world.perform(&world.task(), &action).await;
    assert_eq!(failure(&event).0, FailReason::RepositoryAway, "{event:?}");
    let found = Git::find().and_then(|git| {
        let around = midwatch_git::Checkout::find(&git, &world.repo()).unwrap();
        around.branch(&git, &midwatch_core::id::BranchName::parse("midwatch/fix").unwrap())
    });
    assert_eq!(found.unwrap(), None, "the repository around it was found, and has no branch");
    std::fs::remove_dir_all(world.path().join(".git")).unwrap();
    std::fs::remove_dir(world.repo()).unwrap();
    // One that was made in its place has its path, and nothing that the work stands on.
    std::fs::create_dir(world.repo()).unwrap();
    world.git(&world.repo(), &["init", "-q", "-b", "main"]);
    world.git(&world.repo(), &["commit", "-q", "--allow-empty", "-m", "another"]);
    let event = world.perform(&world.task(), &action).await;
    assert_eq!(failure(&event).0, FailReason::RepositoryAway, "{event:?}");
    assert_eq!(world.git(&world.repo(), &["branch", "--list", "midwatch/*"]), "");
    std::fs::remove_dir_all(world.repo()).unwrap();
    // The control: the same one again is taken.
    std::fs::rename(elsewhere, world.repo()).unwrap();
    world.done_through_a_crash(&world.task(), &action).await;
}

/// Whoever amends the commit that tasks were begun on has the same repository: waiting for another
/// would be waiting for ever.
#[tokio::test]
async fn a_base_that_was_amended_away_comes_with_the_work() {
    let mut world = World::new();
    world.git(&world.repo(), &["commit", "-q", "--allow-empty", "-m", "to be amended"]);
    world.git(&world.inside(), &["pull", "-q", "../repo", "main"]);
    world.base = world.head(&world.repo());
    fetched(&world).await;
    let facts = imported(&world, 1, "one\n").await;
    world.git(&world.repo(), &["commit", "-q", "--amend", "--allow-empty", "-m", "amended"]);
    world.git(&world.repo(), &["reflog", "expire", "--expire=now", "--all"]);
    world.git(&world.repo(), &["gc", "-q", "--prune=now"]);
    let base = world.base.as_str();
    let there = world.try_git(&world.repo(), &["cat-file", "-e", base]);
    assert!(!there.status.success(), "the base is gone");
    world.done_through_a_crash(&world.task(), &publish(&world, &facts.commit, false)).await;
    assert_eq!(world.git(&world.repo(), &["show", "midwatch/fix:work"]), "one");
    assert_eq!(world.git(&world.repo(), &["rev-parse", "midwatch/fix~1"]), base);
}

#[tokio::test]
async fn a_bare_one_that_is_pushed_to_may_be_away_as_well() {
    let world = World::new();
    world.git(world.path(), &["clone", "-q", "--bare", "repo", "origin.git"]);
    let origin = world.path().join("origin.git");
    world.set_remote(Remote::Local(origin.clone()));
    fetched(&world).await;
    let facts = imported(&world, 1, "one\n").await;
    let gone = world.path().join("gone.git");
    std::fs::rename(&origin, &gone).unwrap();
    let action = publish(&world, &facts.commit, true);
    let event = world.perform(&world.task(), &action).await;
    assert_eq!(failure(&event).0, FailReason::RepositoryAway, "{event:?}");
    std::fs::rename(&gone, &origin).unwrap();
    world.done_through_a_crash(&world.task(), &action).await;
}

#[tokio::test]
async fn with_the_mirror_gone_as_well_an_import_waits_and_a_rescue_is_a_file() {
    let world = World::new();
    fetched(&world).await;
    let saves = rescue(&world);
    world.write("work", "one\n");
    world.commit("work");
    world.git(&world.inside(), &["branch", "-f", "out"]);
    let (run, epoch) = World::run(1);
    world.bundle(&run, "work.bundle", &["out"], &world.base);
    remove(&world);
    away(&world);
    let (onto, base) = (world.base.clone(), world.base.clone());
    let import = LandAction::Import { run, epoch, onto, base };
    let event = world.perform(&world.task(), &import).await;
    assert_eq!(failure(&event).0, FailReason::RepositoryAway, "{event:?}");
    let event = world.perform(&world.task(), &saves).await;
    let Event::Rescued { reference: Some(file), snapshot: None, .. } = event else {
        panic!("{event:?}")
    };
    assert!(std::path::Path::new(&file).is_file(), "{file}");
    // The control: with the repository back both are commits.
    back(&world);
    let event = world.done_through_a_crash(&world.task(), &import).await;
    assert!(matches!(event, Event::Imported { .. }), "{event:?}");
    let event = world.done_through_a_crash(&world.task(), &saves).await;
    assert!(matches!(event, Event::Rescued { snapshot: Some(_), .. }), "{event:?}");
}

#[tokio::test]
async fn what_landed_is_shown_from_the_repository_when_the_mirror_is_gone() {
    let world = World::new();
    fetched(&world).await;
    let landed = imported(&world, 1, "one\n").await.commit;
    world.done_through_a_crash(&world.task(), &publish(&world, &landed, false)).await;
    remove(&world);
    let view = world.view();
    // The control: unasked it is not there.
    assert!(view.stat(&world.base, &landed).is_err());
    view.bring(&landed).unwrap();
    view.bring(&world.base).unwrap();
    assert!(view.stat(&world.base, &landed).unwrap().contains("work"));

    remove(&world);
    away(&world);
    let refused = world.view().bring(&landed);
    assert!(matches!(&refused, Err(ViewError::Away(commit, _)) if *commit == landed));
    back(&world);
    world.git(&world.repo(), &["branch", "-q", "-D", "midwatch/fix"]);
    world.view().bring(&landed).unwrap();
    remove(&world);
    world.git(&world.repo(), &["reflog", "expire", "--expire=now", "--all"]);
    world.git(&world.repo(), &["gc", "-q", "--prune=now"]);
    let refused = world.view().bring(&landed);
    assert!(matches!(&refused, Err(ViewError::Lost(commit)) if *commit == landed));
}
