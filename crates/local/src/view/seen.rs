//! What is told of a task and is not in its state: who let what through, and the pause between two
//! attempts.

use midwatch_api::view::{ApprovalLine, DecidedOn};
use midwatch_core::event::{Event, RunWork};
use midwatch_core::ports::Stored;
use midwatch_core::reason::FailReason;
use midwatch_core::task::Task;
use midwatch_core::time::Time;

/// Takes an event into the list of what people let through.
pub fn follow_approvals(approvals: &mut Vec<ApprovalLine>, stored: &Stored) {
    let (of, id, by) = match &stored.event {
        Event::Approved { commit, by } => (DecidedOn::Commit, commit.as_str(), by),
        Event::PlanApproved { plan, by } => (DecidedOn::Plan, plan.as_str(), by),
        _ => return,
    };
    let (id, by) = (id.to_owned(), by.clone());
    approvals.push(ApprovalLine { of, id, by, at_ms: stored.at.0 });
}

/// A pause between two attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BetweenAttempts {
    /// What the last attempt came to.
    pub reason: FailReason,
    /// One sentence.
    pub detail: String,
    /// When the next one begins.
    pub at: Time,
}

/// Takes an event into the pause between two attempts. `before` is the task as it was just before
/// the event: it forgets a failure as soon as it is decided what becomes of it.
pub fn follow_attempts(pause: &mut Option<BetweenAttempts>, before: &Task, event: &Event) {
    match event {
        Event::Retried { at, .. } => {
            *pause = before.failure.as_ref().and_then(|failure| {
                let (reason, detail) = (failure.reason?, failure.detail.clone());
                Some(BetweenAttempts { reason, detail, at: *at })
            });
        }
        Event::Intended(_) | Event::Held(_) | Event::EndingChosen(_) | Event::Ended(_) => {
            *pause = None;
        }
        _ => {}
    }
}

/// The kind of a run in which an agent works.
pub(super) const AGENT: &str = "Agent";

/// What kind of run a work is, and the command that it runs.
pub(super) fn kind(work: &RunWork) -> (&'static str, Option<&str>) {
    match work {
        RunWork::Checkout { .. } => ("Checkout", None),
        RunWork::Setup { command, .. } => ("Setup", Some(command)),
        RunWork::Check { command, .. } => ("Check", Some(command)),
        RunWork::Agent(_) => (AGENT, None),
        RunWork::Rescue { .. } => ("Rescue", None),
    }
}
