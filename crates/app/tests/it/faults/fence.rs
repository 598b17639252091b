//! A machine that was started again, and a process that outlived what is believed of it: a run of
//! another boot is lost whoever has its pid, its work is saved, and what it says later is not
//! taken.

use std::path::PathBuf;

use midwatch_api::report::{IDENTITY_FILE, REPORT_FILE, RunnerIdentity};
use rustix::process::{Pid, Signal, kill_process};

use super::gate::Gate;
use super::ground::Ground;
use super::until;

/// Another boot than any.
const OTHER_BOOT: &str = "00000000-0000-4000-8000-000000000000";

struct Story {
    ground: Ground,
    first: Gate,
    second: Gate,
}

impl Story {
    /// A task whose first agent has written something and waits.
    fn begun() -> (Self, super::ground::Server) {
        let ground = Ground::new();
        let (first, second) = (Gate::new(), Gate::new());
        let server = ground.serve(&[]);
        let goal = format!(
            "do@implement/1: write first yes\n\
             do@implement/1: run {}\n\
             do@implement/1: write answer late\n\
             do@implement/2: run {}\n\
             do@implement/2: write answer 42\n",
            first.command(),
            second.command()
        );
        ground.begin("t", &goal, "", &["--check", "test ! -e answer || test -e first"]);
        first.reached();
        (Self { ground, first, second }, server)
    }

    /// The folder of the agent's first run.
    fn run(&self) -> PathBuf {
        let runs = std::fs::read_dir(self.ground.state().root().join("runs")).unwrap();
        let mut agents: Vec<PathBuf> = runs
            .flatten()
            .map(|run| run.path())
            .filter(|run| run.to_string_lossy().contains("t-implement-"))
            .collect();
        agents.sort();
        agents.into_iter().next().unwrap()
    }

    fn identity(&self) -> RunnerIdentity {
        serde_json::from_slice(&std::fs::read(self.run().join(IDENTITY_FILE)).unwrap()).unwrap()
    }

    /// As after a start of the machine: identities and marks are of another boot.
    fn other_boot(&self) {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let script = format!(
            "cd \"$1\"; for f in runs/*/{IDENTITY_FILE} bases/*/*/.git/midwatch-made; do \
             sed -i s/{}/{OTHER_BOOT}/ \"$f\"; done; rm -f bases/*/*.durable",
            boot.trim()
        );
        self.ground.sh(&script);
        assert_eq!(self.identity().boot_id, OTHER_BOOT);
    }

    fn runner(&self) -> Pid {
        Pid::from_raw(self.identity().pid).unwrap()
    }

    /// The answer on the branch, what the first agent left there, and the agent's runs.
    fn end(&self) -> (String, String, usize) {
        self.ground.wait("t").is_done();
        let on = |file: &str| self.ground.on_branch("midwatch/t", file);
        let story = self.ground.story("t");
        (on("answer"), on("first"), story.runs("Agent").len())
    }
}

#[test]
fn after_a_reboot_the_work_is_saved_and_the_attempt_made_again() {
    let (story, server) = Story::begun();
    server.kill();
    kill_process(story.runner(), Signal::KILL).unwrap();
    until("the sandbox's end", || story.first.waiting().is_empty());
    story.other_boot();
    // Somebody has its pid now, and began at the same tick of another boot.
    let mut stranger = std::process::Command::new("sleep").arg("3000").spawn().unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", stranger.id())).unwrap();
    let start_time = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap();
    let identity = RunnerIdentity {
        pid: i32::try_from(stranger.id()).unwrap(),
        start_time: start_time.parse().unwrap(),
        boot_id: OTHER_BOOT.into(),
    };
    let path = story.run().join(IDENTITY_FILE);
    std::fs::write(path, serde_json::to_vec(&identity).unwrap()).unwrap();
    let server = story.ground.serve(&[]);
    story.second.open(Signal::TERM);
    assert_eq!(story.end(), ("42".into(), "yes".into(), 2));
    assert!(stranger.try_wait().unwrap().is_none(), "a stranger was killed");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    server.kill();
    let saved = story.ground.events("t").into_iter().filter(|s| s.event.name() == "Rescued");
    assert_eq!(saved.count(), 1);
}

#[test]
fn a_run_of_another_boot_is_not_adopted_and_its_late_report_changes_nothing() {
    let (story, server) = Story::begun();
    server.kill();
    // Its runner lives: to the server it is somebody who happens to have that pid.
    story.other_boot();
    let server = story.ground.serve(&[]);
    story.second.reached();
    let report = story.run().join(REPORT_FILE);
    until("the late report", || {
        story.first.let_go(Signal::TERM);
        report.exists()
    });
    // Everything is looked for again with the late report in its place.
    server.kill();
    let _server = story.ground.serve(&[]);
    story.second.open(Signal::TERM);
    assert_eq!(story.end(), ("42".into(), "yes".into(), 2));
    assert_eq!(story.ground.branches().lines().count(), 1);
}

/// The control: of this boot, the same run is adopted, and what it says counts.
#[test]
fn a_run_of_this_boot_is_adopted_and_its_report_counts() {
    let (story, server) = Story::begun();
    server.kill();
    let _server = story.ground.serve(&[]);
    story.first.open(Signal::TERM);
    assert_eq!(story.end(), ("late".into(), "yes".into(), 1));
}
