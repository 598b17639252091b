//! The demo's model before the real CLI, without a sandbox: the prompts of `change`, the sample
//! red, red again, green, and a review that asks for one change.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use midwatch_core::agent::{AgentEvent, AgentOutcome, Session, Usage};
use midwatch_core::detect::{Tree, checks, setups};
use midwatch_core::prompt::{Values, render};
use midwatch_core::test_output::{self, TestReport};
use midwatch_testkit::agent_clis::Cli;
use midwatch_testkit::rehearsal::{Server, demo};
use serde_json::{Value, json};

use crate::drive::{Finished, Place};

const LIMIT: Duration = Duration::from_mins(2);

/// The pipeline that ships: the script has to know its words.
const PIPELINE: &str = include_str!("../../../api/src/pipelines/change.yaml");

/// The prompt of a step, as it stands in the pipeline.
fn template(step: &str) -> String {
    let (_, rest) = PIPELINE.split_once(&format!("- name: {step}\n")).unwrap();
    let (_, text) = rest.split_once("prompt: |\n").unwrap();
    let mut lines = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("        ") {
            Some(line) => lines.push(line),
            None if line.is_empty() => lines.push(line),
            None => break,
        }
    }
    lines.join("\n")
}

fn shell(folder: &Path, command: &str) -> (bool, String) {
    let output = Command::new("sh").args(["-c", command]).current_dir(folder).output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(told).unwrap())
}

/// What is left behind becomes a commit, as Midwatch does it.
fn commit(folder: &Path) -> String {
    let identity = "-c user.name=a -c user.email=a@b.invalid";
    let (fine, told) = shell(folder, &format!("git add -A && git {identity} commit -qm work"));
    assert!(fine, "nothing to commit? {told}");
    shell(folder, "git show --stat --format= HEAD").1
}

/// Runs the check: whether it is green, its log, and what the log says.
fn check(folder: &Path, command: &str) -> (bool, String, TestReport) {
    let (green, log) = shell(folder, command);
    let report = test_output::parse(&log).unwrap();
    (green, log, report)
}

/// The one failing test, by the name of its method.
fn failing(report: &TestReport) -> &str {
    assert_eq!((report.failing.len(), report.failed), (1, 1), "{report:?}");
    report.failing[0].split(' ').next().unwrap()
}

struct Story {
    place: Place,
    server: Server,
    runs: u32,
}

impl Story {
    fn run(&mut self, step: &str, values: &Values, resume: Option<&str>) -> Finished {
        self.runs += 1;
        let prompt = render(&template(step), values).unwrap();
        let mut order = self.place.order(&self.server.url(), &prompt);
        self.server.key().clone_into(&mut order.run_token);
        order.read_only = step != "implement";
        order.session = match resume {
            Some(id) => Session::Resume { id: id.to_owned() },
            None => Session::Fresh { id: format!("{:08}-2222-4333-8444-555555555555", self.runs) },
        };
        let done = self.place.start(&order, Usage::default()).finish(LIMIT);
        assert_eq!(done.outcome, Some(AgentOutcome::Completed), "{step}: {done:?}");
        assert!(!done.events.contains(&AgentEvent::Malformed), "{:?}", done.events);
        done
    }
}

#[test]
fn the_demo_is_red_then_green_then_reviewed() {
    let place = match Place::new(Cli::ClaudeCode) {
        Ok(place) => place,
        Err(why) => return println!("NOT RUN: the demo could not be rehearsed: {why}"),
    };
    let folder = place.workspace();
    std::fs::remove_dir(&folder).unwrap();
    let sample = demo::sample::make(&folder).unwrap();
    let mut story = Story { place, server: Server::start().unwrap(), runs: 0 };

    let files: BTreeSet<String> =
        shell(&folder, "git ls-files").1.lines().map(str::to_owned).collect();
    let read = |path: &str| std::fs::read_to_string(folder.join(path)).ok();
    let tree = Tree { files: &files, read: &read };
    assert_eq!(setups(&tree), [], "nothing has to be installed");
    let found = checks(&tree);
    assert_eq!(found.len(), 1);
    let command = found[0].command.clone();
    assert_eq!(command, "python3 -m unittest discover");

    let (green, log, base) = check(&folder, &command);
    assert!(!green && base.executed == 5, "{log}");
    assert_eq!(failing(&base), "test_eight_bells_end_a_watch");

    let mut values = Values {
        goal: sample.goal.to_owned(),
        evidence: format!("Before any change these checks are red.\n$ {command}\n{log}"),
        base: sample.commit.clone(),
        round: 1,
        ..Values::default()
    };
    let plan = story.run("plan", &values, None);
    assert!(plan.final_text.contains("bells.py"), "{}", plan.final_text);
    assert_eq!(shell(&folder, "git status --porcelain").1, "", "a plan changes nothing");
    values.plan = plan.final_text;

    let first = story.run("implement", &values, None);
    let session = first.session.unwrap();
    assert_eq!(commit(&folder).lines().count(), 2, "one file, and the sum");
    let (green, log, report) = check(&folder, &command);
    assert!(!green && report.executed == base.executed, "{log}");
    assert_eq!(failing(&report), "test_half_an_hour_into_a_watch");

    values.round = 2;
    values.evidence = format!("$ {command}\nFail (it failed); before your change: Fail\n{log}");
    story.run("implement", &values, Some(&session));
    commit(&folder);
    let (green, log, report) = check(&folder, &command);
    assert!(green && report.executed == base.executed, "{log}");

    let passed = format!("$ {command}: Pass, {} tests", report.executed);
    let review = |round| Values {
        goal: sample.goal.to_owned(),
        evidence: passed.clone(),
        base: sample.commit.clone(),
        round,
        ..Values::default()
    };
    let verdict = story.run("review", &review(1), None).final_text;
    let verdict: Value = serde_json::from_str(&verdict).unwrap();
    assert_eq!(verdict["verdict"], "requestChanges");
    let [comment] = verdict["comments"].as_array().unwrap().as_slice() else {
        panic!("exactly one change: {verdict}");
    };

    values.round = 3;
    values.evidence = String::new();
    values.review = comment.as_str().unwrap().to_owned();
    story.run("implement", &values, Some(&session));
    let changed = commit(&folder);
    assert!(changed.contains("test_bells.py") && !changed.contains(" bells.py"), "{changed}");
    let (green, log, report) = check(&folder, &command);
    assert!(green && report.executed == base.executed + 1, "{log}");

    let verdict = story.run("review", &review(2), None).final_text;
    let verdict: Value = serde_json::from_str(&verdict).unwrap();
    assert_eq!(verdict, json!({"type": "verdict", "verdict": "approve"}));
}

#[test]
fn another_key_does_not_play() {
    let place = match Place::new(Cli::ClaudeCode) {
        Ok(place) => place,
        Err(why) => return println!("NOT RUN: the demo could not be rehearsed: {why}"),
    };
    let server = Server::start().unwrap();
    let mut order = place.order(&server.url(), "midwatch-step: plan round: 1");
    let done = place.run(&order, LIMIT);
    assert!(matches!(done.outcome, Some(AgentOutcome::Failed { .. })), "{done:?}");
    // The control: the server's own.
    server.key().clone_into(&mut order.run_token);
    order.session = Session::Fresh { id: "66666666-2222-4333-8444-555555555555".into() };
    assert_eq!(place.run(&order, LIMIT).outcome, Some(AgentOutcome::Completed));
}
