//! What others script against: lines, names, attaching, detaching, signals, exit codes.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::house::{House, Told, told, until, wait};

mod hints;
mod keys;
mod lines;
mod signals;
mod surroundings;

const FILES: [(&str, &str); 1] = [("README", "x\n")];
const CHECK: [&str; 2] = ["--check", "test -e README"];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&CHECK[..], more].concat()
}

#[test]
fn every_line_has_its_keys_and_the_last_is_the_result() {
    let house = House::new();
    let repository = house.repository("repo", &FILES);
    let ran = house.run(&repository, "do: append README more", &CHECK);
    ran.is_done();
    let task = ran.task();
    let mut last = 0;
    for line in &ran.lines {
        assert!(line["type"].is_string() && line["version"] == 1, "{line}");
        assert_eq!(line["task"].as_str(), Some(task), "{line}");
        let seq = line["seq"].as_u64().unwrap_or_else(|| panic!("no seq in {line}"));
        assert!(seq >= last, "{line} after {last}");
        last = seq;
    }
    let check = &ran.result["checks"][0];
    assert_eq!((&check["command"], &check["outcome"]), (&CHECK[1].into(), &"Pass".into()));
    assert_eq!((&check["exitCode"], &check["testsExecuted"]), (&0.into(), &Value::Null));
    assert!(check["durationMs"].is_u64());
    assert!(Path::new(ran.result["transcript"].as_str().unwrap()).is_dir());
    for what in ["repository", "agent", "login", "check", "network"] {
        assert!(!ran.found(what).is_empty(), "{what} was not said: {}", ran.stderr);
    }
    // Whoever asks later is told the same.
    for arguments in [&["wait", task][..], &["logs", "-f", task], &["get", task]] {
        let later = house.midwatch(&repository, arguments);
        assert_eq!((&later.result, later.code), (&ran.result, ran.code), "{arguments:?}");
    }
    let followed = house.midwatch(&repository, &["logs", "-f", task]);
    assert!(followed.of("check").len() == 2, "the log is told from its beginning");
}

#[test]
fn the_same_name_attaches_to_the_same_order_only() {
    let house = House::new();
    let repository = house.repository("repo", &FILES);
    let run = |goal, more: &[&str]| house.run(&repository, goal, &with(more));
    let goal = "do: append README more";
    let first = run(goal, &["--name", "mine"]);
    first.is_done();
    let again = run(goal, &["--name", "mine"]);
    again.is_done();
    assert_eq!(again.result, first.result);
    assert_eq!(house.git(&repository, &["branch", "--list", "midwatch/*"]), "  midwatch/mine");
    for (goal, more) in [
        ("do: append README else", &["--name", "mine"][..]),
        (goal, &["--name", "mine", "--known-failures"]),
    ] {
        let other = run(goal, more);
        assert_eq!((other.code, &other.result["reason"]), (Some(2), &"InvalidInput".into()));
        assert!(other.stderr.contains("another order"), "{}", other.stderr);
    }
    // Without a name two tasks are two.
    let (a, b) = (run(goal, &[]), run(goal, &[]));
    assert_ne!(a.is_done().task(), b.is_done().task());
}

#[test]
fn a_detached_task_is_named_and_goes_on() {
    let house = House::new();
    let repository = house.repository("repo", &FILES);
    let profile = house.scripted(", egress: none");
    let program = env!("CARGO_BIN_EXE_midwatch");
    let mut command = house.command(program, &repository);
    command.args(["run", "do: append README more", "--pipeline", "quick", "--detach"]);
    let output = command.args(CHECK).arg("--profile").arg(profile).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let name = String::from_utf8(output.stdout).unwrap();
    let name = name.strip_suffix('\n').unwrap();
    assert!(!name.contains(char::is_whitespace), "the name and nothing else: {name}");
    house.midwatch(&repository, &["wait", name]).is_done();
}

#[test]
fn a_long_goal_comes_by_standard_input() {
    let house = House::new();
    let repository = house.repository("repo", &FILES);
    let profile = house.scripted(", egress: none");
    let program = env!("CARGO_BIN_EXE_midwatch");
    let mut command = house.command(program, &repository);
    command.args(["run", "--goal-file", "-", "--pipeline", "quick", "--output", "json"]);
    command.args(CHECK).arg("--profile").arg(profile);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let goal = format!("do: append README more\n{}", "words ".repeat(35_000));
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, goal.as_bytes()).unwrap();
    drop(stdin);
    told(wait(child)).is_done();
}

