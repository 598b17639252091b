//! The laws of the machine, judged from outside: from what was stored and from the task before
//! and after it. Nothing here asks the machine whether it is right.

use std::collections::{BTreeMap, BTreeSet};

use midwatch_core::agent::AgentOutcome;
use midwatch_core::decide::{Decision, MAX_EPOCHS, SLOT_KEPT_SECONDS};
use midwatch_core::event::{
    Action, AgentResult, AgentRun, Artifact, EndKind, Event, LandAction, Role, RunResult, RunWork,
};
use midwatch_core::evidence::{CheckOutcome, Evidence};
use midwatch_core::id::{CommitId, Epoch};
use midwatch_core::pipeline::StepKind;
use midwatch_core::reason::{FailReason, HoldReason};
use midwatch_core::task::{Outcome, State, Task, Wake, WakeEvent};
use midwatch_core::time::Time;

mod law;
mod waiting;

pub(crate) use law::{Broken, Law, keep};

/// What the judge remembers of one task.
#[derive(Debug, Default)]
pub(crate) struct Laws {
    last_epoch: u32,
    /// Ended runs of the implementing agent, and whether saving was tried at least.
    owed: BTreeMap<Epoch, bool>,
    /// Those of them that left commits which no import brings.
    beside: BTreeSet<Epoch>,
    /// The newest implementing agent said that no change is needed.
    said_no_change: bool,
    /// The newest import brought nothing.
    nothing_imported: bool,
    approved: BTreeSet<CommitId>,
    plans: BTreeSet<String>,
    /// Plans that an implementing agent was started with.
    worked_on: BTreeSet<String>,
    reviewed: BTreeSet<CommitId>,
    asked_for_changes: bool,
    landed: bool,
}

impl Laws {
    /// Judges a decision.
    pub(crate) fn decided(task: &Task, now: Time, decision: &Decision) -> Result<(), Broken> {
        if task.state.is_terminal() {
            let nothing = decision.events.is_empty() && decision.wake.is_none();
            return keep(Law::TerminalStays, nothing, decision);
        }
        if !decision.events.is_empty() {
            return decision.events.iter().try_for_each(|event| waiting::decided(task, now, event));
        }
        let Some(wake) = decision.wake else {
            return Err(Broken::new(Law::WaitIsNamed, &task.state));
        };
        let can_come = match (wake, &task.state) {
            (Wake::At(time), State::Queued | State::Held(_)) => time > now,
            // Nobody waits for long for a slot in which nothing runs.
            (Wake::At(time), State::Running(_)) => {
                time > now && time <= now.plus_seconds(SLOT_KEPT_SECONDS)
            }
            (Wake::On(WakeEvent::Admission), State::Queued)
            | (Wake::On(WakeEvent::Resume), State::Held(_)) => true,
            (Wake::On(WakeEvent::Action), State::Running(_)) => !task.open.is_empty(),
            (Wake::On(WakeEvent::Approval), State::Held(hold)) => {
                hold.reason == HoldReason::Approval
            }
            (Wake::On(WakeEvent::Answer), State::Held(hold)) => {
                hold.reason == HoldReason::Question && task.open_questions().next().is_some()
            }
            _ => false,
        };
        keep(Law::WakeCanCome, can_come, (wake, &task.state))
    }

