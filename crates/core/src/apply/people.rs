//! What people said, taken in: a rejection, an answer, the last word.

use crate::event::{Event, RunWork};
use crate::pipeline::{MAX_REPLANS, StepKind};
use crate::reason::FailReason;
use crate::task::{Ending, Settled, Stage, Task};

impl Task {
    /// Keeps what somebody said last until the same would mean something new: until the task waits
    /// again, or an agent has ended. A message stands as long as no agent was told it.
    pub(super) fn hear(&mut self, event: &Event) {
        let settles = match event {
            Event::CancelRequested { .. }
            | Event::Approved { .. }
            | Event::Rejected { .. }
            | Event::Resumed { .. }
            | Event::PauseRequested { .. }
            | Event::PlanApproved { .. }
            | Event::QuestionAnswered { .. }
            | Event::Messaged { .. } => {
                self.last_word = Some(event.clone());
                return;
            }
            Event::Held(_) => true,
            Event::RunEnded { run, .. } => {
                self.open_run(run).is_some_and(|order| matches!(order.work, RunWork::Agent(_)))
            }
            Event::Admitted
            | Event::Intended(_)
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
            | Event::Released
            | Event::EndingChosen(_)
            | Event::Ended(_)
            | Event::AgentUnavailable { .. }
            | Event::CredentialLearnt { .. }
            | Event::FollowedUp { .. } => false,
        };
        let says = matches!(self.last_word, Some(Event::Messaged { .. }));
        let unheard = says && !self.messages.is_empty();
        if settles && !unheard {
            self.last_word = None;
        }
    }

    pub(super) fn rejected(&mut self, feedback: &str) {
        self.approved = None;
        self.plan_approved = None;
        let plans = self.plan_at_hand().is_some();
        self.replans += u32::from(plans);
        match self.rework_at() {
            Some(step) if !feedback.trim().is_empty() && self.replans <= MAX_REPLANS => {
                self.repair = None;
                self.enter(Stage::Step(step));
                self.review = Some(format!("- {feedback}"));
            }
            Some(_) | None => {
                let (reason, detail) = self.rejection();
                self.ending = Some(Ending::Fail(reason, detail));
            }
        }
    }

    pub(super) fn answered(&mut self, id: &str, choice: &str, by: &str) {
        let Some(asked) = self.questions.iter_mut().find(|asked| asked.question.id == id) else {
            return;
        };
        asked.answer = Some((choice.to_owned(), by.to_owned()));
        let question = asked.question.text.clone();
        self.settled.retain(|settled| settled.question != question);
        let (choice, by) = (choice.to_owned(), by.to_owned());
        self.settled.push(Settled { question, choice, by });
    }

    /// What somebody's no means. A shape alone is no proof of a secret; a person who looked at it
    /// and said no is.
    fn rejection(&self) -> (FailReason, String) {
        let shapes = self.imported.as_ref().map(|imported| &imported.facts().secret_shapes);
        match shapes.filter(|shapes| !shapes.is_empty()) {
            Some(shapes) => (
                FailReason::SecretFound,
                format!("somebody rejected the change with {}", shapes.join(", ")),
            ),
            None => (FailReason::ReviewRejected, "somebody rejected the change".to_owned()),
        }
    }

    /// The step before this one whose work a rejection or a message sends back: a plan before it
    /// is implemented, the implementation after that.
    pub(crate) fn rework_at(&self) -> Option<usize> {
        let Stage::Step(now) = self.stage else {
            return None;
        };
        let earlier = self.spec.pipeline.steps.get(..now)?;
        earlier
            .iter()
            .rposition(|step| matches!(step.kind, StepKind::Plan(_) | StepKind::Implement(_)))
    }
}
