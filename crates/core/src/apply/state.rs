//! The states and what leads from one to the next: one match over both.

use std::collections::BTreeSet;

use crate::event::{Action, EndKind, Event};
use crate::reason::HoldReason;
use crate::task::{Outcome, State};

/// An event that cannot happen in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Illegal {
    /// The state's name.
    pub state: &'static str,
    /// The event.
    pub event: &'static str,
}

impl std::fmt::Display for Illegal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} cannot happen to a task that is {}", self.event, self.state)
    }
}

impl std::error::Error for Illegal {}

impl State {
    /// The state after an event. `outcome` is the proof-bearing end that an `Ended` event needs.
    pub fn next(&self, event: &Event, outcome: Option<Outcome>) -> Result<Self, Illegal> {
        match (self, event) {
            (Self::Queued, Event::Admitted) => Ok(Self::Running(BTreeSet::new())),
            (Self::Running(runs), Event::Intended(Action::Run(order))) => {
                let mut runs = runs.clone();
                runs.insert(order.run.clone());
                Ok(Self::Running(runs))
            }
            (Self::Running(runs), Event::RunEnded { run, .. }) => {
                let mut runs = runs.clone();
                runs.remove(run);
                Ok(Self::Running(runs))
            }
            (Self::Running(runs), Event::Held(hold)) if runs.is_empty() => {
                Ok(Self::Held(hold.clone()))
            }
            (Self::Queued, Event::Held(hold)) if waits_in_the_queue(hold.reason) => {
                Ok(Self::Held(hold.clone()))
            }
            (Self::Held(_), Event::Released | Event::Resumed { .. }) => Ok(Self::Queued),
            // It pauses before the next attempt, and others may have its slot.
            (Self::Running(runs), Event::Released) if runs.is_empty() => Ok(Self::Queued),
            (
                Self::Held(hold),
                Event::Approved { .. } | Event::Rejected { .. } | Event::PlanApproved { .. },
            ) if hold.reason == HoldReason::Approval => Ok(Self::Queued),
            (Self::Held(hold), Event::QuestionAnswered { .. })
                if matches!(hold.reason, HoldReason::Approval | HoldReason::Question) =>
            {
                Ok(self.clone())
            }
            // Said to somebody who waits for an answer, it is one.
            (Self::Held(hold), Event::Messaged { .. })
                if matches!(hold.reason, HoldReason::Approval | HoldReason::Question) =>
            {
                Ok(Self::Queued)
            }
            (Self::Queued | Self::Held(_), Event::Ended(EndKind::Cancelled)) => {
                Ok(Self::Ended(Outcome::Cancelled))
            }
            (Self::Running(runs), Event::Ended(_)) if runs.is_empty() => match outcome {
                Some(outcome) => Ok(Self::Ended(outcome)),
                None => Err(self.illegal(event)),
            },
            (
                Self::Running(_),
                Event::Intended(Action::Land(_))
                | Event::StopSent { .. }
                | Event::Advanced(_)
                | Event::RepairBegun { .. }
                | Event::ReviewReturned { .. }
                | Event::Retried { .. }
                | Event::AgentUnavailable { .. }
                | Event::FollowedUp { .. }
                | Event::EndingChosen(_),
            )
            | (
                Self::Queued | Self::Running(_) | Self::Held(_),
                Event::CancelRequested { .. }
                | Event::PauseRequested { .. }
                // Paused, and not at rest yet: it goes on when what is being stopped has ended.
                | Event::Resumed { .. }
                | Event::CredentialLearnt { .. }
                | Event::Messaged { .. },
            )
            // Late reports are recorded, never applied.
            | (
                Self::Queued | Self::Running(_) | Self::Held(_) | Self::Ended(_),
                Event::SessionKnown { .. }
                | Event::ModelAnswered { .. }
                | Event::CheckpointSeen { .. }
                | Event::Checkpointed { .. }
                | Event::RunEnded { .. }
                | Event::Fetched { .. }
                | Event::Imported { .. }
                | Event::NothingToImport { .. }
                | Event::Rescued { .. }
                | Event::Landed(_)
                | Event::LandFailed { .. },
            ) => Ok(self.clone()),
            (
                Self::Queued | Self::Running(_) | Self::Held(_) | Self::Ended(_),
                Event::Admitted
                | Event::Intended(_)
                | Event::StopSent { .. }
                | Event::Advanced(_)
                | Event::RepairBegun { .. }
                | Event::ReviewReturned { .. }
                | Event::Retried { .. }
                | Event::Held(_)
                | Event::Released
                | Event::EndingChosen(_)
                | Event::Ended(_)
                | Event::CancelRequested { .. }
                | Event::Approved { .. }
                | Event::Rejected { .. }
                | Event::Resumed { .. }
                | Event::AgentUnavailable { .. }
                | Event::CredentialLearnt { .. }
                | Event::PauseRequested { .. }
                | Event::PlanApproved { .. }
                | Event::QuestionAnswered { .. }
                | Event::Messaged { .. }
                | Event::FollowedUp { .. },
            ) => Err(self.illegal(event)),
        }
    }

    pub(super) fn illegal(&self, event: &Event) -> Illegal {
        Illegal { state: self.as_str(), event: event.name() }
    }
}

/// Whether a task can be held for a reason before it was admitted.
const fn waits_in_the_queue(reason: HoldReason) -> bool {
    matches!(
        reason,
        HoldReason::Paused
            | HoldReason::CredentialCoolingDown
            | HoldReason::NeedsLogin
            | HoldReason::ModelDown
    )
}
