//! The actions, each through a crash.

use midwatch_core::event::{Event, LandAction};
use midwatch_core::id::{BranchName, CommitId};
use midwatch_core::landing::ImportFacts;
use midwatch_core::ports::Seen;
use midwatch_core::reason::FailReason;
use midwatch_publish::Remote;

use crate::world::World;

pub(crate) fn failure(event: &Event) -> (FailReason, &str) {
    match event {
        Event::LandFailed { reason, detail, .. } => (*reason, detail),
        other => panic!("no failure: {other:?}"),
    }
}

pub(crate) async fn fetched(world: &World) {
    let fetch = LandAction::Fetch { commit: world.base.clone() };
    world.done_through_a_crash(&world.task(), &fetch).await;
}

fn import_action(world: &World, epoch: u32, onto: &CommitId) -> LandAction {
    let (run, epoch) = World::run(epoch);
    LandAction::Import { run, epoch, onto: onto.clone(), base: world.base.clone() }
}

/// Work of one file, imported.
pub(crate) async fn imported(world: &World, epoch: u32, text: &str) -> ImportFacts {
    world.write("work", text);
    world.commit("work");
    world.git(&world.inside(), &["branch", "-f", "out"]);
    world.bundle(&World::run(epoch).0, "work.bundle", &["out"], &world.base);
    let action = import_action(world, epoch, &world.base);
    match world.done_through_a_crash(&world.task(), &action).await {
        Event::Imported { facts, .. } => facts,
        other => panic!("not imported: {other:?}"),
    }
}

pub(crate) fn publish(world: &World, commit: &CommitId, push: bool) -> LandAction {
    LandAction::Publish {
        commit: commit.clone(),
        base: world.base.clone(),
        branch: BranchName::parse("midwatch/fix").unwrap(),
        push,
    }
}

#[tokio::test]
async fn from_the_users_repository_and_back_into_it() {
    let world = World::new();
    fetched(&world).await;
    let facts = imported(&world, 2, "one\n").await;
    assert_eq!((facts.empty, facts.hard_paths.len()), (false, 0));
    assert!(world.path().join("mirror/packs").join(facts.commit.as_str()).is_dir());
    let action = publish(&world, &facts.commit, false);
    let event = world.done_through_a_crash(&world.task(), &action).await;
    let Event::Landed(read_back) = event else { panic!("{event:?}") };
    assert_eq!((read_back.commit, read_back.target.as_str()), (facts.commit.clone(), "local"));
    assert_eq!(world.git(&world.repo(), &["show", "midwatch/fix:work"]), "one");
    assert_eq!(world.git(&world.repo(), &["status", "--porcelain"]), "");

    // A later round moves the branch that is ours, and only while it stands where we left it.
    let second = imported(&world, 3, "two\n").await;
    let action = publish(&world, &second.commit, false);
    world.done_through_a_crash(&world.task(), &action).await;
    world.git(&world.repo(), &["branch", "-f", "midwatch/fix", "main"]);
    let event = world.perform(&world.task(), &action).await;
    assert_eq!(failure(&event).0, FailReason::PushRejected);
}

#[tokio::test]
async fn work_without_checks_is_kept_on_a_local_branch() {
    let world = World::new();
    fetched(&world).await;
    let facts = imported(&world, 1, "one\n").await;
    let keep = LandAction::Keep {
        commit: facts.commit.clone(),
        branch: BranchName::parse("midwatch/fix").unwrap(),
    };
    let event = world.done_through_a_crash(&world.task(), &keep).await;
    assert!(matches!(event, Event::Landed(read_back) if read_back.commit == facts.commit));
}

