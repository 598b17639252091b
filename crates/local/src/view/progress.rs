//! What an event means to a person who watches.

use midwatch_api::view::{DecidedOn, Progress};
use midwatch_core::agent::AgentOutcome;
use midwatch_core::event::{Action, EndKind, Event, RunResult};
use midwatch_core::evidence::{Exit, NotItsOwn};
use midwatch_core::id::{Epoch, RunName};
use midwatch_core::reason::{FailReason, HoldReason};
use midwatch_core::task::{Task, Wake};
use midwatch_core::time::Time;

use super::result::check_line;
use super::seen::kind;

/// What an event means to a person; none for what only the engine cares about. `task` has taken it
/// in, and `at` is when it was stored.
pub fn progress(task: &Task, event: &Event, at: Time) -> Option<Progress> {
    match event {
        Event::Admitted => Some(state("Running", None)),
        Event::Released => Some(state("Queued", None)),
        Event::Resumed { by } => Some(state("Queued", Some(format!("resumed by {by}")))),
        Event::Intended(Action::Run(order)) => {
            let (kind, command) = kind(&order.work);
            Some(Progress::RunStarted {
                run: order.run.as_str().into(),
                kind: kind.into(),
                step: order.step.as_str().into(),
                command: command.map(ToOwned::to_owned),
            })
        }
        Event::RunEnded { run, epoch, result } => Some(run_ended(task, run, *epoch, result)),
        Event::Imported { facts, .. } => Some(Progress::Imported {
            commit: facts.commit.as_str().into(),
            diffstat: facts.diffstat.clone(),
        }),
        Event::RepairBegun { .. } => {
            Some(Progress::Repair { round: task.repairs, because: "Check".into() })
        }
        Event::ReviewReturned { .. } => {
            Some(Progress::Repair { round: task.reviews, because: "Review".into() })
        }
        Event::FollowedUp { .. } => {
            let round = task.rounds.values().copied().max().unwrap_or(0);
            Some(Progress::Repair { round, because: "Message".into() })
        }
        Event::Rescued { reference: Some(reference), .. } => {
            Some(Progress::Saved { reference: reference.clone() })
        }
        Event::Held(hold) => Some(Progress::State {
            state: "Held".into(),
            reason: Some(hold.reason.as_str().into()),
            detail: Some(hold.detail.clone()),
            until_ms: milliseconds(hold.until),
        }),
        Event::Ended(kind) => Some(ended(kind)),
        Event::Retried { charged, at } => Some(Progress::Retry {
            number: task.attempts.saturating_add(task.free_retries),
            charged: *charged,
            not_before_ms: at.0,
        }),
        Event::AgentUnavailable { agent, reason, detail, until } => {
            Some(unavailable(task, at, *agent, *reason, detail, *until))
        }
        // What another task has met. It is told of the first agent that it stops.
        Event::CredentialLearnt { credential, reason, until, detail, pauses: _ } => {
            // One whose model is not there was stopped before.
            let stopped = |agent: &usize| {
                let gone = task.unavailable.get(agent).map(|gone| gone.reason);
                task.spec.credential_of(*agent) == Some(credential) && gone == Some(*reason)
            };
            let agent = (0..task.spec.agents()).find(stopped)?;
            Some(unavailable(task, at, agent, *reason, detail, *until))
        }
        Event::Approved { commit, by } => {
            Some(decided("Approved", by, Some((DecidedOn::Commit, commit.as_str())), None))
        }
        Event::PlanApproved { plan, by } => {
            Some(decided("Approved", by, Some((DecidedOn::Plan, plan)), None))
        }
        Event::Rejected { feedback, by } => Some(decided("Rejected", by, None, Some(feedback))),
        Event::QuestionAnswered { question, choice, by } => {
            Some(decided("Answered", by, Some((DecidedOn::Question, question)), Some(choice)))
        }
        Event::Messaged { text, by } => Some(decided("Messaged", by, None, Some(text))),
        Event::PauseRequested { by } => Some(decided("Paused", by, None, None)),
        Event::CancelRequested { by } => Some(decided("Cancelled", by, None, None)),
        Event::Rescued { reference: None, .. }
        | Event::Intended(Action::Land(_))
        | Event::SessionKnown { .. }
        | Event::CheckpointSeen { .. }
        | Event::Fetched { .. }
        | Event::NothingToImport { .. }
        | Event::Checkpointed { .. }
        | Event::Landed(_)
        | Event::LandFailed { .. }
        | Event::StopSent { .. }
        | Event::Advanced(_)
        | Event::EndingChosen(_)
        | Event::ModelAnswered { .. } => None,
    }
}