    /// Judges an event that was stored and applied.
    pub(crate) fn applied(
        &mut self,
        before: &Task,
        event: &Event,
        after: &Task,
    ) -> Result<(), Broken> {
        if before.state.is_terminal() {
            return keep(Law::TerminalStays, before == after, event);
        }
        if let State::Running(runs) = &after.state {
            let open: BTreeSet<_> = after.open_runs().map(|order| order.run.clone()).collect();
            keep(Law::RunsAreOpen, *runs == open, (runs, &open))?;
        }
        let landed = before.read_back != after.read_back;
        keep(Law::LandsOnce, !(landed && self.landed), event)?;
        self.landed |= landed;
        match event {
            Event::Intended(action) => self.intended(before, action),
            Event::RunEnded { epoch, result, .. } => self.run_ended(before, *epoch, result, after),
            Event::Imported { epoch, facts } => {
                self.imported(*epoch);
                self.nothing_imported = facts.empty || facts.commit == after.spec.base;
                Ok(())
            }
            Event::NothingToImport { epoch } => {
                self.imported(*epoch);
                self.nothing_imported = true;
                Ok(())
            }
            Event::Rescued { epoch, .. } => {
                // A rescue holds everything, an import what is on the branch.
                self.beside.remove(epoch);
                self.owed.remove(epoch);
                Ok(())
            }
            Event::LandFailed { key, reason, .. } => {
                match before.open.get(key) {
                    Some(Action::Land(LandAction::SaveRescue { epoch, .. })) => {
                        self.owed.insert(*epoch, true);
                    }
                    // It waits in its workspace until what it stands on can be had.
                    Some(Action::Land(LandAction::Import { epoch, .. }))
                        if *reason == FailReason::RepositoryAway =>
                    {
                        self.owed.insert(*epoch, true);
                    }
                    Some(_) | None => {}
                }
                Ok(())
            }
            Event::Approved { commit, .. } => {
                self.approved.insert(commit.clone());
                Ok(())
            }
            Event::Rejected { .. } => {
                self.approved.clear();
                self.plans.clear();
                Ok(())
            }
            Event::PlanApproved { plan, .. } => {
                self.plans.insert(plan.clone());
                Ok(())
            }
            Event::ReviewReturned { .. } => {
                let asked = std::mem::take(&mut self.asked_for_changes);
                keep(Law::ReturnsAreAskedFor, asked, "returned without a verdict")
            }
            Event::Held(_) => self.all_saved(event),
            Event::Ended(kind) => {
                self.all_saved(event)?;
                self.ended(kind, after)
            }
            Event::Admitted
            | Event::SessionKnown { .. }
            | Event::CheckpointSeen { .. }
            | Event::Fetched { .. }
            | Event::Checkpointed { .. }
            | Event::Landed(_)
            | Event::StopSent { .. }
            | Event::Advanced(_)
            | Event::RepairBegun { .. }
            | Event::Retried { .. }
            | Event::Released
            | Event::EndingChosen(_)
            | Event::CancelRequested { .. }
            | Event::Resumed { .. }
            | Event::CredentialLearnt { .. }
            | Event::ModelAnswered { .. }
            | Event::PauseRequested { .. }
            | Event::QuestionAnswered { .. }
            | Event::Messaged { .. }
            | Event::FollowedUp { .. } => Ok(()),
            Event::AgentUnavailable { .. } => {
                let free = after.attempts <= before.attempts;
                keep(Law::LimitsAreFree, free && after.free_retries == before.free_retries, event)
            }
        }
    }

    fn imported(&mut self, epoch: Epoch) {
        if !self.beside.contains(&epoch) {
            self.owed.remove(&epoch);
        }
    }

    fn all_saved(&self, what: impl std::fmt::Debug) -> Result<(), Broken> {
        let unsaved = self.owed.values().any(|tried| !tried);
        keep(Law::WorkIsSaved, !unsaved, (what, &self.owed))
    }

