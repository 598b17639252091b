//! An agent that ends well and leaves commits where nobody lands them: nothing of it is lost.

use std::path::{Path, PathBuf};

use midwatch_api::report::{IDENTITY_FILE, RunnerIdentity};
use rustix::process::{Pid, Signal, kill_process};

use super::gate::Gate;
use super::ground::Ground;

const FEATURE: &str = "git checkout -q -b feature; echo precious > new.txt; git add -A; \
    git commit -q -m work; git checkout -q -";
const STASH: &str = "echo precious > new.txt; git add -A; git stash -q";
const UNTRACKED: &str = "echo precious > new.txt; git stash -q -u";
const WORKTREE: &str = "git worktree add -q --detach $HOME/linked; cd $HOME/linked; \
    echo precious > new.txt; git add -A; git commit -q -m work";
const DETACHED: &str =
    "echo precious > new.txt; git add -A; git commit -q -m work; git checkout -q HEAD~1";

/// The store that holds what was saved.
fn store(ground: &Ground) -> PathBuf {
    let mirrors = std::fs::read_dir(ground.state().root().join("mirrors")).unwrap();
    mirrors.flatten().next().unwrap().path().join("work.git")
}

#[test]
fn commits_that_are_not_on_the_branch_are_saved_and_named() {
    let ground = Ground::new();
    let _server = ground.serve(&[]);
    let begin =
        |name: &str, script: &str| ground.begin(name, &format!("do: run {script}"), "", &[]);
    begin("branch", FEATURE);
    begin("stash", STASH);
    begin("detached", DETACHED);
    begin("untracked", UNTRACKED);
    begin("worktree", WORKTREE);
    begin("both", &format!("{FEATURE}; echo y > landed"));
    // What goes on from a rescue has its files, and neither its stash nor its branches.
    begin(
        "again",
        &format!(
            "true\ndo@implement/1: run {STASH}\ndo@implement/1: exit 7\ndo@implement/2: write landed y"
        ),
    );
    // The controls: nothing at all, and nothing but what lands.
    begin("idle", "true");
    begin("plain", "echo y > landed; git add -A; git commit -q -m work");

    for (task, named, place) in [
        ("branch", "feature", "heads/feature"),
        ("stash", "stash", "stash/0"),
        ("detached", "the reflog", "reflog/0"),
        ("untracked", "stash", "stash/0"),
        ("worktree", "worktrees/linked", "heads/worktrees-linked"),
    ] {
        let told = ground.wait(task);
        told.is("Failed", Some("EmptyDiff"), 3);
        let result = &told.result;
        let detail = result["detail"].as_str().unwrap();
        assert!(detail.contains(&format!("elsewhere ({named})")), "{detail}");
        assert!(!detail.contains("as it was"), "{detail}");
        let saved = result["rescueRef"].as_str().unwrap();
        assert!(saved.starts_with("refs/midwatch/rescue/") && saved.ends_with(place), "{saved}");
        let hint = result["hint"].as_str().unwrap();
        assert!(hint.contains(&format!("`midwatch open {task}`")), "{hint}");
        let notes = result["notes"].to_string();
        assert!(notes.contains("not on the branch") && notes.contains(named), "{notes}");
        let opened = ground.midwatch(&["open", task]);
        assert_eq!(opened.code, Some(0), "{}", opened.stderr);
        let folder = opened.of("opened")[0]["folder"].as_str().unwrap().to_owned();
        let file = std::fs::read_to_string(Path::new(&folder).join("new.txt")).unwrap();
        assert_eq!(file, "precious\n");
        let diff = ground.midwatch(&["diff", task]);
        assert!(diff.stdout.contains("+precious"), "{}{}", diff.stdout, diff.stderr);
    }

    let both = ground.wait("both");
    both.is_done();
    assert_eq!(ground.on_branch("midwatch/both", "landed"), "y");
    assert_eq!(ground.on_branch("midwatch/both", "new.txt"), "", "nobody guesses");
    let notes = both.result["notes"].to_string();
    let place = notes.split("saved under ").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let file = format!("{place}heads/feature:new.txt");
    assert_eq!(ground.house.git(&store(&ground), &["show", &file]), "precious");

    let again = ground.wait("again");
    again.is_done();
    let notes = again.result["notes"].to_string();
    assert!(notes.contains("not on the branch (stash) are saved under"), "{notes}");

    let idle = ground.wait("idle");
    idle.is("Failed", Some("EmptyDiff"), 3);
    assert!(idle.result["detail"].as_str().unwrap().contains("as it was"), "{}", idle.result);
    assert!(idle.result["rescueRef"].is_null(), "{}", idle.result);
    let plain = ground.wait("plain");
    plain.is_done();
    assert!(!plain.result["notes"].to_string().contains("saved under"), "{}", plain.result);
    let began = |task: &str| ground.story(task).of("runStarted").len();
    assert_eq!(began("both"), began("plain") + 1, "one rescue more");
}

/// A run that was killed says nothing of what it left: its rescue does.
#[test]
fn commits_of_a_killed_run_are_named_as_well() {
    let ground = Ground::new();
    let _server = ground.serve(&[]);
    let gate = Gate::new();
    let goal = format!(
        "true\ndo@implement/1: run {STASH}\ndo@implement/1: run {}\n\
         do@implement/2: write landed y",
        gate.command()
    );
    ground.begin("killed", &goal, "", &[]);
    gate.reached();
    let runs = std::fs::read_dir(ground.state().root().join("runs")).unwrap().flatten();
    let mut runs = runs.map(|run| run.path());
    let run = runs.find(|run| run.to_string_lossy().contains("killed-implement")).unwrap();
    let runner: RunnerIdentity =
        serde_json::from_slice(&std::fs::read(run.join(IDENTITY_FILE)).unwrap()).unwrap();
    kill_process(Pid::from_raw(runner.pid).unwrap(), Signal::KILL).unwrap();
    let told = ground.wait("killed");
    told.is_done();
    let notes = told.result["notes"].to_string();
    assert!(notes.contains("not on the branch (stash) are saved under"), "{notes}");
    let place = notes.split("saved under ").nth(1).unwrap().split('"').next().unwrap();
    let file = format!("{place}stash/0:new.txt");
    assert_eq!(ground.house.git(&store(&ground), &["show", &file]), "precious");
}
