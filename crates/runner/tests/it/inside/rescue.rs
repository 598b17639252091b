//! Everything that a `.git` still names is saved.

use midwatch_runner::inside_order::Job;

use super::world::{World, line, sh};

fn rescue(world: &World) {
    rescue_on(world, None);
}

fn rescue_on(world: &World, commit: Option<String>) {
    let exclude = vec!["node_modules".to_owned()];
    let job = Job::Rescue { base: world.base.clone(), commit, exclude };
    assert_eq!(world.carry_out(job), 0, "{:?}", world.claim());
}

#[test]
fn heads_stashes_and_forgotten_commits_are_saved_with_the_tree() {
    let world = World::new();
    sh(
        &world.places.workspace,
        "git switch -q -c feature/login; echo l > l; git add l; git commit -q -m login; \
         echo s > s; git add s; git stash -q; echo t >> README.md; git stash -q; \
         git switch -q --detach HEAD~1; echo lost > lost; git add lost; git commit -q -m lost; \
         git reset -q --hard HEAD~1; git tag mark feature/login; \
         echo w > w; mkdir node_modules build; echo d > node_modules/d; echo o > build/o",
    );
    rescue(&world);
    let imported = world.import("rescue.bundle");
    let names: Vec<&String> = imported.refs.keys().collect();
    assert_eq!(names[..2], ["refs/rescue/heads/feature-login", "refs/rescue/heads/tags-mark"]);
    let id = |name: &str| imported.refs.get(name).unwrap_or_else(|| panic!("{name}: {names:?}"));
    assert_eq!(imported.text_of(id("refs/rescue/heads/feature-login"), "l"), "l\n");
    assert!(imported.text_of(id("refs/rescue/stash/0"), "README.md").ends_with("t\n"));
    assert_eq!(imported.text_of(id("refs/rescue/stash/1"), "s"), "s\n");
    assert_eq!(imported.text_of(id("refs/rescue/snapshot"), "w"), "w\n");
    assert!(
        !imported.files_of(id("refs/rescue/snapshot")).iter().any(|f| f.contains("node_modules"))
    );
    let lost = imported.refs.iter().any(|(name, id)| {
        name.starts_with("refs/rescue/reflog/")
            && imported.files_of(id).contains(&"lost".to_owned())
    });
    assert!(lost, "{names:?}");
    assert_eq!(world.out_text("ignored.jsonl"), "\"build/o\"\n");
    assert_eq!((world.claim().notes, world.claim().error), (vec![], None));
}

#[test]
fn commits_of_a_linked_worktree_are_saved() {
    let world = World::new();
    sh(
        &world.places.workspace,
        "git worktree add -q --detach ../linked; cd ../linked; \
         echo lost > lost; git add lost; git commit -q -m lost; git reset -q --hard HEAD~1; \
         echo there > there; git add there; git commit -q -m there",
    );
    rescue(&world);
    let imported = world.import("rescue.bundle");
    let names: Vec<&String> = imported.refs.keys().collect();
    assert_eq!(names, ["refs/rescue/heads/worktrees-linked", "refs/rescue/reflog/0"]);
    let text = |name: &str, file: &str| imported.text_of(&imported.refs[name], file);
    assert_eq!(text("refs/rescue/heads/worktrees-linked", "there"), "there\n");
    assert_eq!(text("refs/rescue/reflog/0", "lost"), "lost\n");
}

#[test]
fn broken_refs_are_skipped_and_told() {
    let world = World::new();
    sh(
        &world.places.workspace,
        "echo a > a; git add a; git commit -q -m a; git branch good; \
         echo nonsense > .git/refs/heads/bad; printf '%040d\\n' 7 > .git/refs/heads/gone; \
         printf '[alias\\n' > .git/config",
    );
    rescue(&world);
    let told = world.claim().notes.join("; ");
    assert!(told.contains("refs/heads/bad") && told.contains("refs/heads/gone"), "{told}");
    let imported = world.import("rescue.bundle");
    assert_eq!(imported.text_of(imported.refs.get("refs/rescue/heads/good").unwrap(), "a"), "a\n");
}

