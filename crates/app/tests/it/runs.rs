//! What is told of single runs: how each ended and when, what a clean-up took, what was too long.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Child;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::house::{House, LIMIT, Told};

const CHECK: [&str; 4] = ["--check", "test -f a.txt", "--name", "t"];

/// A line that the agent says, and its length in bytes.
const LONG: u64 = 10_000_000;

fn house() -> (House, std::path::PathBuf) {
    let house = House::new();
    let repository = house.repository("repo", &[("README", "hello\n"), ("a.txt", "a\n")]);
    (house, repository)
}

/// Something that is watched; killed with this.
struct Watch {
    child: Child,
    /// What it said, until it says no more.
    lines: Receiver<String>,
}

impl Watch {
    fn begin(house: &House, folder: &Path, words: &[&str]) -> Self {
        let mut child = house.start(folder, words);
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, lines) = channel();
        // It ends with the child, or with the test.
        std::thread::spawn(move || said.map_while(Result::ok).try_for_each(|l| sender.send(l)));
        Self { child, lines }
    }

    /// The next line that is what is waited for.
    #[track_caller]
    fn until(&mut self, is: impl Fn(&Value) -> bool) -> Value {
        let (end, mut last) = (Instant::now() + LIMIT, String::new());
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            last = line.unwrap_or_else(|why| panic!("{why} after {last}"));
            let value = serde_json::from_str(&last).unwrap();
            if is(&value) {
                return value;
            }
        }
    }

    /// Ctrl-C: the last line is a result, and it went well.
    #[track_caller]
    fn end(mut self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::INT).unwrap();
        self.until(|line| line["type"] == "result");
        assert_eq!(self.lines.recv_timeout(LIMIT), Err(RecvTimeoutError::Disconnected));
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // One that ended in order has nothing against it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_list_of_runs_says_how_each_ended_and_when() {
    let (house, repository) = house();
    let goal = "do@implement/1: run rm a.txt\ndo@implement/2: write a.txt b";
    house.run(&repository, goal, &CHECK).is_done();
    let told = house.midwatch(&repository, &["get", "runs", "t"]);
    let runs = told.of("run");
    let of = |kind: &str| -> Vec<&str> {
        let of = runs.iter().filter(|run| run["kind"] == kind);
        of.map(|run| run["outcome"].as_str().unwrap_or("none")).collect()
    };
    assert_eq!(of("Agent"), ["Ok", "Ok"], "{}", told.stdout);
    // On the base, and on each of the two commits.
    assert_eq!(of("Check"), ["Pass", "Fail", "Pass"], "{}", told.stdout);
    for run in &runs {
        let (begun, ended) = (run["begunMs"].as_i64().unwrap(), run["endedMs"].as_i64().unwrap());
        assert!(begun > 1_600_000_000_000 && ended >= begun, "{run}");
    }
    let mut table = house.command(env!("CARGO_BIN_EXE_midwatch"), &repository);
    let table = table.args(["get", "runs"]).output().unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.lines().any(|line| line.contains("Check     Fail ")), "{table}");
}

#[test]
fn runs_objects_and_explanations_are_watched() {
    let (house, repository) = house();
    assert_eq!(house.midwatch(&repository, &["pause", "--all"]).code, Some(0));
    let words = [&CHECK[..], &["--detach"]].concat();
    assert_eq!(house.run(&repository, "do: write b.txt one", &words).code, Some(0));
    let mut runs = Watch::begin(&house, &repository, &["get", "runs", "t", "--watch"]);
    let mut explained = Watch::begin(&house, &repository, &["explain", "t", "--watch"]);
    let first = explained.until(|line| line["type"] == "explain");
    assert_eq!(first["waiting"]["reason"], "Paused", "{first}");
    let file = house.folder("objects").join("fast.yaml");
    let write = |model: &str| {
        let spec = format!("spec: {{agent: claude-code, model: {model}}}");
        let head =
            "apiVersion: midwatch.dev/v1alpha1\nkind: AgentProfile\nmetadata: {name: fast}\n";
        std::fs::write(&file, format!("{head}{spec}\n")).unwrap();
        let told = house.midwatch(&repository, &["apply", "-f", file.to_str().unwrap()]);
        assert_eq!(told.code, Some(0), "{}", told.stderr);
    };
    write("one");
    let mut profiles = Watch::begin(&house, &repository, &["get", "profiles", "--watch"]);
    let shows = |model: &'static str| move |line: &Value| line["spec"]["model"] == model;
    profiles.until(shows("one"));
    write("two");
    profiles.until(shows("two"));
    profiles.end();
    assert_eq!(house.midwatch(&repository, &["resume", "--all"]).code, Some(0));
    explained.until(|line| line["explain"].as_str().unwrap().contains("is done"));
    explained.end();
    // Begun, and then ended.
    let of_agent = |open: bool| move |line: &Value| line["kind"] == "Agent" && line["open"] == open;
    let begun = runs.until(|line| line["kind"] == "Agent");
    let ended = if begun["open"] == true { runs.until(of_agent(false)) } else { begun };
    assert_eq!(ended["outcome"], "Ok", "{ended}");
    runs.end();
}

