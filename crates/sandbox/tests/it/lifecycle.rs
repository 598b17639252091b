//! Ends: by request, by force, by the death of the one above. Nothing stays.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::stand::{Stand, Starter, Trial, eventually};

#[test]
fn a_request_to_end_reaches_the_command_and_its_group() {
    for starter in Starter::all() {
        let stand = Stand::new(starter);
        let script = "trap 'echo saved; exit 5' TERM; echo ready; while :; do sleep 0.05; done";
        let mut trial = Trial::shell(script);
        trial.term_on = Some("ready");
        let ended = stand.run(&trial);
        assert_eq!((&*ended.stdout, ended.code), ("ready\nsaved\n", Some(5)), "{ended:?}");
    }
}

#[test]
fn who_ignores_the_request_is_killed() {
    for starter in Starter::all() {
        let stand = Stand::new(starter);
        let mut trial = Trial::shell("trap '' TERM; echo ready; while :; do sleep 0.05; done");
        trial.term_on = Some("ready");
        trial.timeout = Duration::from_millis(700);
        let ended = stand.run(&trial);
        assert!(ended.timed_out);
        assert_eq!(ended.code, Some(137));
    }
}

/// Orphans, new sessions, ignored signals: all die with init.
#[test]
fn nothing_outlives_the_command() {
    for starter in Starter::all() {
        let stand = Stand::new(starter);
        let marker = format!("midwatch-orphan-{}-{starter:?}", std::process::id());
        let script = format!(
            "setsid sh -c 'trap \"\" TERM HUP; : {marker}; while :; do sleep 1; done' \
             >/dev/null 2>&1 & echo started; exit 4"
        );
        let ended = stand.run(&Trial::shell(&script));
        assert_eq!(ended.code, Some(4), "{ended:?}");
        eventually("the orphan is gone", || !is_running(&marker));
    }
}

#[test]
fn kill_nine_of_the_parent_leaves_nothing() {
    for starter in Starter::all() {
        let stand = Stand::new(starter);
        let marker = format!("midwatch-left-{}-{starter:?}", std::process::id());
        let base = stand.folder("base");
        let mount = midwatch_sandbox::policy::Mount::Overlay {
            lowers: vec![base],
            upper: stand.folder("upper"),
            work: stand.folder("work"),
            target: "/workspace".into(),
        };
        let script = format!("setsid sh -c ': {marker}; while :; do sleep 1; done' & wait");
        let mut attempt = stand.start(&Trial::shell(&script).with(mount), &[]);
        let started = attempt.line();
        assert_eq!(started["event"], "started", "{started}");
        eventually("it runs", || is_running(&marker));
        kill(attempt.child.id());
        attempt.child.wait().unwrap();
        for name in ["initPid", "bubblewrapPid"] {
            let pid = started[name].as_u64().unwrap();
            eventually(name, || !Path::new(&format!("/proc/{pid}")).exists());
        }
        eventually("the orphan is gone", || !is_running(&marker));
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        assert!(!mounts.contains(&*stand.path("").to_string_lossy()), "left mounted");
        assert!(!mounts.contains("/run/midwatch"), "left mounted");
        // The groups of the killed one are swept by the next.
        if starter == Starter::Root {
            assert_eq!(stand.run(&Trial::shell("true")).code, Some(0));
            let stale = format!("/{}-try", attempt.child.id());
            assert!(!groups().iter().any(|path| path.ends_with(&stale)), "{:?}", groups());
        }
    }
}

/// The second way to kill, without init's help: bubblewrap dies, and the kernel does the rest.
#[test]
fn the_death_of_bubblewrap_is_the_end_too() {
    for starter in Starter::all() {
        let stand = Stand::new(starter);
        let marker = format!("midwatch-bwrap-{}-{starter:?}", std::process::id());
        let script = format!(": {marker}; while :; do sleep 1; done");
        let mut attempt = stand.start(&Trial::shell(&script), &[]);
        let started = attempt.line();
        eventually("it runs", || is_running(&marker));
        kill(u32::try_from(started["bubblewrapPid"].as_u64().unwrap()).unwrap());
        let line = attempt.line();
        assert!(line["code"].is_null(), "no code may be made up: {line}");
        eventually("the command is gone", || !is_running(&marker));
    }
}

fn groups() -> Vec<String> {
    let mut found = Vec::new();
    let mut todo = vec!["/sys/fs/cgroup".to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let path = entry.path().display().to_string();
                todo.push(path.clone());
                found.push(path);
            }
        }
    }
    found
}

fn kill(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

fn is_running(marker: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let Ok(words) = fs::read(entry.path().join("cmdline")) else {
            return false;
        };
        // Not bubblewrap and our own, whose argv holds the script as well.
        let words = String::from_utf8_lossy(&words).into_owned();
        words.contains(marker) && words.starts_with("sh\0")
    })
}
