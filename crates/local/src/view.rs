//! What is shown of a task, from its events.

use std::path::PathBuf;

use midwatch_api::control::{TaskView, ToApprove, WaitingView};
use midwatch_api::view::{ApprovalLine, DecidedOn};
use midwatch_core::id::RunName;
use midwatch_core::reason::HoldReason;
use midwatch_core::task::{Outcome, State, Task, Wake};
use midwatch_core::time::Time;
use midwatch_engine::AtHand;

use crate::folder::StateFolder;
use crate::store::TaskRow;

mod held;
mod kept;
mod placed;
mod progress;
mod result;
mod runs;
mod seen;

pub(crate) use held::{approve, look};
pub use kept::place;
pub(crate) use placed::waits_for_disk;
pub use placed::{placed, transcript};
pub use progress::progress;
use result::next;
pub(crate) use result::usage;
pub use result::{PUSHED, result};
pub use runs::{RunSeen, follow_runs};
pub use seen::{BetweenAttempts, follow_approvals, follow_attempts};

/// A task as its events tell of it, with folders relative to the state folder. What hangs on the
/// world outside, its queue and its files, is added by [`placed`].
pub fn folded(
    task: &Task,
    row: &TaskRow,
    runs: &[RunSeen],
    approvals: &[ApprovalLine],
    pause: Option<&BetweenAttempts>,
) -> TaskView {
    let nowhere = StateFolder::new(PathBuf::new());
    let runs = runs.iter().map(|seen| seen.view(task, &nowhere));
    TaskView {
        result: result(task, row, approvals, None),
        goal: row.order.goal.clone(),
        agent: row.order.agent.profile.clone(),
        pipeline: row.order.pipeline.metadata.name.clone(),
        repository: row.order.repository.shown(),
        submitted_ms: row.submitted.0,
        ended_ms: row.ended.map(|at| at.0),
        explain: explain(task, pause),
        waiting: waiting(task, pause),
        needs_login: (0..task.spec.agents()).filter(|agent| task.needs_login(*agent)).collect(),
        plan: waiting_plan(task),
        to_approve: to_approve(task),
        runs: runs.collect(),
        collected: None,
    }
}

/// Why a held task waits, or one between two attempts. Of the queue only [`placed`] knows.
fn waiting(task: &Task, pause: Option<&BetweenAttempts>) -> Option<WaitingView> {
    match &task.state {
        State::Held(hold) => {
            let until = match hold.until {
                Wake::At(at) => Some(at),
                Wake::On(_) => None,
            };
            Some(waiting_view(hold.reason.as_str(), &held::detail(task, hold), until))
        }
        State::Running(runs) if !runs.is_empty() => None,
        State::Queued | State::Running(_) if !task.cancel => {
            pause.map(|pause| waiting_view(pause.reason.as_str(), &pause.detail, Some(pause.at)))
        }
        State::Queued | State::Running(_) | State::Ended(_) => None,
    }
}

/// What waits until a time, or for somebody, with no place in the queue.
fn waiting_view(reason: &str, detail: &str, until: Option<Time>) -> WaitingView {
    let until_ms = until.map(|at| at.0);
    let (reason, detail) = (reason.to_owned(), detail.to_owned());
    WaitingView { reason, detail, position: None, of: None, until_ms }
}

/// The plan that somebody is asked about: before there is a commit, an approval is of the plan.
fn waiting_plan(task: &Task) -> Option<String> {
    match &task.state {
        State::Held(hold) if hold.reason == HoldReason::Approval && task.imported.is_none() => {
            task.plan.clone()
        }
        State::Queued | State::Running(_) | State::Held(_) | State::Ended(_) => None,
    }
}

/// What an approval would be of.
fn to_approve(task: &Task) -> Option<ToApprove> {
    let at_hand = AtHand::of(task)?;
    let of = match at_hand {
        AtHand::Plan(_) => DecidedOn::Plan,
        AtHand::Commit(_) => DecidedOn::Commit,
    };
    Some(ToApprove { of, id: at_hand.digits().into() })
}

/// Why a task waits, or what it does, in one sentence.
fn explain(task: &Task, pause: Option<&BetweenAttempts>) -> String {
    match &task.state {
        State::Running(runs) if !runs.is_empty() => {
            let names: Vec<&str> = runs.iter().map(RunName::as_str).collect();
            let does = match (task.cancel, &task.paused) {
                (true, _) => "is being cancelled, and still runs",
                (false, Some(_)) => "is being paused, and still runs",
                (false, None) => "runs",
            };
            format!("{does} {}", names.join(", "))
        }
        State::Running(_) if task.cancel => "is being cancelled: its work is saved".to_owned(),
        State::Queued | State::Running(_) => match pause {
            Some(BetweenAttempts { reason, detail, at: _ }) => {
                format!("pauses before the next attempt ({reason}): {detail}")
            }
            None if matches!(task.state, State::Queued) => "is about to begin".to_owned(),
            None => "is between two runs".to_owned(),
        },
        State::Held(hold) => {
            let until = match hold.until {
                Wake::At(_) => "goes on by itself",
                Wake::On(_) => "waits for somebody",
            };
            let (detail, hint) = (held::detail(task, hold), held::hint(task, hold));
            format!("is held ({}), {until}: {detail}. {hint}", hold.reason)
        }
        State::Ended(Outcome::Failed { reason, detail }) => {
            format!("failed ({reason}): {detail}. {}", next(task, *reason))
        }
        State::Ended(Outcome::Done(landed)) => format!(
            "is done: {} has {}",
            landed.read_back().branch,
            landed.read_back().commit.short()
        ),
        State::Ended(Outcome::Unverified(_)) => {
            "is on its branch, unverified: no check was run".to_owned()
        }
        State::Ended(Outcome::Answered { .. }) => "is answered".to_owned(),
        State::Ended(Outcome::NoChange { why }) => format!("needed no change: {why}"),
        State::Ended(Outcome::Cancelled) => "was cancelled".to_owned(),
    }
}