    fn intended(&mut self, before: &Task, action: &Action) -> Result<(), Broken> {
        let open = before.open.contains_key(&action.key());
        keep(Law::KeysAreUnique, !open, action.key())?;
        match action {
            Action::Run(order) => {
                let grows = order.epoch.0 > self.last_epoch && order.epoch > before.epoch;
                keep(Law::EpochsOnlyGrow, grows, &order.run)?;
                self.last_epoch = order.epoch.0;
                match &order.work {
                    RunWork::Agent(run) => {
                        keep(Law::PausedStartsNoAgent, before.paused.is_none(), &order.run)?;
                        waiting::agent_started(before, run)?;
                        keep(Law::RunsAreBounded, order.epoch.0 <= MAX_EPOCHS, order.epoch)?;
                        self.all_saved(&order.run)?;
                        keep(Law::WorkIsSaved, before.to_import.is_none(), &order.run)?;
                        self.agent_started(before, run)
                    }
                    RunWork::Checkout { .. } | RunWork::Setup { .. } | RunWork::Check { .. } => {
                        keep(Law::RunsAreBounded, order.epoch.0 <= MAX_EPOCHS, order.epoch)
                    }
                    RunWork::Rescue { .. } => {
                        keep(Law::RunsAreBounded, order.epoch.0 <= MAX_EPOCHS + 4, order.epoch)
                    }
                }
            }
            Action::Land(LandAction::Publish { commit, .. }) => {
                keep(Law::MessagesAreHeard, before.messages.is_empty(), commit)?;
                keep(Law::CancelStopsPublishing, !before.cancel, commit)?;
                keep(Law::PublishesVerified, green(before, commit), commit)?;
                keep(Law::LandsOnce, !self.landed, commit)?;
                self.handed_over(before, commit)
            }
            Action::Land(LandAction::Keep { commit, .. }) => {
                keep(Law::MessagesAreHeard, before.messages.is_empty(), commit)?;
                keep(Law::CancelStopsPublishing, !before.cancel, commit)?;
                let asked = before.spec.no_check && !before.spec.push;
                keep(Law::UnverifiedIsAskedFor, asked, commit)?;
                self.handed_over(before, commit)
            }
            Action::Land(LandAction::Import { .. }) => {
                keep(Law::AnswersPublishNothing, !before.spec.pipeline.is_answer(), action.key())
            }
            Action::Land(
                LandAction::Fetch { .. }
                | LandAction::SaveRescue { .. }
                | LandAction::SaveCheckpoint { .. },
            ) => Ok(()),
        }
    }

    fn agent_started(&mut self, before: &Task, run: &AgentRun) -> Result<(), Broken> {
        let steps = &before.spec.pipeline.steps;
        let implement = before.spec.pipeline.implement_at();
        let asks = steps[..implement].iter().any(|s| matches!(s.kind, StepKind::Approval));
        let plans = steps[..implement].iter().any(|s| matches!(s.kind, StepKind::Plan(_)));
        // A follow-up is of work that was planned and approved before.
        let asks = asks && before.spec.follows.is_none();
        if run.role == Role::Implement && asks && before.imported.is_none() {
            if plans {
                let plan = before.plan.as_deref().unwrap_or_default();
                let digest = midwatch_core::plan::digest(plan, &before.questions);
                // An agent that works already may ask anew: then its plan is an older one.
                let known = self.worked_on.contains(plan) || self.plans.contains(&digest);
                self.worked_on.insert(plan.to_owned());
                return keep(Law::ApprovalIsOfThatPlan, known, plan);
            }
            let approved = self.approved.contains(&before.spec.base);
            return keep(Law::ApprovalIsOfThatCommit, approved, "the plan");
        }
        Ok(())
    }

    fn handed_over(&self, before: &Task, commit: &CommitId) -> Result<(), Broken> {
        let steps = &before.spec.pipeline.steps;
        if steps.iter().any(|step| matches!(step.kind, StepKind::Review(_))) {
            keep(Law::ReviewIsOfThatCommit, self.reviewed.contains(commit), commit)?;
        }
        let facts = before.imported.as_ref().map(midwatch_core::landing::Imported::facts);
        let concerns = facts.is_some_and(|facts| {
            !facts.hard_paths.is_empty()
                || !facts.secret_shapes.is_empty()
                || !facts.reserved_names.is_empty()
                || (!facts.check_definitions.is_empty() && !before.spec.checks.is_empty())
        });
        let implement = before.spec.pipeline.implement_at();
        let asks = steps[implement..].iter().any(|s| matches!(s.kind, StepKind::Approval));
        let approved = self.approved.contains(commit) || !(concerns || asks);
        keep(Law::ApprovalIsOfThatCommit, approved, commit)
    }

    fn run_ended(
        &mut self,
        before: &Task,
        epoch: Epoch,
        result: &RunResult,
        after: &Task,
    ) -> Result<(), Broken> {
        let closed = before.open_runs().find(|order| {
            order.epoch == epoch && after.open_runs().all(|open| open.epoch != epoch)
        });
        let Some(order) = closed else {
            return keep(Law::LateChangesNothing, before == after, epoch);
        };
        match &order.work {
            RunWork::Agent(run) => {
                self.agent_ended(run, epoch, result);
                Ok(())
            }
            RunWork::Check { .. } => evidence_is_pure(after),
            RunWork::Rescue { of_epoch, .. } => {
                if !matches!(result, RunResult::Bundled { .. }) {
                    self.owed.insert(*of_epoch, true);
                }
                Ok(())
            }
            RunWork::Checkout { .. } | RunWork::Setup { .. } => Ok(()),
        }
    }