#[test]
fn logs_say_what_a_clean_up_took_and_when() {
    let (house, repository) = house();
    house.run(&repository, "do: say mark-of-it\ndo: write b.txt one", &CHECK).is_done();
    let logs = || house.midwatch(&repository, &["logs", "t"]);
    let before = logs();
    assert!(before.stdout.contains("mark-of-it"), "the control: {}", before.stdout);
    assert_eq!(removed(&before), 0);
    house.midwatch(&repository, &["gc", "--older-than", "0s"]);
    let after = logs();
    assert!(!after.stdout.contains("mark-of-it"), "{}", after.stdout);
    let runs = house.midwatch(&repository, &["get", "runs", "t"]).of("run").len();
    assert_eq!((removed(&after), after.code), (runs, Some(0)), "{}", after.stdout);
    let one = after.of("removed")[0];
    assert!(one["atMs"].as_i64().is_some_and(|at| at > 1_600_000_000_000), "{one}");
    assert_eq!(one["why"], "the task ended long ago");
    let mut shown = house.command(env!("CARGO_BIN_EXE_midwatch"), &repository);
    let shown = shown.args(["logs", "t"]).output().unwrap();
    let shown = String::from_utf8(shown.stderr).unwrap();
    assert!(shown.contains("no logs any more: a clean-up removed them at 2"), "{shown}");
    // Deleted, its name begins anew.
    house.midwatch(&repository, &["delete", "t"]);
    house.git(&repository, &["branch", "-D", "midwatch/t"]);
    house.midwatch(&repository, &["gc", "--older-than", "0s"]);
}

/// A second task on the same base knows what its check says of it.
#[test]
fn a_run_that_was_not_run_says_so_when_its_logs_are_asked_for() {
    let (house, repository) = house();
    for name in ["t", "u"] {
        let goal = format!("do: write {name}.txt one");
        house.run(&repository, &goal, &["--check", "test -f a.txt", "--name", name]).is_done();
    }
    let on_the_base = |task: &str| {
        let runs = house.midwatch(&repository, &["get", "runs", task]);
        let mut runs = runs.of("run").into_iter().filter(|run| run["kind"] == "Check");
        runs.next().unwrap()["run"].as_str().unwrap().to_owned()
    };
    let logs = |task: &str| {
        let told = house.midwatch(&repository, &["logs", task, "--run", &on_the_base(task)]);
        assert_eq!(told.code, Some(0), "{}", told.stderr);
        told.stderr
    };
    let said = logs("u");
    assert!(said.contains("has no logs: it was not run"), "{said}");
    assert_eq!(logs("t"), "", "the control: it was run, and printed nothing");
    // Nothing of it is told as removed: it never was.
    let runs = |task: &str| house.midwatch(&repository, &["get", "runs", task]).of("run").len();
    let begun = ["t", "u"].map(runs);
    house.midwatch(&repository, &["gc", "--older-than", "0s"]);
    let [of_t, of_u] = ["t", "u"].map(|task| house.midwatch(&repository, &["logs", task]));
    assert_eq!((removed(&of_t), removed(&of_u)), (begun[0], 2), "{}", of_u.stdout);
    assert!(begun[1] > 2 && of_u.of("removed")[0]["why"].is_string(), "{}", of_u.stdout);
    assert!(logs("u").contains("has no logs: it was not run"));
    assert!(!logs("t").contains("was not run"));
}

fn removed(told: &Told) -> usize {
    told.of("removed").len()
}

#[test]
fn a_line_that_is_too_long_for_the_transcript_is_told() {
    let (house, repository) = house();
    let goal = format!("do: flood-line {LONG}\ndo: say x\ndo: write b.txt one");
    house.run(&repository, &goal, &CHECK).is_done();
    let told = house.midwatch(&repository, &["logs", "t"]);
    let said: Vec<&str> = told
        .of("agent")
        .iter()
        .filter(|line| line["event"]["type"] == "warning")
        .map(|line| line["event"]["text"].as_str().unwrap())
        .collect();
    // With the word that ends it.
    let text =
        format!("a line of {} bytes is left out here; stdout.log of this run has it", LONG + 1);
    assert_eq!(said, [text]);
    let folder = told.result["transcript"].as_str().unwrap();
    let log = std::fs::metadata(Path::new(folder).join("stdout.log")).unwrap();
    assert!(log.len() > LONG, "it is where it is said to be: {}", log.len());
}
