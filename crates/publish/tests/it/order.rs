//! What is known before a task exists.

use midwatch_core::id::{BranchName, TaskName};
use midwatch_publish::order::{OrderError, Origin, find};
use midwatch_publish::{Git, UrlRules, self_test};

use crate::world::World;

#[test]
fn a_repository_and_its_base_are_found() {
    let world = World::new();
    let git = Git::find().unwrap();
    let rules = UrlRules::default();
    let ordered = find(&git, &world.repo(), None, rules).unwrap();
    assert_eq!(
        (ordered.base.clone(), ordered.head_branch.as_deref()),
        (world.base.clone(), Some("main"))
    );
    assert_eq!(ordered.origin, Origin::None);
    assert!(ordered.tree().files().unwrap().contains("README"));
    assert_eq!(ordered.tree().read("README", 100).unwrap().as_deref(), Some("hello\n"));
    assert_eq!(ordered.tree().read("none", 100).unwrap(), None);
    assert_eq!(ordered.tree().read("README", 2).unwrap(), None);

    // The clone knows its origin: a repository of this machine.
    let clone = find(&git, &world.inside(), None, rules).unwrap();
    assert_eq!(clone.origin, Origin::Local(world.repo().canonicalize().unwrap()));
    for (url, fits) in [
        ("https://h.example/o/r.git", true),
        ("git@h.example:o/r.git", true),
        ("https://u:s3cr3t@h.example/o/r.git", false),
        ("ext::sh -c id", false),
        ("/no/such/place", false),
    ] {
        world.git(&world.inside(), &["remote", "set-url", "origin", url]);
        let origin = find(&git, &world.inside(), None, rules).unwrap().origin;
        match origin {
            Origin::Url(_) => assert!(fits, "{url}"),
            Origin::Unfit(error) => {
                assert!(!fits && !error.to_string().contains("s3cr3t"), "{error}");
            }
            other => panic!("{url}: {other:?}"),
        }
    }
    let error = find(&git, &world.repo(), Some("deadbee"), rules).unwrap_err();
    assert!(matches!(error, OrderError::Input(_)), "{error}");
    let error = find(&git, std::path::Path::new("/proc"), None, rules).unwrap_err();
    assert!(matches!(error, OrderError::Repository(_)), "{error}");
}

#[test]
fn a_branch_that_is_not_ours_is_refused_before_anything_begins() {
    let world = World::new();
    let ordered = find(&Git::find().unwrap(), &world.repo(), None, UrlRules::default()).unwrap();
    let name = |text: &str| BranchName::parse(text).unwrap();
    let main = [name("main")];
    ordered.check_branch(&name("midwatch/fix"), &main).unwrap();
    world.git(&world.repo(), &["branch", "taken"]);
    for (branch, says) in [
        // Nobody is told to remove the base.
        ("main", "is the base or a protected branch"),
        ("taken", "with --branch, or `git branch -D taken` where nobody needs it"),
        ("taken/x", "existing branch taken"),
    ] {
        let error = ordered.check_branch(&name(branch), &main).unwrap_err().to_string();
        assert!(error.contains(says), "{branch}: {error}");
    }
    let error = ordered.check_branch(&name("release"), &[name("release")]).unwrap_err();
    assert!(error.to_string().contains("protected"), "{error}");
}

#[tokio::test]
async fn uncommitted_work_becomes_the_base_and_is_never_pushed() {
    use midwatch_core::event::{Event, LandAction};
    let mut world = World::new();
    std::fs::write(world.repo().join("README"), "changed\n").unwrap();
    let git = Git::find().unwrap();
    let mut ordered = find(&git, &world.repo(), None, UrlRules::default()).unwrap();
    assert_eq!(ordered.dirty(None).unwrap().len(), 1);
    let mirror = world.path().join("mirror");
    let task = TaskName::parse("fix").unwrap();
    let taken = ordered.include_dirty(&mirror, &task, None, 1_700_000_000).unwrap();
    assert_eq!((&taken.commit, &taken.head), (&ordered.base, &world.base));
    assert_ne!(taken.commit, taken.head);
    world.base = taken.commit.clone();
    let fetch = LandAction::Fetch { commit: taken.commit.clone() };
    let event = world.perform(&world.task(), &fetch).await;
    assert!(matches!(event, Event::Fetched { .. }), "{event:?}");

    // Work on top of it lands in the user's repository, base and all.
    let store = world.path().join("mirror/work.git");
    world.git(&world.inside(), &["fetch", "-q", store.to_str().unwrap(), taken.commit.as_str()]);
    world.git(&world.inside(), &["checkout", "-q", "-f", taken.commit.as_str()]);
    world.write("work", "w\n");
    world.commit("work");
    world.git(&world.inside(), &["branch", "out"]);
    let (run, epoch) = World::run(1);
    world.bundle(&run, "work.bundle", &["out"], &taken.commit);
    let base = taken.commit.clone();
    let import = LandAction::Import { run, epoch, onto: base.clone(), base: base.clone() };
    let Event::Imported { facts, .. } = world.done_through_a_crash(&world.task(), &import).await
    else {
        panic!("not imported")
    };
    let branch = BranchName::parse("midwatch/fix").unwrap();
    let push = LandAction::Publish {
        commit: facts.commit.clone(),
        base: base.clone(),
        branch: branch.clone(),
        push: true,
    };
    let event = world.perform(&world.task(), &push).await;
    assert!(
        matches!(&event, Event::LandFailed { detail, .. } if detail.contains("uncommitted")),
        "{event:?}"
    );
    let leave = LandAction::Publish { commit: facts.commit.clone(), base, branch, push: false };
    world.done_through_a_crash(&world.task(), &leave).await;
    assert_eq!(world.git(&world.repo(), &["show", "midwatch/fix:README"]), "changed");
    assert_eq!(world.git(&world.repo(), &["status", "--porcelain"]), "M README");

    let view = world.view();
    assert!(view.stat(&taken.commit, &facts.commit).unwrap().contains("work"));
    assert!(
        String::from_utf8(view.patch(&taken.commit, &facts.commit).unwrap())
            .unwrap()
            .contains("+w")
    );
    let folder = world.path().join("opened");
    let commit = view.commit("refs/midwatch/import/fix/1").unwrap();
    view.worktree(&commit, &task, &folder, None).unwrap();
    assert_eq!(std::fs::read_to_string(folder.join("README")).unwrap(), "changed\n");
}

#[test]
fn the_self_test_passes_on_this_machine() {
    let dir = tempfile::tempdir().unwrap();
    self_test(&Git::find().unwrap(), dir.path()).unwrap();
}
