//! Who follows a running agent sees each of its lines once: from the beginning, joining late, and
//! over `kill -9` of the server.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, ChildStdout};

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::house::{House, LIMIT, told, until, wait};

/// What the agent says.
const LINES: usize = 400;
/// An agent that says a line every few milliseconds.
const TALKS: &str = r"#!/bin/sh
number=0
while [ $number -lt 400 ]; do
  number=$((number + 1))
  echo line $number
  sleep 0.01
done
echo made > made.txt
";

/// A client that follows.
struct Follower {
    child: Child,
    lines: BufReader<ChildStdout>,
    said: Vec<usize>,
}

impl Follower {
    fn new(mut child: Child) -> Self {
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines, said: vec![] }
    }

    /// Reads until the agent has said a line, or to the end.
    fn until(&mut self, number: usize) {
        let mut text = String::new();
        while !self.said.contains(&number) {
            text.clear();
            if self.lines.read_line(&mut text).unwrap() == 0 {
                break;
            }
            let line: Value = serde_json::from_str(&text).unwrap();
            let said = line["event"]["text"].as_str().unwrap_or_default();
            let numbers = said.lines().filter_map(|line| line.strip_prefix("line "));
            self.said.extend(numbers.map(|number| number.parse::<usize>().unwrap()));
        }
    }

    fn whole(mut self, who: &str) {
        self.until(0);
        assert!(self.child.wait().unwrap().success(), "{who}");
        let twice = self.said.windows(2).filter(|two| two[0] >= two[1]).count();
        assert_eq!((self.said.len(), twice), (LINES, 0), "{who}: lines, and those out of order");
    }
}

#[test]
fn no_line_of_an_agent_is_lost_or_doubled_by_a_killed_server() {
    let house = House::new();
    let repository = house.repository("repo", &[("README", "x\n")]);
    let program = house.folder("agent").join("talks");
    std::fs::write(&program, TALKS).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let spec = format!(
        "{{agent: custom, program: {}, custom: {{argv: [talks]}}, egress: none}}",
        program.display()
    );
    let profile = house.profile("talks", &spec);
    let words = ["--pipeline", "quick", "--no-check", "--name", "one", "--profile"];
    let run = [&["run", "talk"], &words[..], &[profile.to_str().unwrap()]].concat();
    let mut first = Follower::new(house.start(&repository, &run));
    first.until(50);
    let mut late = Follower::new(house.start(&repository, &["logs", "-f", "one"]));
    late.until(100);
    first.until(100);
    let before = house.server();
    kill_process(before, Signal::KILL).unwrap();
    late.until(200);
    assert_ne!(house.server(), before, "another server has told the rest");
    first.whole("from the beginning");
    late.whole("late");
    Follower::new(house.start(&repository, &["logs", "-f", "one"])).whole("after the end");
}

#[test]
fn a_transcript_that_was_changed_is_told() {
    let house = House::new();
    let repository = house.repository("repo", &[("README", "x\n")]);
    let words = ["--name", "one", "--check", "test -e README"];
    house.run(&repository, "do: append README more", &words).is_done();
    let logs = || house.midwatch(&repository, &["logs", "one"]);
    let whole = logs();
    assert!(whole.code == Some(0) && !whole.stderr.contains("damaged"), "{}", whole.stderr);
    let runs = house.midwatch(&repository, &["get", "runs", "one"]);
    let agent = runs.of("run").into_iter().find(|run| run["kind"] == "Agent").unwrap();
    let path = std::path::Path::new(agent["folder"].as_str().unwrap()).join("events.jsonl");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.iter().position(u8::is_ascii_digit).unwrap();
    bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
    std::fs::write(&path, &bytes).unwrap();
    let changed = logs();
    let said = format!("damaged: {} was changed", path.display());
    assert!(changed.code == Some(0) && changed.stderr.contains(&said), "{}", changed.stderr);
    std::fs::remove_file(&path).unwrap();
    assert!(logs().stderr.contains(&format!("{} is missing", path.display())));
}

/// A server that is killed while it starts is started again by whoever waits for it.
#[test]
fn a_server_that_is_killed_as_it_starts_is_started_again() {
    let early = (0..20).any(|_| {
        let house = House::new();
        let folder = house.folder("anywhere");
        let client = house.start(&folder, &["get"]);
        let mut server = None;
        assert!(until(LIMIT, || {
            server = house.server_if_any();
            server.is_some()
        }));
        kill_process(server.unwrap(), Signal::KILL).unwrap();
        // One that listened already had answered, or had begun to.
        let early = !house.state().join("server.sock").exists();
        let told = told(wait(client));
        assert_eq!(told.code, Some(0), "{}", told.stderr);
        early
    });
    assert!(early, "every server was quicker than the kill");
}

/// A start that no server survives is told, and not tried for ever: none here may write a byte.
/// The control is the test above, where the second one lives.
#[test]
fn servers_that_are_all_killed_as_they_start_are_told_after_a_few() {
    let house = House::new();
    let folder = house.folder("anywhere");
    let mut shell = house.command("sh", &folder);
    shell.args(["-c", "ulimit -f 0; exec \"$0\" get", env!("CARGO_BIN_EXE_midwatch")]);
    let said = shell.output().unwrap();
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("as soon as it was started, with signal: 25"), "{said}");
}
