//! What is not let in: reports that come late, and intents that may not be.

use crate::event::{Action, ActionKey, Event, LandAction};
use crate::id::{Epoch, RunName};
use crate::landing::Imported;
use crate::task::{State, Task};

/// Messages that wait for a prompt at most.
const MAX_MESSAGES: usize = 50;

impl Task {
    /// A report about something that is not open: recorded, never applied.
    pub(super) fn is_late(&self, event: &Event) -> bool {
        let open_at = |run: &RunName, epoch: Epoch| {
            self.open_run(run).is_some_and(|order| order.epoch == epoch)
        };
        let open = |key: String| self.open.contains_key(&ActionKey(key));
        match event {
            Event::RunEnded { run, epoch, .. }
            | Event::SessionKnown { run, epoch, .. }
            | Event::ModelAnswered { run, epoch }
            | Event::CheckpointSeen { run, epoch, .. } => !open_at(run, *epoch),
            Event::Fetched { .. } => !open("fetch".to_owned()),
            Event::Imported { epoch, .. } | Event::NothingToImport { epoch } => {
                !open(format!("import-{epoch}"))
            }
            Event::Rescued { epoch, .. } => !open(format!("rescue-{epoch}")),
            Event::Checkpointed { epoch, .. } => !open(format!("checkpoint-{epoch}")),
            Event::Landed(_) => !open("publish".to_owned()) && !open("keep".to_owned()),
            Event::LandFailed { key, .. } => !self.open.contains_key(key),
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
            | Event::FollowedUp { .. } => false,
        }
    }

    /// Whether an intent may be stored at all: no epoch twice, no key twice, and nothing is
    /// published that is not verified. `decide` never asks for such a thing; this is the floor.
    pub(super) fn is_allowed(&self, event: &Event) -> bool {
        let action = match event {
            Event::Intended(action) => action,
            Event::PlanApproved { plan, .. } => return self.plan_may_be_approved(plan),
            Event::QuestionAnswered { question, choice, .. } => {
                let asked = self.questions.iter().find(|asked| asked.question.id == *question);
                return asked.is_some_and(|asked| asked.takes(choice));
            }
            Event::Messaged { text, .. } => return self.takes_message(text),
            Event::Resumed { .. } => {
                return self.paused.is_some() || matches!(self.state, State::Held(_));
            }
            Event::AgentUnavailable { agent, .. } => return *agent < self.spec.agents(),
            Event::CredentialLearnt { credential, .. } => {
                let mut keys = (0..self.spec.agents()).map(|agent| self.spec.credential_of(agent));
                return keys.any(|key| key == Some(credential));
            }
            Event::Admitted
            | Event::RunEnded { .. }
            | Event::SessionKnown { .. }
            | Event::CheckpointSeen { .. }
            | Event::ModelAnswered { .. }
            | Event::Fetched { .. }
            | Event::Imported { .. }
            | Event::NothingToImport { .. }
            | Event::Rescued { .. }
            | Event::Checkpointed { .. }
            | Event::Landed(_)
            | Event::LandFailed { .. }
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
            | Event::PauseRequested { .. }
            | Event::FollowedUp { .. } => return true,
        };
        let allowed = match action {
            Action::Run(order) => order.epoch > self.epoch,
            Action::Land(LandAction::Publish { commit, .. }) => {
                self.verified().is_some_and(|verified| verified.imported().commit() == commit)
            }
            Action::Land(LandAction::Keep { commit, .. }) => {
                let imported = self.imported.as_ref().map(Imported::commit) == Some(commit);
                imported && self.spec.no_check && !self.spec.push
            }
            Action::Land(
                LandAction::Fetch { .. }
                | LandAction::Import { .. }
                | LandAction::SaveRescue { .. }
                | LandAction::SaveCheckpoint { .. },
            ) => true,
        };
        allowed && !self.open.contains_key(&action.key())
    }

    /// An approval is of the plan at hand, and of no plan with open questions.
    fn plan_may_be_approved(&self, plan: &str) -> bool {
        self.plan_at_hand().as_deref() == Some(plan) && self.open_questions().next().is_none()
    }

    /// Whether something can still be said to the agent: what is handed over already is not
    /// worked on any more, a follow-up is.
    pub fn takes_message(&self, text: &str) -> bool {
        let publishing = self.open.contains_key(&ActionKey("publish".to_owned()))
            || self.open.contains_key(&ActionKey("keep".to_owned()));
        let over = publishing || self.read_back.is_some() || self.cancel || self.ending.is_some();
        !over && !text.trim().is_empty() && self.messages.len() < MAX_MESSAGES
    }
}
