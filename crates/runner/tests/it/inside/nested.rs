//! Histories of repositories inside the workspace: what the agent made there is told, what it
//! fetched is not.

use midwatch_runner::inside_order::Job;

use super::world::World;

/// Makes a repository with one commit.
const MADE: &str = "mkdir made; git -C made init -q; echo m > made/m; git -C made add -A; \
    git -C made commit -q -m m";

#[test]
fn commits_of_a_nested_repository_are_told_with_their_place() {
    let world = World::new();
    let claim = world.agent(MADE);
    assert_eq!(claim.left_out, [".git/midwatch-set-aside/0-made.git"]);
    assert_eq!(world.imported().text("made/m"), "m\n", "its files are saved as ever");
    let kept = world.at(".git/midwatch-set-aside/0-made.git");
    let subject = super::world::line(&kept, "git --git-dir . log --format=%s");
    assert_eq!(subject, "m", "whoever takes it has all of it");
}

#[test]
fn what_nobody_committed_there_or_what_was_fetched_is_not_told() {
    let world = World::new();
    let fetched = "git init -q bare; git clone -q --no-local ../upstream clone; \
        git clone -q --depth 1 file://$PWD/../upstream shallow; \
        git -C clone tag -a -m t t; git -C clone switch -q -c other HEAD~1; git clone -q . self; \
        echo x > clone/x; git -C clone add x";
    let claim = world.agent(fetched);
    assert_eq!(claim.set_aside.len(), 4, "{claim:?}");
    assert_eq!(claim.left_out, [""; 0], "{claim:?}");
    // The controls: one commit in each, on a branch, in a stash, or in a reflog alone.
    let own = "git -C bare commit -q --allow-empty -m m; echo y > clone/README.md; \
        git -C clone stash -q; git -C shallow commit -q --allow-empty -m m; \
        git -C self commit -q --allow-empty -m m; git -C self reset -q --hard HEAD~1";
    let claim = World::new().agent(&format!("{fetched}; {own}"));
    assert_eq!(claim.left_out.len(), 4, "{claim:?}");
}

/// No remote branch has them: those of releases often are of commits beside all branches.
#[test]
fn tags_that_a_clone_brought_are_not_told_and_tags_made_there_are() {
    let world = World::new();
    let fetched = "git clone -q ../upstream ../forked; git -C ../forked switch -q --detach; \
        git -C ../forked commit -q --allow-empty -m off; git -C ../forked tag light; \
        git -C ../forked commit -q --allow-empty -m on; git -C ../forked tag -a -m t noted; \
        git -C ../forked switch -q -; for tag in light noted; do \
        git -c advice.detachedHead=false clone -q --depth 1 --branch $tag file://$PWD/../forked \
        at-$tag; done; \
        git clone -q --no-local ../forked tagged; git -C tagged switch -q --detach noted; \
        git -C tagged switch -q -";
    let claim = world.agent(fetched);
    assert_eq!(claim.set_aside.len(), 3, "{claim:?}");
    assert_eq!(claim.left_out, [""; 0], "{claim:?}");
    // The controls: a commit in each, tagged or not; git packs its own tags, too.
    let own = "git -C at-light commit -q --allow-empty -m m; git -C at-noted commit -q \
        --allow-empty -m m; git -C at-noted tag own; git -C at-noted reset -q --hard HEAD~1; \
        git -C tagged switch -q --detach; git -C tagged commit -q --allow-empty -m m; \
        git -C tagged tag -a -m t own; git -C tagged pack-refs --all; git -C tagged switch -q -";
    let claim = World::new().agent(&format!("{fetched}; {own}"));
    assert_eq!(claim.left_out.len(), 3, "{claim:?}");
}

#[test]
fn a_submodule_that_an_agent_made_has_its_history_told() {
    let world = World::new();
    let add = "git -c protocol.file.allow=always submodule --quiet add ../upstream deep/sub";
    assert_eq!(world.agent(add).left_out, [""; 0], "the control: it was fetched");
    let world = World::new();
    let claim = world.agent(&format!("{add}; git -C deep/sub commit -q --allow-empty -m m"));
    assert_eq!(claim.left_out, [".git/modules/deep/sub"], "{claim:?}");
}

#[test]
fn a_broken_or_strange_nested_repository_is_told_rather_than_lost() {
    for breaks in [
        // Its tree is gone, its commit is not.
        "rm made/.git/objects/$(git -C made rev-parse HEAD: | sed s,..,\\&/,)",
        "echo rubbish > made/.git/objects/pack/pack-x.pack",
        "chmod 000 made/.git/refs made/.git/objects",
        "echo '[core]\n\tbare = maybe' > made/.git/config",
        "rm -rf made; mkdir made; git -C made init -q --object-format=sha256; \
         git -C made commit -q --allow-empty -m m",
        "mv made 'made\n; x'",
    ] {
        let claim = World::new().agent(&format!("{MADE}; {breaks}"));
        assert_eq!(claim.set_aside.len(), 1, "{breaks}: {claim:?}");
        assert_eq!(claim.left_out.len(), 1, "{breaks}: {claim:?}");
    }
    // The control: where no object is left, there is nothing to keep.
    let claim = World::new().agent(&format!("{MADE}; rm made/.git/objects/*/*"));
    assert_eq!(claim.left_out, [""; 0], "{claim:?}");
}

#[test]
fn a_program_that_a_nested_repository_names_is_not_started() {
    let world = World::new();
    let script = format!(
        "{MADE}; printf '#!/bin/sh\\ntouch %s/../started\\n' \"$PWD\" > ../program; \
         chmod +x ../program; for name in core.fsmonitor core.pager gpg.program diff.external; do \
         git -C made config $name \"$PWD/../program\"; done; \
         git -C made status > ../status; test -e ../started; rm ../started"
    );
    // The control is in the script: git in that repository starts it.
    assert_eq!(world.agent(&script).left_out.len(), 1);
    assert!(!world.folder.path().join("started").exists());
}

#[test]
fn a_rescue_tells_what_a_run_before_it_had_set_aside() {
    let world = World::new();
    world.agent(MADE);
    let job = Job::Rescue { base: world.base.clone(), commit: None, exclude: Vec::new() };
    assert_eq!(world.carry_out(job), 0);
    assert_eq!(world.claim().left_out, [".git/midwatch-set-aside/0-made.git"]);
}
