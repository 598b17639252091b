//! What cannot work is said in seconds, before the agent starts.

use midwatch_runner::inside_order::Job;

use super::world::{World, as_ordinary_user, sh};

fn failure(
    world: &World,
    change: impl FnOnce(&mut midwatch_runner::inside_order::AgentJob),
) -> String {
    let mut job = world.job("echo ran > ../ran");
    change(&mut job);
    assert_eq!(world.carry_out(Job::Agent(job)), 198);
    assert!(!world.folder.path().join("ran").exists(), "the agent was started all the same");
    world.out_text("self-test.json")
}

#[test]
fn folders_that_cannot_be_written_are_named() {
    if !as_ordinary_user("inside::self_test::folders_that_cannot_be_written_are_named") {
        return;
    }
    for (folder, what) in
        [("home", "home"), ("home/.config", "config"), ("tmp", "temp"), ("workspace", "workspace")]
    {
        let world = World::new();
        sh(world.folder.path(), &format!("mkdir -p {folder}; chmod 555 {folder}"));
        let told = failure(&world, |_| {});
        assert!(told.contains(&format!(r#""what":"{what}""#)), "{folder}: {told}");
        sh(world.folder.path(), &format!("chmod 755 {folder}"));
    }
}

#[test]
fn a_broken_repository_a_broken_agent_and_a_dead_endpoint_are_named() {
    let world = World::new();
    let told = failure(&world, |job| {
        job.version_args = ["-c", "echo bad >&2; exit 3"].map(str::to_owned).to_vec();
    });
    assert!(told.contains(r#""what":"agent""#) && told.contains("code 3: bad"), "{told}");
    let told = failure(&world, |job| {
        job.endpoint = Some("http://127.0.0.1:1".to_owned());
    });
    assert!(told.contains(r#""what":"endpoint""#), "{told}");
    sh(&world.places.workspace, "rm .git/HEAD");
    let told = failure(&world, |_| {});
    assert!(told.contains(r#""what":"git""#), "{told}");
}

#[test]
fn hooks_of_the_base_do_not_run_in_the_self_test() {
    let world = World::new();
    let hook = "printf '#!/bin/sh\\necho ran > ../mark\\n' > .git/monitor; chmod +x .git/monitor; \
        git config core.fsmonitor \"$PWD/.git/monitor\"";
    sh(&world.places.workspace, hook);
    let mut job = world.job("true");
    job.version_args = ["-c", "true"].map(str::to_owned).to_vec();
    world.run(job);
    assert!(!world.folder.path().join("mark").exists());
    sh(&world.places.workspace, "git status > /dev/null");
    assert!(world.folder.path().join("mark").exists(), "control: plain git runs it");
}
