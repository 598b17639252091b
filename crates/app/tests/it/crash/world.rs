//! What is left in the world when a task is over, in words that do not depend on time.

use std::collections::BTreeMap;

use midwatch_core::event::{Action, Event};
use midwatch_local::store::SqliteStore;
use serde_json::Value;

use super::leaks;
use super::place::{BRANCH, Place, TASK};

/// Everything that may not depend on who died when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct World {
    exit: i32,
    state: String,
    reason: String,
    verified: bool,
    checks: Vec<String>,
    rescue: String,
    /// Branches of the user's repository: tree, and commits on top of the base.
    branches: BTreeMap<String, String>,
    /// Whether the user's own checkout is as it was.
    untouched: bool,
    /// Our refs in `work`, with their trees.
    refs: BTreeMap<String, String>,
    /// The log, event by event, with the names of runs.
    log: Vec<String>,
    /// Lines that the agent left in HOME: one for each start.
    starts: usize,
    /// Bases and layers.
    shared: Vec<String>,
}

impl World {
    /// Looks at a place where nothing goes on any more.
    pub(super) fn of(place: &Place, (exit, result): &(i32, Value)) -> Self {
        let text = |name: &str| result[name].as_str().unwrap_or("null").to_owned();
        let check =
            |check: &Value| format!("{}: {}", check["command"], check["outcome"].as_str().unwrap());
        Self {
            exit: *exit,
            state: text("state"),
            reason: text("reason"),
            verified: result["verified"] == true,
            checks: result["checks"].as_array().unwrap().iter().map(check).collect(),
            rescue: text("rescueRef"),
            branches: branches(place),
            untouched: place.git(&["status", "--porcelain"]).is_empty()
                && place.git(&["symbolic-ref", "HEAD"]) == "refs/heads/main",
            refs: refs(place),
            log: log(place),
            starts: starts(place),
            shared: shared(place),
        }
    }

    /// What differs from a world in which nothing died.
    pub(super) fn differs(&self, whole: &Self) -> Option<String> {
        (self != whole).then(|| format!("{self:#?}\ninstead of {whole:#?}"))
    }
}

/// What is wrong with a task's end, whoever died: one verified branch or a failure with what the
/// agent wrote, nothing doubled, nothing left running.
pub(super) fn wrong(place: &Place, ended: &(i32, Value)) -> Option<String> {
    let (exit, result) = ended;
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: String| {
        if !holds {
            wrong.push(what);
        }
    };
    let branches = branches(place);
    let names: Vec<&str> = branches.keys().map(String::as_str).collect();
    if place.story().done {
        must(*exit == 0 && result["state"] == "Done", format!("{result}"));
        must(result["verified"] == true, "it is not verified".into());
        must(names == ["main", BRANCH], format!("branches {names:?}"));
        let users = place.path("repository/.git");
        let holds = |what: &str| place.git_in(&users, &["rev-parse", "--verify", "--quiet", what]);
        let at = holds(&format!("refs/heads/{BRANCH}"));
        must(result["commit"] == at.as_str(), format!("the branch is at {at}: {result}"));
        let answer = place.git_in(&users, &["show", &format!("{BRANCH}:answer")]);
        must(answer == "42", format!("the answer is {answer}"));
        let early = holds(&format!("{BRANCH}:early"));
        must(!early.is_empty(), "what the agent wrote first is lost".into());
    } else {
        must(*exit == 3 && result["state"] == "Failed", format!("{result}"));
        must(names == ["main"], format!("branches {names:?}"));
        let rescue = result["rescueRef"].as_str().unwrap_or("none");
        let saved = place.git_in(&work(place), &["ls-tree", "--name-only", rescue, "early"]);
        must(saved == "early", format!("{rescue} holds no work"));
    }
    let left = leaks::left(place);
    must(left.is_empty(), format!("left over: {left:?}"));
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

pub(super) fn branches(place: &Place) -> BTreeMap<String, String> {
    let format = "--format=%(refname:short) %(tree)";
    let listed = place.git(&["for-each-ref", format, "refs/"]);
    let pairs = listed.lines().filter_map(|line| line.split_once(' '));
    pairs
        .map(|(name, tree)| {
            let more = place.git(&["rev-list", "--count", &format!("main..{name}")]);
            (name.to_owned(), format!("{tree} +{more}"))
        })
        .collect()
}

/// The store that holds what was imported.
pub(super) fn work(place: &Place) -> std::path::PathBuf {
    let mirrors = std::fs::read_dir(place.state().root().join("mirrors")).unwrap();
    mirrors.flatten().next().unwrap().path().join("work.git")
}

pub(super) fn refs(place: &Place) -> BTreeMap<String, String> {
    let listed = place.git_in(&work(place), &["for-each-ref", "--format=%(refname) %(tree)"]);
    let pairs = listed.lines().filter_map(|line| line.split_once(' '));
    pairs.map(|(name, tree)| (name.to_owned(), tree.to_owned())).collect()
}

fn log(place: &Place) -> Vec<String> {
    let store = SqliteStore::open(&place.state().database()).unwrap();
    let events = store.events(TASK, 0).unwrap();
    // What was seen on the way is in the run's result, too, and by chance only there.
    let events = events.iter().filter(|it| !matches!(it.event, Event::SessionKnown { .. }));
    let told = events.map(|stored| {
        let name = stored.event.name();
        match &stored.event {
            Event::Intended(Action::Run(order)) => format!("{name} {}", order.run),
            Event::RunEnded { run, .. } => format!("{name} {run}"),
            _ => name.to_owned(),
        }
    });
    told.collect()
}

/// How many times the agent was started.
pub(super) fn starts(place: &Place) -> usize {
    let home = place.state().home(TASK, "implement-scripted").join("upper/starts");
    std::fs::read_to_string(home).unwrap_or_default().lines().count()
}

/// Bases and layers. Their last parts do not depend on where the repository is.
fn shared(place: &Place) -> Vec<String> {
    let mut found = Vec::new();
    let root = place.state().root().to_owned();
    for repository in std::fs::read_dir(root.join("bases")).unwrap().flatten() {
        for base in std::fs::read_dir(repository.path()).unwrap() {
            let base = base.unwrap().path();
            // The note beside a base that it is on the disk comes with the task's end, or later.
            if !base.is_dir() {
                continue;
            }
            let files = std::fs::read_dir(&base).unwrap().count();
            found.push(format!("base with {files} entries"));
        }
    }
    for layer in std::fs::read_dir(root.join("deps")).unwrap().flatten() {
        let whole = layer.path().join("workspace/dep/there").is_file();
        found.push(if whole { "layer".to_owned() } else { format!("{layer:?} is not whole") });
    }
    found
}