/// Waits until a run of a kind is open.
fn open_run(house: &House, repository: &Path, task: &str, kind: &str) {
    let open = until(Duration::from_mins(1), || {
        let told = house.midwatch(repository, &["get", task]);
        let runs = told.lines.first().and_then(|line| line["runs"].as_array()).cloned();
        runs.into_iter().flatten().any(|run| run["kind"] == kind && run["open"] == true)
    });
    assert!(open, "no open {kind} run of {task}");
}

/// Waits until a file that the agent writes is in its workspace.
fn written(house: &House, task: &str, name: &str) {
    let runs = house.state().join("runs");
    let there = || {
        let mut found = Command::new("find");
        let found = found.arg(&runs).args(["-name", name, "-path", &format!("*{task}*")]);
        !found.output().unwrap().stdout.is_empty()
    };
    assert!(until(Duration::from_mins(1), there), "{name} was not written");
}

fn interrupt(child: &std::process::Child) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
}

fn start(house: &House, repository: &Path, task: &str, goal: &str) -> std::process::Child {
    let profile = house.scripted(", egress: none");
    let first = ["run", goal, "--name", task, "--pipeline", "quick", "--profile"];
    let words = [&first[..], &[profile.to_str().unwrap()], &CHECK].concat();
    let child = house.start(repository, &words);
    open_run(house, repository, task, "Agent");
    child
}

#[test]
fn the_first_interrupt_stops_and_saves() {
    let house = House::new();
    let repository = house.repository("repo", &FILES);
    let child = start(&house, &repository, "stopped", "do: write saved.txt kept\ndo: hang");
    written(&house, "stopped", "saved.txt");
    interrupt(&child);
    let ended = told(wait(child));
    ended.is("Cancelled", None, 130);
    let reference = ended.result["rescueRef"].as_str().expect("the work is saved");
    assert!(ended.stderr.contains("Ctrl-C again kills"), "{}", ended.stderr);
    let agent = |line: &&Value| {
        line["type"] == "runEnded" && line["run"].as_str().unwrap().contains("implement")
    };
    let agent = ended.lines.iter().find(agent).expect("the agent's run ended");
    assert_eq!((&agent["ok"], &agent["stopped"]), (&false.into(), &true.into()), "{agent}");
    let mut command = house.command(env!("CARGO_BIN_EXE_midwatch"), &repository);
    let followed = command.args(["logs", "-f", "stopped"]).output().unwrap();
    let said = String::from_utf8(followed.stderr).unwrap();
    assert!(said.contains("was stopped") && !said.contains("Internal"), "{said}");
    let opened = house.midwatch(&repository, &["open", "stopped"]);
    assert_eq!(opened.code, Some(0), "{}", opened.stderr);
    let line = opened.of("opened")[0];
    assert_eq!(line["from"].as_str(), Some(reference));
    let saved = Path::new(line["folder"].as_str().unwrap()).join("saved.txt");
    assert_eq!(std::fs::read_to_string(saved).unwrap(), "kept\n");
    let again = house.midwatch(&repository, &["open", "stopped"]);
    assert_eq!(again.code, Some(2), "a folder that is there is not touched");
}

#[test]
fn the_second_interrupt_kills_and_says_what_is_left() {
    let house = House::new();
    let repository = house.repository("repo", &FILES);
    let goal = "do: ignore-term\ndo: write saved.txt kept\ndo: hang";
    let child = start(&house, &repository, "killed", goal);
    written(&house, "killed", "saved.txt");
    interrupt(&child);
    let task = || house.midwatch(&repository, &["get", "killed"]);
    // The first was heard when the runner has its word.
    let stop = house.state().join("runs");
    let told_to_stop = || {
        let mut found = Command::new("find");
        let found = found.arg(&stop).args(["-name", "stop", "-path", "*killed-implement*"]);
        !found.output().unwrap().stdout.is_empty()
    };
    assert!(until(Duration::from_secs(30), told_to_stop));
    interrupt(&child);
    let ended = told(wait(child));
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    assert!(ended.stderr.contains("left:") && ended.stderr.contains("midwatch open killed"));
    assert_eq!(ended.result["task"], "killed");
    house.midwatch(&repository, &["wait", "killed"]).is("Cancelled", None, 130);
    let saved: Told = task();
    assert!(saved.result["rescueRef"].is_string(), "{}", saved.result);
}