#[tokio::test]
async fn a_push_to_a_bare_repository_runs_none_of_its_hooks() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    world.git(world.path(), &["clone", "-q", "--bare", "repo", "origin.git"]);
    let origin = world.path().join("origin.git");
    let marker = world.path().join("hook-ran");
    for hook in ["pre-receive", "update", "post-receive", "post-update", "reference-transaction"] {
        let path = origin.join("hooks").join(hook);
        std::fs::write(&path, format!("#!/bin/sh\ntouch {}\n", marker.display())).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    fetched(&world).await;
    let facts = imported(&world, 1, "one\n").await;
    let action = publish(&world, &facts.commit, true);
    let event = world.perform(&world.task(), &action).await;
    assert!(failure(&event).1.contains("origin"), "{event:?}");

    world.set_remote(Remote::Local(origin.clone()));
    let event = world.done_through_a_crash(&world.task(), &action).await;
    assert!(
        matches!(&event, Event::Landed(back) if back.target.ends_with("origin.git")),
        "{event:?}"
    );
    assert_eq!(world.git(&origin, &["show", "midwatch/fix:work"]), "one");
    assert!(!marker.exists());
    // Nothing is left in the user's own repository.
    assert!(
        !world
            .try_git(&world.repo(), &["rev-parse", "-q", "--verify", "midwatch/fix"])
            .status
            .success()
    );
    // The control: a push by path runs them.
    world.git(&world.inside(), &["push", "-q", origin.to_str().unwrap(), "HEAD:refs/heads/other"]);
    assert!(marker.exists());
}

#[tokio::test]
async fn what_the_gates_refuse_is_set_aside_and_named() {
    let world = World::new();
    fetched(&world).await;
    world.write("config", "correct-horse-battery-staple\n");
    let bad = world.commit("oops");
    world.git(&world.inside(), &["branch", "out"]);
    world.bundle(&World::run(1).0, "work.bundle", &["out"], &world.base);
    let action = import_action(&world, 1, &world.base);
    let event = world.perform(&world.task(), &action).await;
    let (reason, detail) = failure(&event);
    assert_eq!(reason, FailReason::SecretFound);
    assert!(detail.contains("config") && !detail.contains("horse"), "{detail}");
    assert_eq!(world.look(&world.task(), &action).await, Seen::Nothing);
    let store = world.path().join("mirror/work.git");
    let kept = world.git(&store, &["rev-parse", "refs/midwatch/rescue/fix/1/refused"]);
    assert_eq!(kept, bad.as_str());

    // Nothing that was set aside can be published.
    let event = world.perform(&world.task(), &publish(&world, &bad, false)).await;
    assert!(failure(&event).1.contains("was not imported"), "{event:?}");
    assert!(!world.try_git(&world.repo(), &["cat-file", "-e", bad.as_str()]).status.success());

    // A file that git does not take is kept as the file that it is.
    let out = world.path().join("runs/fix-implement-2/out");
    std::fs::create_dir_all(&out).unwrap();
    std::fs::write(out.join("work.bundle"), "# v2 git bundle\nbroken").unwrap();
    let event = world.perform(&world.task(), &import_action(&world, 2, &world.base)).await;
    assert_eq!(failure(&event).0, FailReason::InvalidInput);
    assert!(world.path().join("mirror/bundles/fix-2.bundle").exists());
}

#[tokio::test]
async fn an_agent_that_left_nothing_is_told_apart_from_one_that_changed_nothing() {
    let world = World::new();
    fetched(&world).await;
    let action = import_action(&world, 1, &world.base);
    assert!(matches!(world.perform(&world.task(), &action).await, Event::NothingToImport { .. }));
    world.commit("an empty commit");
    world.git(&world.inside(), &["branch", "out"]);
    world.bundle(&World::run(2).0, "work.bundle", &["out"], &world.base);
    let action = import_action(&world, 2, &world.base);
    let event = world.done_through_a_crash(&world.task(), &action).await;
    assert!(matches!(&event, Event::Imported { facts, .. } if facts.empty), "{event:?}");
}