fn state(name: &str, detail: Option<String>) -> Progress {
    Progress::State { state: name.into(), reason: None, detail, until_ms: None }
}

const fn milliseconds(until: Wake) -> Option<i64> {
    match until {
        Wake::At(at) => Some(at.0),
        Wake::On(_) => None,
    }
}

fn decided(
    decision: &str,
    by: &str,
    about: Option<(DecidedOn, &str)>,
    text: Option<&str>,
) -> Progress {
    Progress::Decided {
        decision: decision.into(),
        by: by.into(),
        of: about.map(|(of, _)| of),
        id: about.map(|(_, id)| id.into()),
        text: text.filter(|text| !text.is_empty()).map(Into::into),
    }
}

fn unavailable(
    task: &Task,
    at: Time,
    agent: usize,
    reason: HoldReason,
    detail: &str,
    until: Wake,
) -> Progress {
    Progress::AgentUnavailable {
        agent,
        profile: task.spec.profile_of(agent).into(),
        reason: reason.as_str().into(),
        detail: detail.into(),
        until_ms: milliseconds(until),
        next: task.agent_at(at).ok().map(|next| task.spec.profile_of(next).into()),
    }
}

fn ended(kind: &EndKind) -> Progress {
    let (name, reason, detail) = match kind {
        EndKind::Done => ("Done", None, None),
        EndKind::Unverified => ("Unverified", None, None),
        EndKind::Answered => ("Answered", None, None),
        EndKind::NoChange { why } => ("NoChange", None, Some(why.clone())),
        EndKind::Failed { reason, detail } => {
            ("Failed", Some(reason.as_str().to_owned()), Some(detail.clone()))
        }
        EndKind::Cancelled => ("Cancelled", None, None),
    };
    Progress::State { state: name.into(), reason, detail, until_ms: None }
}

fn run_ended(task: &Task, run: &RunName, epoch: Epoch, result: &RunResult) -> Progress {
    let kept = matches!(result, RunResult::DepsReady { kept: true, .. });
    // What a stopped run says of its end is not why it ended: somebody asked for it. What saves
    // work is never stopped.
    let saves = run.as_str() == format!("{}-rescue-{epoch}", task.spec.name);
    let asked = (task.cancel || task.paused.is_some()) && !saves;
    let failed = |reason: &FailReason, detail: &str| match reason {
        FailReason::Internal if asked => (false, None),
        reason => (false, Some(format!("{reason}: {detail}"))),
    };
    let (ok, detail) = match result {
        RunResult::Checked(check) if asked && check.exit == Exit::NotItsOwn(NotItsOwn::Lost) => {
            (false, None)
        }
        RunResult::Checked(check) => {
            let on_base = check.commit == task.spec.base;
            let check = check_line(check, None);
            return Progress::Check { on_base, check };
        }
        RunResult::BaseReady | RunResult::DepsReady { .. } | RunResult::Bundled { .. } => {
            (true, None)
        }
        RunResult::Agent(agent) => match &agent.outcome {
            AgentOutcome::Completed => (true, None),
            AgentOutcome::Failed { reason, detail, .. } => failed(reason, detail),
        },
        RunResult::Failed { reason, detail } => failed(reason, detail),
        RunResult::SandboxUnavailable { detail } => (false, Some(detail.clone())),
    };
    let stopped = !ok && detail.is_none();
    Progress::RunEnded { run: run.as_str().into(), ok, stopped, kept, detail }
}

#[cfg(test)]
mod tests;
