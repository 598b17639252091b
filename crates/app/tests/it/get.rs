//! Lists of tasks: each one that waits says why, at which place, and until when.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::house::{House, LIMIT, until, wait};

const CHECK: [&str; 2] = ["--check", "test -f a.txt"];
const MINUTE: Duration = Duration::from_mins(1);

fn repository(house: &House) -> PathBuf {
    house.repository("repo", &[("README", "hello\n"), ("a.txt", "a\n")])
}

fn begin(house: &House, repository: &Path, name: &str, goal: &str) {
    let more = [&CHECK[..], &["--name", name, "--detach"]].concat();
    assert_eq!(house.run(repository, goal, &more).code, Some(0));
}

/// What people read.
fn shown(house: &House, repository: &Path, words: &[&str]) -> String {
    let output = house.command(env!("CARGO_BIN_EXE_midwatch"), repository).args(words).output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

/// What `get` says of why a task waits.
fn waiting(house: &House, repository: &Path, name: &str) -> Value {
    house.midwatch(repository, &["get", name]).lines[0]["waiting"].clone()
}

#[test]
fn queued_tasks_say_why_they_wait_and_at_which_place() {
    let house = House::new();
    let repository = repository(&house);
    assert_eq!(house.midwatch(&repository, &["pause", "--all"]).code, Some(0));
    for name in ["t1", "t2"] {
        begin(&house, &repository, name, "do: write b.txt one");
    }
    let listed = house.midwatch(&repository, &["get"]);
    let places: Vec<(&Value, &Value, &Value)> = listed
        .lines
        .iter()
        .map(|line| &line["waiting"])
        .map(|waiting| (&waiting["reason"], &waiting["position"], &waiting["of"]))
        .collect();
    // The newest is shown first, and waits last.
    let two = Value::from(2);
    assert_eq!(places, [(&"Paused".into(), &two, &two), (&"Paused".into(), &1.into(), &two)]);
    let table = shown(&house, &repository, &["get"]);
    let both = ["Queued      Paused, place 1 of 2", "Queued      Paused, place 2 of 2"];
    assert!(both.iter().all(|place| table.contains(place)), "{table}");
    assert_eq!(house.midwatch(&repository, &["resume", "--all"]).code, Some(0));
    for name in ["t1", "t2"] {
        house.midwatch(&repository, &["wait", name]).is_done();
        assert!(waiting(&house, &repository, name).is_null(), "what is over waits for nothing");
    }
}

#[test]
fn a_task_between_two_attempts_waits_and_says_until_when() {
    let house = House::new();
    let repository = repository(&house);
    begin(&house, &repository, "t", "do@implement/1: exit 7\ndo@implement/2: write b.txt one");
    let mut seen = Value::Null;
    let paused = until(MINUTE, || {
        seen = waiting(&house, &repository, "t");
        !seen.is_null() && seen["reason"] != "Concurrency"
    });
    // Found by what it is shown as.
    let table = shown(&house, &repository, &["get", "--state", "waiting"]);
    let explained = shown(&house, &repository, &["explain", "t"]);
    let described = shown(&house, &repository, &["describe", "t"]);
    assert!(paused, "no pause was seen: {table}");
    assert_eq!((&seen["reason"], &seen["position"]), (&"AgentFailed".into(), &Value::Null));
    assert!(seen["untilMs"].as_i64().is_some_and(|at| at > 1_600_000_000_000), "{seen}");
    assert!(table.contains("Waiting     AgentFailed "), "{table}");
    assert!(described.starts_with("t  Waiting\n"), "{described}");
    assert!(explained.contains("AgentFailed") && explained.contains("goes on at"), "{explained}");
    house.midwatch(&repository, &["wait", "t"]).is_done();
    let found = |states: &str| house.midwatch(&repository, &["get", "--state", states]).lines.len();
    assert_eq!([found("waiting"), found("done")], [0, 1], "what is over waits for nothing");
}

#[test]
fn a_held_task_says_what_it_waits_for() {
    let house = House::new();
    let repository = repository(&house);
    let profile = house.scripted(", egress: none");
    let goal = "do@plan: say the plan\ndo@implement: write b.txt x";
    let profile = profile.to_str().unwrap();
    let first = ["run", goal, "--profile", profile, "--pipeline", "approved-change"];
    let told = house.midwatch(&repository, &[&first[..], &["--name", "t"], &CHECK].concat());
    told.is("Held", Some("Approval"), 5);
    let waits = waiting(&house, &repository, "t");
    assert_eq!((&waits["reason"], &waits["untilMs"]), (&"Approval".into(), &Value::Null));
}

#[test]
fn watching_ends_well_with_an_interrupt() {
    let house = House::new();
    let repository = repository(&house);
    house.run(&repository, "do: write b.txt one", &CHECK).is_done();
    for format in ["json", "text"] {
        let mut command = house.command(env!("CARGO_BIN_EXE_midwatch"), &repository);
        command.args(["get", "--watch", "--output", format]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut first = String::new();
        let mut shown = BufReader::new(child.stdout.take().unwrap());
        shown.read_line(&mut first).unwrap();
        assert!(first.contains("Done"), "{first}");
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        let mut rest = String::new();
        shown.read_to_string(&mut rest).unwrap();
        let ended = wait(child);
        let stderr = String::from_utf8(ended.stderr).unwrap();
        assert_eq!((ended.status.code(), stderr.as_str()), (Some(0), ""), "{format}");
        let last = rest.lines().last().unwrap_or_default();
        assert_eq!(last.contains(r#""type":"result""#), format == "json", "{rest}");
    }
}

#[test]
fn watching_ends_when_nobody_reads_any_more() {
    let house = House::new();
    let repository = repository(&house);
    house.run(&repository, "do: write b.txt one", &CHECK).is_done();
    let mut child = house.start(&repository, &["get", "--watch"]);
    let mut first = String::new();
    let mut shown = BufReader::new(child.stdout.take().unwrap());
    shown.read_line(&mut first).unwrap();
    // The control: it goes on while somebody reads, and shows what changes.
    assert!(first.contains("Done"), "{first}");
    house.run(&repository, "do: write c.txt two", &CHECK).is_done();
    let mut next = String::new();
    shown.read_line(&mut next).unwrap();
    assert!(!next.is_empty() && next != first, "it ended, though it was read");
    drop(shown);
    let mut code = None;
    until(LIMIT, || {
        code = child.try_wait().unwrap().map(|status| status.code());
        code.is_some()
    });
    let _ = child.kill();
    child.wait().unwrap();
    assert_eq!(code, Some(Some(141)));
}
