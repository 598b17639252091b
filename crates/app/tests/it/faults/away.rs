//! The user's repository is not where it was while its task works: a disk that somebody took, a
//! folder that was moved.

use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::gate::Gate;
use super::ground::Ground;
use crate::house::Told;

/// The repository somewhere else for a while, and a user who is there.
struct Away<'a> {
    ground: &'a Ground,
    place: PathBuf,
}

impl<'a> Away<'a> {
    fn from(ground: &'a Ground) -> Self {
        let place = ground.repository.with_extension("away");
        std::fs::rename(&ground.repository, &place).unwrap();
        Self { ground, place }
    }

    fn midwatch(&self, words: &[&str]) -> Told {
        self.ground.house.midwatch(&self.place, words)
    }

    /// Waits until a task waits for the repository.
    fn is_waited_for(&self, task: &str) -> serde_json::Value {
        let mut told = serde_json::Value::Null;
        super::until("a task that waits for the repository", || {
            told = self.midwatch(&["get", task]).result;
            told["state"] == "Held"
        });
        assert_eq!(told["reason"], "RepositoryAway", "{told}");
        told
    }

    fn back(self) {
        std::fs::rename(&self.place, &self.ground.repository).unwrap();
    }
}

#[test]
fn a_repository_that_is_away_is_waited_for_and_the_work_is_saved_meanwhile() {
    let ground = Ground::new();
    let gates = [(); 3].map(|()| Gate::new());
    let _server = ground.serve(&[]);
    let tasks = ["itself", "resumed", "cancelled"];
    for (task, gate) in tasks.iter().zip(&gates) {
        let goal = format!("do: write made x\ndo: run {}", gate.command());
        ground.begin(task, &goal, "", &[]);
        gate.reached();
    }
    let away = Away::from(&ground);
    assert_eq!(away.midwatch(&["cancel", "cancelled"]).code, Some(0));
    gates.iter().take(2).for_each(|gate| gate.open(Signal::TERM));

    for task in ["itself", "resumed"] {
        let held = away.is_waited_for(task);
        let place = ground.repository.to_str().unwrap();
        assert!(held["detail"].as_str().unwrap().contains(place), "{held}");
        assert!(held["hint"].as_str().unwrap().contains("midwatch resume"), "{held}");
        assert_eq!(held["verified"], true, "checks need no repository: {held}");
        let diff = away.midwatch(&["diff", task]);
        assert!(diff.stdout.contains("+x"), "{}{}", diff.stdout, diff.stderr);
    }
    let cancelled = away.midwatch(&["wait", "cancelled"]);
    cancelled.is("Cancelled", None, 130);
    let saved = cancelled.result["rescueRef"].as_str().unwrap();
    assert!(saved.starts_with("refs/midwatch/rescue/"), "{saved}");
    assert_eq!(cancelled.result["kept"], serde_json::json!([]));
    let folder = away.place.with_extension("opened");
    let opened = away.midwatch(&["open", "cancelled", folder.to_str().unwrap()]);
    assert_eq!(opened.code, Some(0), "{}", opened.stderr);
    assert_eq!(std::fs::read_to_string(folder.join("made")).unwrap(), "x\n");

    away.back();
    // Refused where its pause was over before that: it is at work already.
    ground.midwatch(&["resume", "resumed"]);
    for task in ["resumed", "itself"] {
        ground.in_state(task, "Done");
        ground.wait(task).is_done();
        assert_eq!(ground.on_branch(&format!("midwatch/{task}"), "made"), "x");
    }
    // The control: a repository that stays is waited for by nobody, and costs as many runs.
    ground.begin("control", "do: write made x", "", &[]);
    ground.wait("control").is_done();
    let began = |task: &str| ground.story(task).of("runStarted").len();
    let held = |task: &str| ground.story(task).stdout.contains("RepositoryAway");
    assert_eq!((held("itself"), held("control")), (true, false));
    assert_eq!(began("itself"), began("control"), "nothing is done again");
}

#[test]
fn with_the_mirror_gone_as_well_the_workspace_waits_for_the_repository() {
    let ground = Ground::new();
    let gate = Gate::new();
    let _server = ground.serve(&[]);
    ground.begin("t", &format!("do: write made x\ndo: run {}", gate.command()), "", &[]);
    gate.reached();
    std::fs::remove_dir_all(ground.state().root().join("mirrors")).unwrap();
    let away = Away::from(&ground);
    gate.open(Signal::TERM);
    let held = away.is_waited_for("t");
    assert_eq!(held["commit"], serde_json::Value::Null, "nothing can be imported: {held}");
    let runs = std::fs::read_dir(ground.state().root().join("runs")).unwrap().flatten();
    let layers = ["upper/upper/made", "upper/copy/made"];
    let holds = |run: &Path| layers.iter().any(|made| run.join(made).exists());
    assert!(runs.map(|run| run.path()).any(|run| holds(&run)), "its workspace is there");
    away.back();
    ground.midwatch(&["resume", "t"]);
    ground.in_state("t", "Done");
    ground.wait("t").is_done();
    assert_eq!(ground.on_branch("midwatch/t", "made"), "x");
}