#[tokio::test]
async fn a_second_round_goes_on_from_the_first() {
    let world = World::new();
    fetched(&world).await;
    let first = imported(&world, 1, "one\n").await;
    let store = world.path().join("mirror/work.git");
    world.git(&world.inside(), &["fetch", "-q", store.to_str().unwrap(), first.commit.as_str()]);
    world.git(&world.inside(), &["checkout", "-q", "-f", first.commit.as_str()]);
    world.write("Makefile", "test:\n");
    world.commit("more");
    world.git(&world.inside(), &["branch", "-f", "out"]);
    world.bundle(&World::run(2).0, "work.bundle", &["out"], &first.commit);
    let action = import_action(&world, 2, &first.commit);
    let event = world.done_through_a_crash(&world.task(), &action).await;
    let Event::Imported { facts, .. } = event else { panic!("{event:?}") };
    assert_eq!(facts.base, world.base);
    assert!(facts.diffstat.starts_with("2 files"), "{}", facts.diffstat);
    assert_eq!(facts.check_definitions, ["Makefile"]);
}

#[tokio::test]
async fn checkpoints_and_rescues_are_saved_and_found() {
    let world = World::new();
    fetched(&world).await;
    world.write("work", "half\n");
    let half = world.commit("half");
    world.git(&world.inside(), &["update-ref", "refs/rescue/snapshot", "HEAD"]);
    world.git(&world.inside(), &["update-ref", "refs/rescue/heads/feature", "HEAD"]);
    let (run, epoch) = World::run(1);
    world.bundle(&run, "checkpoint.bundle", &["refs/rescue/snapshot"], &world.base);
    let checkpoint =
        LandAction::SaveCheckpoint { run: run.clone(), epoch, number: 1, onto: world.base.clone() };
    let event = world.perform(&world.task(), &checkpoint).await;
    assert_eq!(world.perform(&world.task(), &checkpoint).await, event);
    let reference = "refs/midwatch/checkpoint/fix/1".to_owned();
    assert_eq!(event, Event::Checkpointed { epoch, reference: reference.clone() });

    let (by, _) = World::run(9);
    let rescue = LandAction::SaveRescue { run, epoch, by: by.clone(), base: world.base.clone() };
    // Nothing differed: the checkpoint is what there is.
    let event = world.perform(&world.task(), &rescue).await;
    assert_eq!(event, Event::Rescued { epoch, reference: Some(reference), snapshot: None });
    let refs = ["refs/rescue/snapshot", "refs/rescue/heads/feature"];
    world.bundle(&by, "rescue.bundle", &refs, &world.base);
    let event = world.done_through_a_crash(&world.task(), &rescue).await;
    let reference = Some("refs/midwatch/rescue/fix/1/snapshot".to_owned());
    assert_eq!(event, Event::Rescued { epoch, reference, snapshot: Some(half.clone()) });
    assert!(world.path().join("mirror/packs").join(half.as_str()).is_dir());
}

#[tokio::test]
async fn failures_are_events_with_a_reason() {
    let world = World::new();
    let missing = CommitId::parse(&"a".repeat(40)).unwrap();
    let event = world.perform(&world.task(), &LandAction::Fetch { commit: missing }).await;
    assert_eq!(failure(&event).0, FailReason::Internal);
    let fetch = LandAction::Fetch { commit: world.base.clone() };
    let event = world.perform(&world.task_named("unknown"), &fetch).await;
    assert_eq!(failure(&event).1, "the repository is gone");

    fetched(&world).await;
    let facts = imported(&world, 1, "one\n").await;
    // The protected, the taken, the one in the way.
    world.set_protected("midwatch/fix");
    let event = world.perform(&world.task(), &publish(&world, &facts.commit, false)).await;
    assert_eq!(failure(&event).0, FailReason::PushRejected);
    let other = world.task_named("other");
    let event = world.perform(&other, &publish(&world, &facts.commit, false)).await;
    assert!(failure(&event).1.contains("was not imported for this task"));
}