#[test]
fn a_closed_terminal_stops_nothing() {
    let house = House::new();
    let repository = house.repository("repo", &FILES);
    let gate = "do: append README more\ndo: wait /workspace/go";
    let mut child = start(&house, &repository, "orphan", &format!("{gate}\ndo: run rm go"));
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    child.wait().unwrap();
    open_run(&house, &repository, "orphan", "Agent");
    house.midwatch(&repository, &["cancel", "orphan"]);
    house.midwatch(&repository, &["wait", "orphan"]).is("Cancelled", None, 130);
}

#[test]
fn retry_is_a_new_task_with_the_same_order() {
    let house = House::new();
    let repository = house.repository("repo", &FILES);
    let first = house.run(&repository, "do: say nothing", &with(&["--name", "again"]));
    assert_eq!(first.code, Some(3), "{}", first.result);
    for (of, name) in [("again", "again-r2"), ("again-r2", "again-r3")] {
        let retried = house.midwatch(&repository, &["retry", of]);
        assert_eq!((retried.code, retried.task()), (Some(0), name), "{}", retried.stderr);
        let ended = house.midwatch(&repository, &["wait", name]);
        assert_eq!((ended.code, &ended.result["base"]), (Some(3), &first.result["base"]));
    }
}

#[test]
fn uncommitted_work_is_taken_along_or_left_where_it_is() {
    let house = House::new();
    let repository = house.repository("repo", &FILES);
    std::fs::write(repository.join("new.txt"), "mine\n").unwrap();
    std::fs::write(repository.join("README"), "changed\n").unwrap();
    let status = || house.git(&repository, &["status", "--porcelain"]);
    let before = status();
    let left = house.run(&repository, "do: append README more", &CHECK);
    left.is_done();
    assert!(left.found("uncommitted").contains("stay behind"), "{}", left.stderr);
    let branch = left.result["branch"].as_str().unwrap();
    assert_eq!(house.git(&repository, &["show", &format!("{branch}:README")]), "x\nmore");

    let taken = house.run(
        &repository,
        "do: append README more",
        &with(&["--include-dirty", "--name", "dirty"]),
    );
    taken.is_done();
    assert_eq!(house.git(&repository, &["show", "midwatch/dirty:README"]), "changed\nmore");
    assert_eq!(house.git(&repository, &["show", "midwatch/dirty:new.txt"]), "mine");
    assert_ne!(taken.result["base"], left.result["base"]);
    let again = house.run(
        &repository,
        "do: append README more",
        &with(&["--include-dirty", "--name", "dirty"]),
    );
    assert_eq!(again.result, taken.result, "the same work is the same base");
    assert_eq!(status(), before, "the checkout is as it was");
}

#[test]
fn a_verified_branch_is_pushed_to_origin() {
    let house = House::new();
    let origin = house.folder("origin.git");
    house.git(&origin, &["init", "-q", "--bare", "-b", "main"]);
    let repository = house.repository("repo", &FILES);
    house.git(&repository, &["remote", "add", "origin", origin.to_str().unwrap()]);
    house.git(&repository, &["push", "-q", "origin", "main"]);
    let pushed =
        house.run(&repository, "do: append README more", &with(&["--push", "--branch", "fix/it"]));
    pushed.is_done();
    assert_eq!(pushed.result["branch"], "fix/it");
    let there = house.git(&origin, &["rev-parse", "fix/it"]);
    assert_eq!(pushed.result["commit"].as_str(), Some(there.as_str()));
}

#[test]
fn the_reference_page_is_what_the_program_says() {
    let house = House::new();
    let program = env!("CARGO_BIN_EXE_midwatch");
    let output = house.command(program, Path::new("/")).arg("reference").output().unwrap();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/cli.md");
    let kept = std::fs::read_to_string(&page).unwrap_or_default();
    let made = String::from_utf8(output.stdout).unwrap();
    assert!(kept == made, "docs/reference/cli.md is out of date: cargo xtask gen --cli");
    for word in ["--goal-file", "--accept-missing", "midwatch doctor", "Exit codes"] {
        assert!(made.contains(word), "{word}");
    }
}