#[test]
fn an_untouched_workspace_gives_no_bundle() {
    let world = World::new();
    rescue(&world);
    assert_eq!(world.claim().head, None);
    assert!(!world.places.out.join("rescue.bundle").exists());
}

#[test]
fn a_workspace_without_git_gives_the_tree() {
    let world = World::new();
    sh(&world.places.workspace, "rm -rf .git; echo a > a");
    rescue(&world);
    let imported = world.import("rescue.bundle");
    assert_eq!(imported.refs.keys().collect::<Vec<_>>(), ["refs/rescue/snapshot"]);
    assert_eq!(imported.text("a"), "a\n");
}

#[test]
fn a_new_repository_in_the_place_of_ours_gives_its_commits_too() {
    let world = World::new();
    sh(
        &world.places.workspace,
        "rm -rf .git; git init -q -b other; echo a > a; git add a; git commit -q -m mine; echo b > b",
    );
    let own = line(&world.places.workspace, "git rev-parse HEAD");
    rescue(&world);
    let imported = world.import("rescue.bundle");
    assert_eq!(imported.refs.get("refs/rescue/heads/other"), Some(&own));
    assert_eq!(imported.text_of(imported.refs.get("refs/rescue/snapshot").unwrap(), "b"), "b\n");
}

/// Whoever goes on from the snapshot of a repair has to descend from what is being repaired.
#[test]
fn a_snapshot_stands_on_the_commit_that_the_agent_began_with() {
    let world = World::new();
    let folder = &world.places.workspace;
    sh(folder, "echo 1 > a; git add a; git commit -q -m first; echo 2 > b");
    let began = line(folder, "git rev-parse HEAD");
    rescue_on(&world, Some(began.clone()));
    let header = header(&world);
    assert!(header.contains(&format!("\n-{began}")), "{header}");
    assert!(header.contains("refs/rescue/snapshot"), "{header}");

    // The agent went elsewhere: it still began there.
    sh(folder, "git checkout -q --detach HEAD~1");
    rescue_on(&world, Some(began.clone()));
    assert!(self::header(&world).contains(&format!("\n-{began}")));

    // Without it the base is all there is to stand on.
    rescue(&world);
    assert!(self::header(&world).contains(&format!("\n-{}", world.base)));
}

/// A checkout that was cut off half way is no work of the agent's to go on from.
#[test]
fn half_a_checkout_is_kept_under_another_name() {
    let world = World::new();
    let folder = &world.places.workspace;
    sh(folder, "git commit -q --allow-empty -m first; git rev-parse HEAD > ../began");
    let began = line(folder, "cat ../began");
    sh(folder, "git reset -q --hard HEAD~1; rm -rf .git/logs; echo half > half");
    rescue_on(&world, Some(began));
    let header = header(&world);
    assert!(header.contains("refs/rescue/unready"), "{header}");
    assert!(!header.contains("refs/rescue/snapshot"), "{header}");
}

/// What a bundle says of itself before its pack.
fn header(world: &World) -> String {
    let bytes = std::fs::read(world.places.out.join("rescue.bundle")).unwrap();
    let end = bytes.windows(2).position(|two| two == b"\n\n").unwrap();
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// What is beyond our bounds is in the workspace only: it is told, so that it stays there.
#[test]
fn more_stashes_than_are_saved_keep_the_git_folder() {
    let world = World::new();
    let stashes = |number: u32| {
        let script =
            format!("for n in $(seq {number}); do echo $n > README.md; git stash -q; done");
        sh(&world.places.workspace, &script);
    };
    stashes(50);
    rescue(&world);
    assert_eq!(world.claim().left_out, <[String; 0]>::default(), "the control: as many as fit");
    stashes(1);
    rescue(&world);
    assert_eq!(world.claim().left_out, [".git"]);
}
