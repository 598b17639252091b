//! Who follows a task sees what its runs say, each line once: from the beginning, from the middle,
//! and over a server that died.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use midwatch_api::control::FollowFrom;
use midwatch_api::report::StreamEvent;
use midwatch_api::view::{Progress, ProgressLine};
use midwatch_local::server::{Line, Server, Settings};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::Receiver;

use super::world::{Closed, Home, Lands, PATIENCE, opened, submit};

/// Lines of the one run.
const LINES: usize = 4000;
/// A runner that says a few lines, in more than one file, and goes on when it is told to.
const TALKS: &str = r#"#!/bin/bash
cd "$2"
said=0
say() {
  for _ in $(seq "$1"); do
    said=$((said + 1))
    echo "{\"type\":\"text\",\"text\":\"line $said\"}" >> "$2"
  done
}
say 1000 events.jsonl
started=$(cut -d ' ' -f 22 "/proc/$$/stat")
boot=$(cat /proc/sys/kernel/random/boot_id)
echo "{\"pid\":$$,\"startTime\":$started,\"bootId\":\"$boot\"}" > runner.json
until [ -e go-1 ]; do sleep 0.01; done
say 500 events.jsonl
say 500 events.1.jsonl
until [ -e go-2 ]; do sleep 0.01; done
say 1999 events.1.jsonl
echo noise >> events.1.jsonl
say 1 events.2.jsonl
"#;

/// A server that may die, with all that it had begun; its runs go on.
struct Life {
    runtime: Runtime,
    server: Arc<Server<Closed, Lands>>,
}

impl Life {
    fn begin(home: &Home) -> Self {
        let runtime = Runtime::new().unwrap();
        let program = home.folder("bin").join("talks");
        if !program.exists() {
            std::fs::write(&program, TALKS).unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        }
        let (folder, store) = opened(home.path());
        let settings = Settings::new(program);
        let server = runtime.block_on(async {
            let (server, driven) =
                Server::start(folder, store, Closed, Lands::after_fetches(), settings).unwrap();
            tokio::spawn(async { drop(driven.await) });
            server
        });
        Self { runtime, server }
    }

    fn follow(&self, from: &FollowFrom) -> Follower {
        let _inside = self.runtime.enter();
        let lines = self.server.follow("talks", from.clone()).unwrap();
        Follower { lines, from: from.clone(), said: vec![] }
    }

    /// Nothing of it goes on.
    fn die(self) {
        self.runtime.shutdown_timeout(Duration::from_secs(10));
    }
}

struct Follower {
    lines: Receiver<Line>,
    from: FollowFrom,
    said: Vec<String>,
}

impl Follower {
    /// Reads until a line of progress is the one that is waited for.
    fn until(&mut self, life: &Life, is: impl Fn(&ProgressLine) -> bool) {
        life.runtime.block_on(async {
            loop {
                let line = tokio::time::timeout(PATIENCE, self.lines.recv()).await.unwrap();
                let Some(Line::Progress(line)) = line else { panic!("{line:?}") };
                self.from.took(&line);
                if let Progress::Agent { event: StreamEvent::Text { text }, .. } = &line.progress {
                    self.said.push(text.clone());
                }
                if is(&line) {
                    return;
                }
            }
        });
    }

    fn until_line(&mut self, life: &Life, number: usize) {
        let wanted = format!("line {number}");
        self.until(life, |line| {
            matches!(&line.progress, Progress::Agent { event: StreamEvent::Text { text }, .. } if *text == wanted)
        });
    }

    fn until_end(&mut self, life: &Life) {
        self.until(life, |line| matches!(line.progress, Progress::RunEnded { .. }));
    }
}

/// Fails with the first line that is another.
#[track_caller]
fn is(said: &[String], wanted: &[String], who: &str) {
    let other = said.iter().zip(wanted).position(|(said, wanted)| said != wanted);
    let place = other.unwrap_or_else(|| said.len().min(wanted.len()));
    let lengths = (said.len(), wanted.len());
    assert!(said == wanted, "{who}: {:?} at {place} of {lengths:?}", said.get(place));
}

fn lines(from: usize) -> Vec<String> {
    (from..=LINES).map(|number| format!("line {number}")).collect()
}

#[test]
fn every_line_of_a_run_comes_once_to_who_joins_late_and_over_a_restart() {
    let home = Home::new();
    let life = Life::begin(&home);
    life.runtime.block_on(async { life.server.submit(submit("talks")).unwrap() });
    let mut first = life.follow(&FollowFrom::default());
    first.until_line(&life, 1000);
    let run = first.from.seen[0].0.clone();
    let go = |name: &str| std::fs::write(home.folder(&format!("runs/{run}")).join(name), "");

    // One joins in the middle, one reads so slowly that it is far behind.
    let mut middle = life.follow(&FollowFrom::default());
    let mut slow = life.follow(&FollowFrom::default());
    go("go-1").unwrap();
    first.until_line(&life, 2000);
    middle.until_line(&life, 1700);
    slow.until_line(&life, 3);
    let (first_from, middle_from, slow_from) = (first.from.clone(), middle.from, slow.from);
    life.die();

    // The run goes on and says more while nobody is there.
    go("go-2").unwrap();
    let life = Life::begin(&home);
    let ends = [(first_from, first.said), (middle_from, middle.said), (slow_from, slow.said)];
    for (from, before) in ends {
        let mut again = life.follow(&from);
        again.until_end(&life);
        let said = [before, again.said].concat();
        is(&said, &lines(1), &from.to_string());
    }

    // It is over: who comes now reads it whole, and who saw its end nothing of it.
    let mut late = life.follow(&FollowFrom::default());
    late.until_end(&life);
    is(&late.said, &lines(1), "late");
    let before_its_end = late.from.after - 1;
    let again = |seen| {
        let mut again = life.follow(&FollowFrom { after: before_its_end, seen });
        again.until_end(&life);
        again.said
    };
    // The controls: with a place in the log alone all lines come again, and with one in the run that
    // was not reached they are missed.
    is(&again(vec![]), &lines(1), "again");
    is(&again(vec![(run.clone(), 3999)]), &lines(4000), "the last");
    is(&again(vec![(run, 4001)]), &[], "behind it");
    life.die();
}