    fn agent_ended(&mut self, run: &AgentRun, epoch: Epoch, result: &RunResult) {
        let ended = match result {
            RunResult::Agent(agent) if agent.outcome == AgentOutcome::Completed => Some(agent),
            _ => None,
        };
        match run.role {
            Role::Plan => self.worked_on.clear(),
            Role::Answer => {}
            Role::Implement => {
                self.owed.insert(epoch, false);
                if ended.is_some_and(|agent| !agent.beside.is_empty()) {
                    self.beside.insert(epoch);
                }
                self.said_no_change =
                    ended.is_some_and(|a| says(a, |it| matches!(it, Artifact::NoChange(_))));
            }
            Role::Review => {
                let says_so = |wanted| {
                    ended.is_some_and(|agent| {
                        let verdicts = agent.artifacts.iter().filter_map(|it| match it {
                            Artifact::Verdict { approve, .. } => Some(*approve),
                            _ => None,
                        });
                        verdicts.collect::<Vec<_>>() == [wanted]
                    })
                };
                if says_so(true) {
                    self.reviewed.insert(run.start.clone());
                }
                self.asked_for_changes = says_so(false);
            }
        }
    }

    fn ended(&self, kind: &EndKind, after: &Task) -> Result<(), Broken> {
        match &after.state {
            State::Ended(Outcome::Done(landed)) => {
                let commit = landed.verified().imported().commit();
                let read_back = Some(landed.read_back()) == after.read_back.as_ref();
                let same = landed.read_back().commit == *commit;
                keep(Law::DoneIsLanded, read_back && same && green(after, commit), commit)
            }
            State::Ended(Outcome::Unverified(kept)) => {
                let asked = after.spec.no_check && !after.spec.push && after.spec.checks.is_empty();
                let same = kept.read_back().commit == *kept.imported().commit();
                keep(Law::UnverifiedIsAskedFor, asked && same, kept)
            }
            State::Ended(Outcome::Answered { text }) => {
                let only = after.spec.pipeline.is_answer() && after.imported.is_none();
                let said = !text.trim().is_empty() && after.read_back.is_none();
                keep(Law::AnswersPublishNothing, only && said, text)
            }
            State::Ended(Outcome::NoChange { why }) => {
                let said = self.said_no_change && self.nothing_imported;
                keep(Law::NoChangeIsSaid, said && after.imported.is_none(), why)
            }
            State::Ended(Outcome::Failed { .. } | Outcome::Cancelled) => Ok(()),
            State::Queued | State::Running(_) | State::Held(_) => {
                Err(Broken::new(Law::DecisionsAreLegal, kind))
            }
        }
    }
}

fn says(agent: &AgentResult, what: impl Fn(&Artifact) -> bool) -> bool {
    agent.artifacts.iter().any(what)
}

/// Every check passed on that commit, or failed where that was accepted: told from the results
/// alone.
fn green(task: &Task, commit: &CommitId) -> bool {
    let checks = task.spec.checks.len();
    let Some(evidence) = task.evidence.get(commit) else {
        return false;
    };
    checks > 0
        && (0..checks).all(|index| {
            evidence.get(index).is_some_and(|result| {
                let accepted = task.spec.known_failures && result.outcome() == CheckOutcome::Fail;
                result.commit == *commit && (result.outcome() == CheckOutcome::Pass || accepted)
            })
        })
}

fn evidence_is_pure(task: &Task) -> Result<(), Broken> {
    let pure = |commit: &CommitId, evidence: &Evidence| {
        evidence.commit() == commit && evidence.results().all(|r| r.commit == *commit)
    };
    let all = pure(&task.spec.base, &task.base_evidence)
        && task.evidence.iter().all(|(commit, evidence)| pure(commit, evidence));
    keep(Law::EvidenceIsOfItsCommit, all, &task.evidence)
}
