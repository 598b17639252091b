//! The fold: how events change a task. A replay of stored events and the live task are the
//! same, because this is the only code that changes either.

use crate::event::{Action, ActionKey, Event, LandAction, RunWork};
use crate::landing::{Imported, saved_import};
use crate::pipeline::{Step, StepKind};
use crate::reason::{FailReason, HoldReason};
use crate::task::{Failure, Said, Stage, State, Task, TaskSpec, Unavailable};
use crate::time::Time;

mod agent;
mod fence;
mod land;
mod people;
mod proof;
mod run;
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
        // What gives its slot back in a pause goes on pausing.
        if let (State::Held(_), Event::Released) = (&self.state, event) {
            self.retry_at = None;
        }
        self.state = state;
        if !over {
            self.learn(event);
        }
        Ok(())
    }

    fn learn(&mut self, event: &Event) {
        self.hear(event);
        match event {
            Event::Admitted => self.settle_failure(),
            Event::Held(hold) => {
                self.settle_failure();
                if let Some(unsaved) = &mut self.unsaved {
                    unsaved.no_room = false;
                }
                // A limit of a forge's, or one that an older version stored: no agent is gone.
                let cools = hold.reason == HoldReason::CredentialCoolingDown;
                let away = hold.reason == HoldReason::RepositoryAway;
                self.pauses += u32::from(cools && self.unavailable.is_empty());
                self.looks += u32::from(away);
            }
            Event::Intended(action) => {
                // The pause before it is over, also where the clock is set back later.
                self.retry_at = None;
                if let Action::Run(order) = action {
                    self.epoch = self.epoch.max(order.epoch);
                    if let RunWork::Agent(run) = &order.work {
                        // An older version went on without what it found no room for.
                        self.give_up_saving();
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
                if let Some(key) = order.map(|order| self.session_key(order)) {
                    self.sessions.insert(key, session.clone());
                }
            }
            Event::CheckpointSeen { run, epoch, number } => {
                self.checkpoint = Some((run.clone(), *epoch, *number));
            }
            Event::Fetched { lock_hash } => {
                self.close("fetch");
                self.looks = 0;
                self.base_lock_hash = Some(lock_hash.clone());
            }
            Event::Imported { epoch, facts } => {
                self.close(&format!("import-{epoch}"));
                self.looks = 0;
                let empty = facts.empty || facts.commit == self.spec.base;
                if !empty {
                    self.rescue_ref = Some(saved_import(&self.spec.name, *epoch));
                }
                self.imported(*epoch, empty, Imported::replay(facts.clone()));
            }
            Event::NothingToImport { epoch } => {
                self.close(&format!("import-{epoch}"));
                self.nothing_new();
            }
            Event::Rescued { epoch, reference, snapshot } => {
                self.close(&format!("rescue-{epoch}"));
                self.unsaved = None;
                self.beside_saved(*epoch, reference.as_deref());
                // A run that left nothing does not undo what an earlier one saved.
                if snapshot.is_some() {
                    self.resume_from.clone_from(snapshot);
                }
                if let Some(reference) = reference
                    && self.is_better(*epoch, reference, snapshot.is_some())
                {
                    self.rescue_ref = Some(reference.clone());
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
                self.pauses += u32::from(self.model_failed().is_some());
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
            Event::Released => {}
            Event::Resumed { .. } => {
                self.paused = None;
                self.looks = 0;
                // What is still at work learnt these in this very run.
                if !matches!(self.state, State::Running(_)) {
                    self.retry_at = None;
                    self.unavailable.clear();
                }
            }
            Event::EndingChosen(ending) => {
                self.failure = None;
                self.ending = Some(ending.clone());
                self.give_up_import();
            }
            // Cancelled while it waited for room.
            Event::Ended(_) => self.give_up_saving(),
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
                let (reason, detail, until) = (*reason, detail.clone(), *until);
                let cools =
                    matches!(reason, HoldReason::CredentialCoolingDown | HoldReason::ModelDown);
                let gone = Unavailable { reason, detail, until };
                let before = self.unavailable.insert(*agent, gone);
                // To meet an outage that is known already is no pause more.
                let again = reason == HoldReason::ModelDown
                    && before.is_some_and(|gone| gone.until == until);
                self.pauses += u32::from(cools && !again);
            }
            Event::CredentialLearnt { credential, reason, until, pauses, detail } => {
                self.pauses = self.pauses.max(*pauses);
                self.outage |= *reason == HoldReason::ModelDown;
                for agent in 0..self.spec.agents() {
                    // A name that is wrong stays wrong, whatever its key may do.
                    if self.spec.credential_of(agent) == Some(credential)
                        && !self.names_no_model(agent)
                    {
                        let (reason, detail, until) = (*reason, detail.clone(), *until);
                        self.unavailable.insert(agent, Unavailable { reason, detail, until });
                    }
                }
            }
            Event::ModelAnswered { .. } => {
                self.pauses = 0;
                self.outage = false;
            }
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
        // What is known of an agent is not over because something else went on.
        if self.unavailable.is_empty() {
            self.pauses = 0;
        }
        self.retry_at = None;
    }

    /// A wait settles what failed before it, but for a wait to save what the failed run left.
    fn settle_failure(&mut self) {
        if self.unsaved.is_none() {
            self.failure = None;
        }
    }

    fn fail(&mut self, reason: Option<FailReason>, detail: String, resets_at: Option<Time>) {
        self.failure = Some(Failure { reason, detail, resets_at, agent: None });
    }
}
