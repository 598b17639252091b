//! What the world outside adds to a folded view: whole paths, files that are there, and the queue.

use std::path::Path;

use midwatch_api::control::{RunView, TaskView, WaitingView};
use midwatch_core::admit::Waiting;
use midwatch_core::reason::HoldReason;

use super::seen::AGENT;
use super::{place, waiting_view};
use crate::folder::StateFolder;

/// A folded view in its state folder: whole paths, the newest transcript that is there, and why
/// a queued task waits.
pub fn placed(mut view: TaskView, folder: &StateFolder, waiting: Option<&Waiting>) -> TaskView {
    for run in &mut view.runs {
        run.folder = folder.root().join(&run.folder).to_string_lossy().into_owned();
    }
    view.result.transcript = transcript(&view.runs);
    place(&mut view.result, folder);
    if let Some(Waiting { reason, detail, position, of, .. }) = waiting {
        // In the queue nobody paused the task alone.
        let hint = match reason {
            HoldReason::Paused => "it goes on with `midwatch resume --all`",
            reason => reason.hint(),
        };
        view.explain = format!("waits at place {position} of {of} ({reason}): {detail}; {hint}");
        let (position, of) = (Some(*position), Some(*of));
        let waits = waiting_view(reason.as_str(), detail, None);
        view.waiting = Some(WaitingView { position, of, ..waits });
    }
    // A clock that was set back between the two makes no negative time.
    view.ended_ms = view.ended_ms.map(|ended| ended.max(view.submitted_ms));
    view
}

/// Of a task whose agent was to begin, and there is no room to save what it would do.
pub(crate) fn waits_for_disk(view: &mut TaskView) {
    let (reason, detail) =
        (HoldReason::DiskLow, "there is no room to save what the agent would do");
    view.explain = format!("waits ({reason}): {detail}; {}", reason.hint());
    view.waiting = Some(waiting_view(reason.as_str(), detail, None));
}

/// The folder of the newest agent run that has one: its output, events and logs.
pub fn transcript(runs: &[RunView]) -> Option<String> {
    let mut agents = runs.iter().rev().filter(|run| run.kind == AGENT);
    agents.find(|run| Path::new(&run.folder).is_dir()).map(|run| run.folder.clone())
}
