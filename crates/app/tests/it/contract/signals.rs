//! What ends a command before its task ends: signals, and readers that go away.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::lines::is_whole;
use super::{open_run, start};
use crate::house::{House, told, until, wait};

fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Whether the command listens to a signal, by the mask of caught ones.
fn listens(child: &Child, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
    u64::from_str_radix(mask, 16).unwrap() & (1 << (signal.as_raw() - 1)) != 0
}

fn ready(child: &Child) {
    let ready = until(Duration::from_secs(30), || listens(child, Signal::TERM));
    assert!(ready, "the command never listened");
}

fn cancelled(house: &House, repository: &Path, task: &str) {
    house.midwatch(repository, &["cancel", task]);
    house.midwatch(repository, &["wait", task]).is("Cancelled", None, 130);
}

#[test]
fn a_command_that_is_ended_says_so_and_its_task_goes_on() {
    let house = House::new();
    let repository = house.repository("repo", &[("README", "x\n")]);
    let child = start(&house, &repository, "kept", "do: hang");
    send(&child, Signal::TERM);
    let ended = told(wait(child));
    is_whole(&ended, "SIGTERM");
    assert_eq!((ended.code, ended.task()), (Some(143), "kept"), "{}", ended.stderr);
    assert!(ended.result["reason"].is_null() && ended.result["state"].is_null());
    assert!(ended.stderr.contains("midwatch get kept"), "{}", ended.stderr);
    for (words, signal, code) in [
        (&["wait", "kept"][..], Signal::INT, 130),
        (&["logs", "-f", "kept"], Signal::TERM, 143),
        (&["wait", "kept"], Signal::HUP, 129),
    ] {
        let child = house.start(&repository, words);
        ready(&child);
        send(&child, signal);
        let ended = told(wait(child));
        is_whole(&ended, &format!("{words:?}"));
        assert_eq!((ended.code, ended.task()), (Some(code), "kept"), "{}", ended.stderr);
    }
    let view = house.midwatch(&repository, &["get", "kept"]);
    assert_eq!(view.result["state"], "Running", "{}", view.result);

    // What is ignored on purpose, as nohup does, stays ignored.
    let program = env!("CARGO_BIN_EXE_midwatch");
    let mut command = house.command("sh", &repository);
    command.args(["-c", &format!("trap '' HUP; exec {program} wait kept --output json")]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    ready(&child);
    send(&child, Signal::HUP);
    send(&child, Signal::TERM);
    assert_eq!(told(wait(child)).code, Some(143));
    cancelled(&house, &repository, "kept");
}

/// Whatever goes on, Ctrl-C reads as a stop and not as a failure of anybody's.
#[test]
fn an_interrupt_in_any_phase_is_a_stop() {
    let house = House::new();
    let repository = house.repository("repo", &[("README", "x\n")]);
    let profile = house.scripted(", egress: none");
    let slow = "test ! -e more || sleep 300";
    let phases: [(&str, &str, &[&str]); 3] = [
        ("in-setup", "Setup", &["--setup", "sleep 300", "--check", "true"]),
        ("on-base", "Check", &["--check", "sleep 300"]),
        ("on-change", "Check", &["--check", slow]),
    ];
    for (task, kind, flags) in phases {
        let first = ["run", "do: write more x", "--name", task, "--pipeline", "quick", "--profile"];
        let words = [&first[..], &[profile.to_str().unwrap()], flags].concat();
        let child = house.start(&repository, &words);
        if task == "on-change" {
            let imported = until(Duration::from_mins(1), || {
                house.midwatch(&repository, &["get", task]).result["commit"].is_string()
            });
            assert!(imported, "{task}: nothing was imported");
        }
        open_run(&house, &repository, task, kind);
        send(&child, Signal::INT);
        let ended = told(wait(child));
        is_whole(&ended, task);
        ended.is("Cancelled", None, 130);
        let failed = ended.lines.iter().filter(|line| line["ok"] == false);
        let failed: Vec<_> = failed.filter(|line| line["stopped"] != true).collect();
        assert!(failed.is_empty(), "{task}: {failed:?}");
        let judged = ended.lines.iter().any(|line| line["outcome"] == "CouldNotRun");
        assert!(!judged, "{task}: {}", ended.stdout);
        assert!(!ended.stdout.contains("Internal"), "{task}: {}", ended.stdout);
    }
}

#[test]
fn a_run_that_still_waits_for_its_goal_is_ended_at_once() {
    let house = House::new();
    let repository = house.repository("repo", &[("README", "x\n")]);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut command = house.command(env!("CARGO_BIN_EXE_midwatch"), &repository);
        command.args(["run", "--goal-file", "-", "--output", "json"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let open = child.stdin.take();
        ready(&child);
        send(&child, signal);
        let ended = told(wait(child));
        is_whole(&ended, "before there is a goal");
        assert_eq!((ended.code, ended.task()), (Some(code), ""), "{}", ended.stderr);
        assert!(!house.state().exists(), "nothing was made");
        drop(open);
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let house = House::new();
    let repository = house.repository("repo", &[("README", "x\n")]);
    let child = start(&house, &repository, "one", "do: hang");
    for words in [&["get"][..], &["describe", "one"], &["--help"], &["reference"], &["nonsense"]] {
        for json in [true, false] {
            let mut command = house.command(env!("CARGO_BIN_EXE_midwatch"), &repository);
            command.args(words).args(json.then_some("--output=json"));
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let other = writer.try_clone().unwrap();
            let status = command.stdout(writer).stderr(other).status().unwrap();
            let code = if words == ["nonsense"] { 2 } else { 0 };
            assert_eq!(status.code(), Some(code), "{words:?}, json {json}");
        }
    }
    // What follows a task ends when nobody reads it any more, and the task does not.
    let mut follower = house.start(&repository, &["logs", "-f", "one"]);
    let mut lines = BufReader::new(follower.stdout.take().unwrap());
    lines.read_line(&mut String::new()).unwrap();
    drop(lines);
    send(&child, Signal::INT);
    let followed = wait(follower);
    let said = String::from_utf8_lossy(&followed.stderr).into_owned();
    // The task may be over before the next look.
    assert!(matches!(followed.status.code(), Some(141 | 130)), "{:?}: {said}", followed.status);
    assert!(!said.contains("panicked"), "{said}");
    told(wait(child)).is("Cancelled", None, 130);
}

#[test]
fn a_result_that_could_not_be_written_is_no_success() {
    let house = House::new();
    let repository = house.repository("repo", &[("README", "x\n")]);
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let run = |out: Stdio| -> Option<i32> {
        let mut command: Command = house.command(env!("CARGO_BIN_EXE_midwatch"), &repository);
        let child = command.args(["get", "--output", "json"]).stdout(out).stderr(Stdio::piped());
        let output = wait(child.spawn().unwrap());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(said.contains("stdout cannot be written"), output.status.code() == Some(1));
        output.status.code()
    };
    assert_eq!(run(full().into()), Some(1));
    assert_eq!(run(Stdio::null()), Some(0), "the control");
}

/// No standard streams at all, as a daemon starts a command.
#[test]
fn closed_standard_streams_are_no_trouble() {
    let house = House::new();
    let repository = house.repository("repo", &[("README", "x\n")]);
    let program = env!("CARGO_BIN_EXE_midwatch");
    let profile = house.scripted(", egress: none");
    let run = format!(
        "{program} run 'do: append README more' --name one --pipeline quick --profile {} \
         --check 'test -e README'",
        profile.display()
    );
    for (closed, code) in [("<&-", 0), (">&-", 0), ("2>&-", 0), ("<&- >&- 2>&-", 0)] {
        for words in ["get", "--version", &run] {
            let words = words.strip_prefix(program).unwrap_or(words);
            let mut command = house.command("sh", &repository);
            command.args(["-c", &format!("exec {program} {words} {closed}")]);
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(code), "{words} {closed}: {said}");
        }
    }
    open_run_is_over(&house, &repository);
}

fn open_run_is_over(house: &House, repository: &Path) {
    house.midwatch(repository, &["get", "one"]).is("Done", None, 0);
    let mut quiet = house.command(env!("CARGO_BIN_EXE_midwatch"), repository);
    quiet.args(["retry", "one", "--output", "json"]).stdin(Stdio::piped());
    let mut child = quiet.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Nothing is ever asked: what stands on stdin is not read.
    let _ = child.stdin.take().unwrap().write_all(b"no\n");
    assert_eq!(told(wait(child)).code, Some(0));
    house.midwatch(repository, &["wait", "one-r2"]).is_done();
}
