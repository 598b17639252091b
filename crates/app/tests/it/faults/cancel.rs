//! A cancel that races with the end: there is one end, whichever it is, and it stays.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::Barrier;

use midwatch_core::event::Event;
use rustix::process::Signal;
use serde_json::Value;

use super::gate::Gate;
use super::ground::Ground;
use super::until;

/// When the cancel comes.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// While the agent works.
    Before,
    /// In the moment in which the agent ends.
    With,
    /// When this event has been told.
    Told(&'static str),
    /// When the branch is there.
    Landed,
}

const MOMENTS: [Moment; 7] = [
    Moment::Before,
    Moment::With,
    Moment::With,
    Moment::Told("runEnded"),
    Moment::Told("imported"),
    Moment::Told("check"),
    Moment::Landed,
];
/// Each moment is met so often.
const ROUNDS: usize = 3;

fn round(ground: &Ground, name: &str, moment: Moment) -> String {
    let gate = Gate::new();
    let goal = format!("do: run {}\ndo: write {name} x", gate.command());
    ground.begin(name, &goal, "", &[]);
    gate.reached();
    let cancel = || ground.midwatch(&["cancel", name]);
    let branch = format!("midwatch/{name}");
    match moment {
        Moment::Before => {
            cancel();
        }
        Moment::With => {
            let both = Barrier::new(2);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    both.wait();
                    cancel();
                });
                both.wait();
                gate.open(Signal::TERM);
            });
        }
        Moment::Told(kind) => {
            gate.open(Signal::TERM);
            let mut follow = ground.command(env!("CARGO_BIN_EXE_midwatch"));
            follow.args(["logs", "-f", name, "--output", "json"]);
            let mut child = follow.stdout(Stdio::piped()).spawn().unwrap();
            for line in BufReader::new(child.stdout.take().unwrap()).lines() {
                let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
                let ours = match kind {
                    "runEnded" => line["run"].to_string().contains("implement"),
                    "check" => line["onBase"] == false,
                    _ => true,
                };
                if line["type"] == kind && ours {
                    break;
                }
            }
            cancel();
            let _ = child.kill();
            let _ = child.wait();
        }
        Moment::Landed => {
            gate.open(Signal::TERM);
            until("the branch", || ground.branches().lines().any(|line| line.trim() == branch));
            cancel();
        }
    }
    let told = ground.wait(name);
    told.result["state"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn there_is_one_end_and_it_stays() {
    let ground = Ground::new();
    let server = ground.serve(&[]);
    let mut ends = Vec::new();
    for (number, moment) in MOMENTS.into_iter().cycle().take(MOMENTS.len() * ROUNDS).enumerate() {
        let name = format!("t{number}");
        let state = round(&ground, &name, moment);
        assert!(state == "Done" || state == "Cancelled", "{name}, {moment:?}: {state}");
        ends.push((name, moment, state));
    }
    server.kill();
    // A restart looks at everything again.
    let server = ground.serve(&[]);
    for (name, moment, state) in &ends {
        assert_eq!(ground.result(name)["state"], state.as_str(), "{name}, {moment:?}");
    }
    server.kill();
    for (name, moment, state) in &ends {
        let events = ground.events(name);
        let ended = events.iter().filter(|stored| matches!(stored.event, Event::Ended(_)));
        assert_eq!(ended.count(), 1, "{name}, {moment:?}");
        assert!(matches!(events.last().unwrap().event, Event::Ended(_)), "{name}, {moment:?}");
        let branches = ground.branches();
        let landed = branches.lines().any(|line| line.trim() == format!("midwatch/{name}"));
        assert_eq!(landed, state == "Done", "{name}, {moment:?}: {branches}");
    }
    // The control: the race is one. What comes first wins, and both did.
    let of = |wanted: &str| ends.iter().filter(|(_, _, state)| state == wanted).count();
    let (done, cancelled) = (of("Done"), of("Cancelled"));
    crate::house::tell(&format!("cancel races {}: done {done}, cancelled {cancelled}", ends.len()));
    assert!(done >= ROUNDS && cancelled >= ROUNDS, "done {done}, cancelled {cancelled}");
}
