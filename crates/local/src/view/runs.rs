//! A task's runs for a list: when each was begun, when it ended, what it came to.

use midwatch_api::control::RunView;
use midwatch_api::view::Progress;
use midwatch_core::event::{Action, Event, RunResult};
use midwatch_core::id::RunName;
use midwatch_core::ports::Stored;
use midwatch_core::task::Task;
use midwatch_core::time::Time;

use super::progress;
use super::seen::kind;
use crate::folder::StateFolder;

/// A run that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSeen {
    run: RunName,
    kind: &'static str,
    begun: Time,
    end: Option<End>,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
struct End {
    at: Time,
    outcome: String,
    detail: Option<String>,
}

impl RunSeen {
    /// For people and scripts, its folder relative to the state folder.
    pub(super) fn view(&self, task: &Task, nowhere: &StateFolder) -> RunView {
        let end = self.end.as_ref();
        RunView {
            run: self.run.as_str().to_owned(),
            kind: self.kind.into(),
            open: task.open_run(&self.run).is_some(),
            outcome: end.map(|end| end.outcome.clone()),
            detail: end.and_then(|end| end.detail.clone()),
            begun_ms: self.begun.0,
            // A clock that was set back between the two makes no negative time.
            ended_ms: end.map(|end| end.at.max(self.begun).0),
            folder: nowhere.run(self.run.as_str()).to_string_lossy().into_owned(),
        }
    }
}

/// Takes an event into the list of a task's runs: those that were begun. What was found to be
/// there already was not run. `task` has taken it in.
pub fn follow_runs(runs: &mut Vec<RunSeen>, task: &Task, stored: &Stored) {
    match &stored.event {
        Event::Intended(Action::Run(order)) => {
            let (run, kind) = (order.run.clone(), kind(&order.work).0);
            runs.push(RunSeen { run, kind, begun: stored.at, end: None });
        }
        Event::RunEnded { run, result: RunResult::DepsReady { kept: true, .. }, .. } => {
            runs.retain(|seen| seen.run != *run);
        }
        Event::RunEnded { run, .. } => {
            // A late word about an older epoch changes nothing.
            let open = runs.iter_mut().find(|seen| seen.run == *run && seen.end.is_none());
            if let (Some(seen), Some((outcome, detail))) = (open, came_to(task, stored)) {
                seen.end = Some(End { at: stored.at, outcome, detail });
            }
        }
        _ => {}
    }
}

/// In the words in which it is told to who follows the task.
fn came_to(task: &Task, stored: &Stored) -> Option<(String, Option<String>)> {
    match progress(task, &stored.event, stored.at)? {
        Progress::Check { check, on_base: _ } => Some((check.outcome, None)),
        Progress::RunEnded { ok: true, detail, .. } => Some(("Ok".into(), detail)),
        Progress::RunEnded { stopped: true, detail, .. } => Some(("Stopped".into(), detail)),
        Progress::RunEnded { detail, .. } => Some(("Failed".into(), detail)),
        Progress::State { .. }
        | Progress::RunStarted { .. }
        | Progress::Imported { .. }
        | Progress::Repair { .. }
        | Progress::Agent { .. }
        | Progress::Saved { .. }
        | Progress::Decided { .. }
        | Progress::Retry { .. }
        | Progress::AgentUnavailable { .. } => None,
    }
}
