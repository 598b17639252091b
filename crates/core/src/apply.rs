//! The fold: how events change a task. A replay of stored events and the live task are the
//! same, because this is the only code that changes either.

use crate::event::{
    Action, ActionKey, EndKind, Event, LandAction, Role, RunOrder, RunResult, RunWork,
};
use crate::evidence::Evidence;
use crate::landing::{Imported, Kept, Landed, Verified, saved_import};
use crate::pipeline::{MAX_ATTEMPTS, MAX_REPLANS, Step, StepKind};
use crate::reason::{FailReason, HoldReason, RetryRule};
use crate::task::{
    Deps, Ending, Failure, Outcome, Said, Settled, Stage, Task, TaskSpec, Unavailable, Unsaved,
};
use crate::time::Time;

mod agent;
mod fence;
mod state;

pub use state::Illegal;

impl Task {
    /// Rebuilds a task from its stored events.
    pub fn replay<'a>(
        spec: TaskSpec,
        events: impl IntoIterator<Item = &'a Event>,
    ) -> Result<Self, Illegal> {
        let mut task = Self::new(spec);
        for event in events {
            task.apply(event)?;
        }
        Ok(task)
    }

    /// Takes one event in.
    pub fn apply(&mut self, event: &Event) -> Result<(), Illegal> {
        if self.is_late(event) {
            return Ok(());
        }
        if !self.is_allowed(event) {
            return Err(self.state.illegal(event));
        }
        let outcome = if let Event::Ended(kind) = event { self.outcome(kind) } else { None };
        let state = self.state.next(event, outcome)?;
        let over = self.state.is_terminal();
        self.state = state;
        if !over {
            self.learn(event);
        }
        Ok(())
    }

    fn learn(&mut self, event: &Event) {
        match event {
            Event::Admitted => self.failure = None,
            Event::Held(hold) => {
                self.failure = None;
                // A limit of a forge's, or one that an older version stored: no agent is gone.
                let cools = hold.reason == HoldReason::CredentialCoolingDown;
                self.pauses += u32::from(cools && self.unavailable.is_empty());
            }
            Event::Intended(action) => {
                if let Action::Run(order) = action {
                    self.epoch = self.epoch.max(order.epoch);
                    if let RunWork::Agent(run) = &order.work {
                        *self.rounds.entry(order.step.as_str().to_owned()).or_default() += 1;
                        self.messages.drain(..run.messages.min(self.messages.len()));
                    }
                }
                self.open.insert(action.key(), action.clone());
            }
            Event::RunEnded { run, epoch, result } => {
                let key = ActionKey(run.as_str().to_owned());
                let current = matches!(self.open.get(&key), Some(Action::Run(order)) if order.epoch == *epoch);
                if current && let Some(Action::Run(order)) = self.open.remove(&key) {
                    let stopped = self.stopping.remove(run);
                    self.run_ended(&order, result, stopped);
                }
            }
            Event::SessionKnown { run, epoch, session } => {
                let order = self.open_run(run).filter(|order| order.epoch == *epoch);
                if let Some(key) = order.map(|order| self.key_of(order)) {
                    self.sessions.insert(key, session.clone());
                }
            }
            Event::CheckpointSeen { run, epoch, number } => {
                self.checkpoint = Some((run.clone(), *epoch, *number));
            }
            Event::Fetched { lock_hash } => {
                self.close("fetch");
                self.base_lock_hash = Some(lock_hash.clone());
            }
            Event::Imported { epoch, facts } => {
                self.close(&format!("import-{epoch}"));
                let empty = facts.empty || facts.commit == self.spec.base;
                if !empty {
                    self.rescue_ref = Some(saved_import(&self.spec.name, *epoch));
                }
                self.imported(empty, Imported::replay(facts.clone()));
            }
            Event::NothingToImport { epoch } => {
                self.close(&format!("import-{epoch}"));
                self.nothing_new();
            }
            Event::Rescued { epoch, reference, snapshot } => {
                self.close(&format!("rescue-{epoch}"));
                self.unsaved = None;
                // A run that left nothing does not undo what an earlier one saved.
                if snapshot.is_some() {
                    self.resume_from.clone_from(snapshot);
                }
                if reference.is_some() {
                    self.rescue_ref.clone_from(reference);
                }
            }
            Event::Checkpointed { epoch, reference } => {
                if let Some(Action::Land(LandAction::SaveCheckpoint { number, .. })) =
                    self.open.remove(&ActionKey(format!("checkpoint-{epoch}")))
                {
                    self.checkpoints_saved.insert(*epoch, number);
                    self.rescue_ref.get_or_insert_with(|| reference.clone());
                }
            }
            Event::Landed(read_back) => {
                self.close("publish");
                self.close("keep");
                self.read_back = Some(read_back.clone());
            }
            Event::LandFailed { key, reason, detail } => self.land_failed(key, *reason, detail),
            Event::StopSent { run } => {
                self.stopping.insert(run.clone());
            }
            Event::Advanced(stage) => self.enter(stage.clone()),
            Event::RepairBegun { evidence, step } => {
                self.repairs += 1;
                self.repair = Some(evidence.clone());
                self.review = None;
                self.setup_failure = None;
                self.enter(Stage::Step(*step));
            }
            Event::ReviewReturned { step } => {
                self.reviews += 1;
                self.repair = None;
                self.enter(Stage::Step(*step));
            }
            Event::Retried { charged, at } => {
                self.failure = None;
                self.retry_at = Some(*at);
                if *charged {
                    self.attempts += 1;
                } else {
                    self.free_retries += 1;
                }
                // Going on with a session failed once already: the last attempts begin anew.
                if self.attempts > 1
                    && let Some(step) = self.step().map(|step| step.name.as_str().to_owned())
                {
                    for agent in 0..self.spec.agents() {
                        self.sessions.remove(&self.spec.session_key(&step, agent));
                    }
                }
            }
            Event::Released => self.retry_at = None,
            Event::Resumed { .. } => {
                self.retry_at = None;
                self.paused = None;
                self.unavailable.clear();
            }
            Event::EndingChosen(ending) => {
                self.failure = None;
                self.ending = Some(ending.clone());
                self.give_up_import();
            }
            Event::Ended(_) => {}
            Event::CancelRequested { .. } => {
                self.cancel = true;
                self.give_up_import();
            }
            Event::Approved { commit, by } => self.approved = Some((commit.clone(), by.clone())),
            Event::Rejected { feedback, .. } => self.rejected(feedback),
            Event::AgentUnavailable { agent, reason, detail, until } => {
                self.failure = None;
                // Another agent has its own attempts.
                self.attempts = 0;
                self.pauses += u32::from(*reason == HoldReason::CredentialCoolingDown);
                let (reason, detail, until) = (*reason, detail.clone(), *until);
                self.unavailable.insert(*agent, Unavailable { reason, detail, until });
            }
            Event::CredentialLearnt { credential, reason, until, pauses, detail } => {
                self.pauses = self.pauses.max(*pauses);
                for agent in 0..self.spec.agents() {
                    if self.spec.credential_of(agent) == Some(credential) {
                        let (reason, detail, until) = (*reason, detail.clone(), *until);
                        self.unavailable.insert(agent, Unavailable { reason, detail, until });
                    }
                }
            }
            Event::ModelAnswered { .. } => self.pauses = 0,
            Event::PauseRequested { by } => self.paused = Some(by.clone()),
            Event::PlanApproved { plan, by } => {
                self.plan_approved = Some((plan.clone(), by.clone()));
            }
            Event::QuestionAnswered { question, choice, by } => self.answered(question, choice, by),
            Event::Messaged { text, by } => {
                self.messages.push(Said { text: text.clone(), by: by.clone() });
            }
            Event::FollowedUp { step } => {
                self.repair = None;
                self.review = None;
                self.enter(Stage::Step(*step));
            }
        }
    }

    /// Removes an intent that has its result.
    fn close(&mut self, key: &str) {
        self.open.remove(&ActionKey(key.to_owned()));
    }

    /// Work that waits for its import, and will not get it, is saved like that of a failed run.
    /// An import that goes on already is waited for.
    fn give_up_import(&mut self) {
        if !self.landing()
            && let Some((run, epoch, _)) = self.to_import.take()
        {
            self.unsaved = Some(Unsaved { run, epoch, by: None, tries: 0 });
        }
    }

    fn enter(&mut self, stage: Stage) {
        if let Stage::Step(index) = stage
            && let Some(Step { kind: StepKind::Review(_), .. }) =
                self.spec.pipeline.steps.get(index)
        {
            // What was asked for has been worked on: the reviewer is asked afresh.
            self.review = None;
        }
        self.stage = stage;
        self.step_done = false;
        self.interrupted = None;
        self.attempts = 0;
        self.free_retries = 0;
        self.pauses = 0;
        self.retry_at = None;
    }

    fn run_ended(&mut self, order: &RunOrder, result: &RunResult, stopped: bool) {
        match (&order.work, result) {
            (RunWork::Checkout { .. }, RunResult::BaseReady) => self.base_ready = true,
            (RunWork::Setup { origin, lock_hash, .. }, RunResult::DepsReady { layer, .. }) => {
                let deps = Deps { origin: origin.clone(), layer: layer.clone() };
                self.deps.insert(lock_hash.clone(), deps);
            }
            (RunWork::Check { commit, index, .. }, RunResult::Checked(check)) => {
                self.last_check = Some(check.clone());
                let evidence = if *commit == self.spec.base {
                    &mut self.base_evidence
                } else {
                    self.evidence
                        .entry(commit.clone())
                        .or_insert_with(|| Evidence::new(commit.clone()))
                };
                if !evidence.add(*index, check.clone()) {
                    let detail = "a check answered for another commit".to_owned();
                    self.fail(Some(FailReason::Internal), detail, None);
                }
            }
            (RunWork::Agent(run), RunResult::Agent(agent)) => {
                self.agent_ended(order, run, agent, stopped);
            }
            (RunWork::Rescue { .. }, RunResult::Bundled) => {
                if let Some(unsaved) = &mut self.unsaved {
                    unsaved.by = Some(order.run.clone());
                }
            }
            (RunWork::Rescue { .. }, RunResult::Failed { reason, .. }) => {
                self.not_saved(reason.facts().retry);
            }
            (
                RunWork::Rescue { .. },
                RunResult::BaseReady
                | RunResult::DepsReady { .. }
                | RunResult::Checked(_)
                | RunResult::Agent(_)
                | RunResult::SandboxUnavailable { .. },
            ) => self.not_saved(RetryRule::Never),
            // The commit's own fault goes back to the agent; the machine's is tried again below.
            (RunWork::Setup { origin: Some(_), .. }, RunResult::Failed { reason, detail })
                if reason.facts().retry == RetryRule::Never =>
            {
                self.setup_failure = Some(detail.clone());
            }
            (work, RunResult::Failed { reason, detail }) => {
                self.keep_unsaved(order, work);
                self.fail(Some(*reason), detail.clone(), None);
                self.blame(work);
            }
            (work, RunResult::SandboxUnavailable { detail }) => {
                self.keep_unsaved(order, work);
                self.fail(None, detail.clone(), None);
            }
            (
                work @ (RunWork::Checkout { .. }
                | RunWork::Setup { .. }
                | RunWork::Check { .. }
                | RunWork::Agent(_)),
                RunResult::BaseReady
                | RunResult::DepsReady { .. }
                | RunResult::Checked(_)
                | RunResult::Agent(_)
                | RunResult::Bundled,
            ) => {
                self.keep_unsaved(order, work);
                let detail = "a run answered with another kind of result".to_owned();
                self.fail(Some(FailReason::Internal), detail, None);
            }
        }
    }

    /// A rescue failed: it is tried again where that can help. What stays unsaved is in the
    /// run's folder, which is kept.
    fn not_saved(&mut self, rule: RetryRule) {
        let Some(unsaved) = &mut self.unsaved else {
            return;
        };
        unsaved.tries += 1;
        let again = matches!(rule, RetryRule::Charged | RetryRule::Free);
        if !again || unsaved.tries >= MAX_ATTEMPTS {
            self.unsaved = None;
        }
    }

    fn keep_unsaved(&mut self, order: &RunOrder, work: &RunWork) {
        if let RunWork::Agent(run) = work
            && run.role == Role::Implement
        {
            let (run, epoch) = (order.run.clone(), order.epoch);
            self.unsaved = Some(Unsaved { run, epoch, by: None, tries: 0 });
        }
    }

    fn imported(&mut self, empty: bool, imported: Imported) {
        let start = self.spec.follows.as_ref().and_then(|follows| follows.start.as_ref());
        // What the task before has left is nothing new.
        let empty = empty || (self.imported.is_none() && start == Some(imported.commit()));
        self.to_import = None;
        self.resume_from = None;
        if empty {
            self.imported = None;
            self.nothing_new();
        } else {
            self.imported = Some(imported);
            self.step_done = true;
        }
    }

    fn land_failed(&mut self, key: &ActionKey, reason: FailReason, detail: &str) {
        let Some(Action::Land(action)) = self.open.remove(key) else {
            return;
        };
        match action {
            LandAction::Import { run, epoch, .. } => {
                self.to_import = None;
                self.unsaved = Some(Unsaved { run, epoch, by: None, tries: 0 });
                self.fail(Some(reason), detail.to_owned(), None);
            }
            LandAction::SaveRescue { .. } => self.not_saved(reason.facts().retry),
            LandAction::SaveCheckpoint { epoch, number, .. } => {
                self.checkpoints_saved.insert(epoch, number);
            }
            LandAction::Fetch { .. } | LandAction::Publish { .. } | LandAction::Keep { .. } => {
                self.fail(Some(reason), detail.to_owned(), None);
            }
        }
    }

    fn rejected(&mut self, feedback: &str) {
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

    fn answered(&mut self, id: &str, choice: &str, by: &str) {
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

    fn fail(&mut self, reason: Option<FailReason>, detail: String, resets_at: Option<Time>) {
        self.failure = Some(Failure { reason, detail, resets_at, agent: None });
    }

    /// The name of a run's conversation.
    fn key_of(&self, order: &RunOrder) -> String {
        let agent = match &order.work {
            RunWork::Agent(run) => run.agent,
            RunWork::Checkout { .. }
            | RunWork::Setup { .. }
            | RunWork::Check { .. }
            | RunWork::Rescue { .. } => 0,
        };
        self.spec.session_key(order.step.as_str(), agent)
    }

    /// The evidence that makes the newest imported commit a verified one.
    pub fn verified(&self) -> Option<Verified> {
        let imported = self.imported.as_ref()?;
        let evidence = self.evidence.get(imported.commit())?;
        let commands = self.spec.checks.len();
        Verified::of(imported, &self.base_evidence, evidence, commands, self.spec.known_failures)
    }

    /// The end of that kind with its proof; none when the proof is not there.
    pub(crate) fn outcome(&self, kind: &EndKind) -> Option<Outcome> {
        match kind {
            EndKind::Done => {
                let landed = Landed::of(&self.verified()?, self.read_back.as_ref()?)?;
                Some(Outcome::Done(Box::new(landed)))
            }
            EndKind::Unverified => {
                let asked = self.spec.no_check && !self.spec.push;
                let kept = Kept::of(self.imported.as_ref()?, self.read_back.as_ref()?)?;
                asked.then(|| Outcome::Unverified(Box::new(kept)))
            }
            EndKind::Answered => {
                let text = self.answer.clone().filter(|_| self.spec.pipeline.is_answer())?;
                Some(Outcome::Answered { text })
            }
            EndKind::NoChange { why } => (self.imported.is_none() && self.no_change.is_some())
                .then(|| Outcome::NoChange { why: why.clone() }),
            EndKind::Failed { reason, detail } => {
                Some(Outcome::Failed { reason: *reason, detail: detail.clone() })
            }
            EndKind::Cancelled => Some(Outcome::Cancelled),
        }
    }
}
