//! What follows from what is known of a task. Nothing here changes it.

use crate::event::{Action, LandAction, RunOrder, RunWork};
use crate::evidence::Evidence;
use crate::id::{CommitId, RunName};
use crate::landing::Imported;
use crate::pipeline::{Step, StepKind};
use crate::plan::{Asked, digest};
use crate::reason::{FailReason, HoldReason};
use crate::task::{Hold, Stage, Task, Wake, WakeEvent};
use crate::time::Time;

impl Task {
    /// The open run of that name.
    pub fn open_run(&self, name: &RunName) -> Option<&RunOrder> {
        self.open.values().find_map(|action| match action {
            Action::Run(order) if order.run == *name => Some(order),
            Action::Run(_) | Action::Land(_) => None,
        })
    }

    /// Open runs.
    pub fn open_runs(&self) -> impl Iterator<Item = &RunOrder> {
        self.open.values().filter_map(|action| match action {
            Action::Run(order) => Some(order),
            Action::Land(_) => None,
        })
    }

    /// Open landings that are more than a checkpoint.
    pub fn landing(&self) -> bool {
        self.open.values().any(|action| match action {
            Action::Run(_) | Action::Land(LandAction::SaveCheckpoint { .. }) => false,
            Action::Land(_) => true,
        })
    }

    /// The step at hand.
    pub fn step(&self) -> Option<&Step> {
        match self.stage {
            Stage::Step(index) => self.spec.pipeline.steps.get(index),
            Stage::Fetch | Stage::Base | Stage::Setup | Stage::BaseChecks => None,
        }
    }

    /// The conversation that a run goes on with or began.
    pub fn session_of(&self, order: &RunOrder) -> Option<&str> {
        self.sessions.get(&self.session_key(order)).map(String::as_str)
    }

    /// The name of a run's conversation.
    pub(crate) fn session_key(&self, order: &RunOrder) -> String {
        let agent = match &order.work {
            RunWork::Agent(run) => run.agent,
            RunWork::Checkout { .. }
            | RunWork::Setup { .. }
            | RunWork::Check { .. }
            | RunWork::Rescue { .. } => 0,
        };
        self.spec.session_key(order.step.as_str(), agent)
    }

    /// Questions that nobody has answered.
    pub fn open_questions(&self) -> impl Iterator<Item = &Asked> {
        self.questions.iter().filter(|asked| asked.answer.is_none())
    }

    /// The plan that an approval at the step at hand would be of, by its digest. None where the
    /// approval is of a commit.
    pub fn plan_at_hand(&self) -> Option<String> {
        let Stage::Step(index) = self.stage else {
            return None;
        };
        let here = matches!(self.step()?.kind, StepKind::Approval);
        let before = index < self.spec.pipeline.implement_at();
        let plan = self.plan.as_ref().filter(|_| here && before)?;
        Some(digest(plan, &self.questions))
    }

    /// The agent whose model did not answer, when that is the failure at hand.
    pub(crate) fn model_failed(&self) -> Option<usize> {
        let failure = self.failure.as_ref()?;
        failure.agent.filter(|_| failure.reason == Some(FailReason::ModelUnavailable))
    }

    /// Whether anything that is left to do needs an agent.
    pub fn needs_agent(&self) -> bool {
        let publishes = self.step().is_some_and(|step| matches!(step.kind, StepKind::Publish));
        !publishes || !self.messages.is_empty()
    }

    /// The first agent that can work now; else why none can, and until when.
    ///
    /// # Errors
    /// The hold that the task has to be put into.
    pub fn agent_at(&self, now: Time) -> Result<usize, Hold> {
        let mut all = Vec::new();
        for agent in 0..self.spec.agents() {
            match self.unavailable.get(&agent).filter(|gone| gone.until.lasts(now)) {
                None => return Ok(agent),
                Some(gone) => all.push(gone),
            }
        }
        // The soonest; among those that wait for somebody, a login comes before a name.
        all.sort_by_key(|gone| (gone.until, gone.reason == HoldReason::ModelNotFound));
        let mut details = all.iter().map(|gone| gone.detail.as_str());
        let mut detail = details.next().unwrap_or_default().to_owned();
        // What only somebody can mend is told though the task goes on by itself.
        for gone in all.iter().skip(1).filter(|gone| gone.until == Wake::On(WakeEvent::Resume)) {
            detail = format!("{detail}; of another agent: {}: {}", gone.reason, gone.detail);
        }
        // A task has one agent at least, so there is one that is gone.
        let first = all.first().map(|gone| (gone.reason, gone.until));
        let (reason, until) =
            first.unwrap_or((HoldReason::NeedsLogin, Wake::On(WakeEvent::Resume)));
        Err(Hold { reason, detail, until })
    }

    /// Whether an agent waits for another login.
    pub fn needs_login(&self, agent: usize) -> bool {
        let gone = self.unavailable.get(&agent);
        gone.is_some_and(|gone| gone.reason == HoldReason::NeedsLogin)
    }

    /// Whether the provider does not have an agent's model.
    pub(crate) fn names_no_model(&self, agent: usize) -> bool {
        let gone = self.unavailable.get(&agent);
        gone.is_some_and(|gone| gone.reason == HoldReason::ModelNotFound)
    }

    /// The end of a pause before the next attempt, while it lasts.
    pub fn pauses_until(&self, now: Time) -> Option<Time> {
        self.retry_at.filter(|at| *at > now)
    }

    /// The commit that new work starts from: the newest imported one, else what the task before
    /// has landed, else the base.
    pub fn head(&self) -> &CommitId {
        let landed = self.spec.follows.as_ref().and_then(|follows| follows.onto.as_ref());
        let before = landed.unwrap_or(&self.spec.base);
        self.imported.as_ref().map_or(before, Imported::commit)
    }

    /// Evidence for the newest imported commit, if any.
    pub fn head_evidence(&self) -> Option<&Evidence> {
        self.evidence.get(self.head())
    }
}
