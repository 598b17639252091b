//! What a stage of the work starts next, when nothing is open, unsaved or failed.

use crate::event::{Action, EndKind, Event, LandAction, Role, RunWork};
use crate::evidence::{CheckOutcome, CheckResult, Judgement, judge};
use crate::id::CommitId;
use crate::pipeline::{AgentStep, Step, StepKind};
use crate::plan::{Asked, Questions};
use crate::reason::{FailReason, HoldReason};
use crate::task::{Ending, Hold, Stage, Task, Wake, WakeEvent};
use crate::time::Time;

use super::agent::start_agent;
use super::{Decision, fail, start};

pub(super) fn go_on(task: &Task, now: Time) -> Decision {
    match &task.stage {
        Stage::Fetch if task.base_lock_hash.is_none() => {
            land(LandAction::Fetch { commit: task.spec.base.clone() })
        }
        Stage::Fetch => enter(Stage::Base),
        Stage::Base if task.base_ready => enter(Stage::Setup),
        Stage::Base => run(task, "checkout", RunWork::Checkout { commit: task.spec.base.clone() }),
        Stage::Setup => match setup(task, &task.spec.base) {
            Some(work) => run(task, "setup", work),
            None => enter(Stage::BaseChecks),
        },
        Stage::BaseChecks => base_checks(task),
        Stage::Step(index) => match task.spec.pipeline.steps.get(*index) {
            Some(step) => go_on_with(task, *index, step, now),
            None => fail(FailReason::Internal, "the pipeline ended without publishing"),
        },
    }
}

fn go_on_with(task: &Task, index: usize, step: &Step, now: Time) -> Decision {
    // Work that waits for its import comes first: what was said is about that, too.
    if !task.messages.is_empty() && task.to_import.is_none() {
        // An agent that has yet to begin is told in its prompt.
        let back = match &step.kind {
            StepKind::Implement(_) | StepKind::Answer(_) if task.step_done => Some(index),
            StepKind::Plan(_) | StepKind::Implement(_) | StepKind::Answer(_) => None,
            StepKind::Check | StepKind::Review(_) | StepKind::Approval | StepKind::Publish => {
                task.rework_at()
            }
        };
        if let Some(step) = back {
            return Decision::store(Event::FollowedUp { step });
        }
    }
    if let Some(detail) = open_questions(task, index) {
        return Decision::store(Event::Held(Hold {
            reason: HoldReason::Question,
            detail,
            until: Wake::On(WakeEvent::Answer),
        }));
    }
    match &step.kind {
        StepKind::Plan(_) | StepKind::Implement(_) if task.step_done => {
            enter(Stage::Step(index + 1))
        }
        StepKind::Answer(_) if task.step_done => Decision::store(Event::Ended(EndKind::Answered)),
        StepKind::Plan(agent) => start_agent(task, step, agent, Role::Plan, now),
        StepKind::Answer(agent) => start_agent(task, step, agent, Role::Answer, now),
        StepKind::Implement(agent) => match &task.to_import {
            Some((run, epoch, onto)) => land(LandAction::Import {
                run: run.clone(),
                epoch: *epoch,
                onto: onto.clone(),
                base: task.spec.base.clone(),
            }),
            None => start_agent(task, step, agent, Role::Implement, now),
        },
        StepKind::Check => check(task, index, step),
        StepKind::Review(agent) => review(task, index, step, agent, now),
        StepKind::Approval => approval(task, index),
        StepKind::Publish => publish(task),
    }
}

/// Questions that somebody has to answer before the task goes on, in a sentence. Those of a plan
/// that is approved next are answered there.
fn open_questions(task: &Task, index: usize) -> Option<String> {
    let next = task.spec.pipeline.steps.get(index + 1).map(|step| &step.kind);
    let there = task.step_done && matches!(next, Some(StepKind::Approval));
    let here = task.step().is_some_and(|step| matches!(step.kind, StepKind::Approval));
    // What was said stands for an answer.
    let answered = there || here || !task.messages.is_empty();
    if answered || task.spec.questions == Questions::Proceed {
        return None;
    }
    let open: Vec<String> = task.open_questions().map(Asked::line).collect();
    (!open.is_empty()).then(|| format!("the agent asks: {}", open.join("; ")))
}

fn approval(task: &Task, index: usize) -> Decision {
    let Some(plan) = task.plan_at_hand() else {
        return if approved(task) {
            enter(Stage::Step(index + 1))
        } else {
            hold("the pipeline asks for an approval here")
        };
    };
    if task.plan_approved.as_ref().is_some_and(|(digest, _)| *digest == plan) {
        return enter(Stage::Step(index + 1));
    }
    let open: Vec<String> = task.open_questions().map(Asked::line).collect();
    if open.is_empty() {
        hold(&format!("the plan {} waits for an approval", &plan[..12]))
    } else {
        let asked = open.join("; ");
        hold(&format!("the plan {} waits for answers and an approval: {asked}", &plan[..12]))
    }
}

fn enter(stage: Stage) -> Decision {
    Decision::store(Event::Advanced(stage))
}

fn land(action: LandAction) -> Decision {
    Decision::store(Event::Intended(Action::Land(action)))
}

pub(super) fn run(task: &Task, step: &str, work: RunWork) -> Decision {
    Decision::store(Event::Intended(start(task, step, 0, work)))
}

fn hold(detail: &str) -> Decision {
    Decision::store(Event::Held(Hold {
        reason: HoldReason::Approval,
        detail: detail.to_owned(),
        until: Wake::On(WakeEvent::Approval),
    }))
}

fn approved(task: &Task) -> bool {
    task.approved.as_ref().is_some_and(|(commit, _)| commit == task.head())
}

/// The setup run that a commit's checks need first, if any.
fn setup(task: &Task, commit: &CommitId) -> Option<RunWork> {
    let command = task.spec.setup.clone()?;
    let lock_hash = lock_hash(task, commit)?;
    if task.deps.contains_key(&lock_hash) {
        return None;
    }
    let origin = (*commit != task.spec.base).then(|| commit.clone());
    Some(RunWork::Setup { commit: commit.clone(), origin, lock_hash, command })
}

fn lock_hash(task: &Task, commit: &CommitId) -> Option<String> {
    match &task.imported {
        Some(imported) if imported.commit() == commit => Some(imported.facts().lock_hash.clone()),
        Some(_) | None => task.base_lock_hash.clone(),
    }
}

pub(super) fn deps(task: &Task, commit: &CommitId) -> Option<String> {
    let layer = task.deps.get(&lock_hash(task, commit)?)?;
    Some(layer.layer.clone())
}

fn base_checks(task: &Task) -> Decision {
    let missing = missing_checks(task, &task.spec.base, |index| task.base_evidence.get(index));
    if !missing.is_empty() {
        return Decision { events: missing, wake: None };
    }
    let unable = task.base_evidence.results().find_map(|result| {
        result.could_not_run_because().map(|why| (result.command.as_str(), why))
    });
    match unable {
        Some((command, why)) => fail(
            FailReason::CheckCouldNotRun,
            &format!("`{command}` could not run on the base: {why}"),
        ),
        // A follow-up goes on where work is done: what was planned before it was planned.
        None if task.spec.follows.is_some() => {
            enter(Stage::Step(task.spec.pipeline.implement_at()))
        }
        None => enter(Stage::Step(0)),
    }
}

fn missing_checks<'a>(
    task: &Task,
    commit: &CommitId,
    known: impl Fn(usize) -> Option<&'a CheckResult>,
) -> Vec<Event> {
    let missing = task.spec.checks.iter().enumerate().filter(|(index, _)| known(*index).is_none());
    missing
        .zip(0..)
        .map(|((index, command), ahead)| {
            let work = RunWork::Check {
                commit: commit.clone(),
                index,
                command: command.clone(),
                deps: deps(task, commit),
            };
            Event::Intended(start(task, "check", ahead, work))
        })
        .collect()
}

fn check(task: &Task, index: usize, step: &Step) -> Decision {
    if task.spec.checks.is_empty() {
        return enter(Stage::Step(index + 1));
    }
    let head = task.head();
    if let Some(failure) = &task.setup_failure {
        let evidence = format!("Installing dependencies failed with your changes:\n{failure}");
        return repair(task, FailReason::VerificationFailed, evidence);
    }
    if let Some(work) = setup(task, head) {
        return run(task, "setup", work);
    }
    let evidence = task.head_evidence();
    let missing = missing_checks(task, head, |at| evidence.and_then(|e| e.get(at)));
    if !missing.is_empty() {
        return Decision { events: missing, wake: None };
    }
    let Some(evidence) = evidence else {
        return fail(FailReason::Internal, "there is no evidence and no check to run");
    };
    let commands = task.spec.checks.len();
    match judge(&task.base_evidence, evidence, commands, task.spec.known_failures) {
        Judgement::Green { .. } => enter(Stage::Step(index + 1)),
        Judgement::Repair { otherwise } => {
            debug_assert!(matches!(step.kind, StepKind::Check), "only a check step judges");
            repair(task, otherwise, for_the_prompt(task, evidence.results()))
        }
    }
}

fn repair(task: &Task, otherwise: FailReason, evidence: String) -> Decision {
    if task.repairs < task.spec.pipeline.max_repairs {
        let step = task.spec.pipeline.implement_at();
        return Decision::store(Event::RepairBegun { evidence, step });
    }
    let failed = task
        .head_evidence()
        .and_then(|e| e.results().find(|result| result.outcome() != CheckOutcome::Pass));
    let detail = match failed {
        Some(result) => {
            let why = result.could_not_run_because().unwrap_or("it failed");
            format!("`{}` after {} repairs: {why}", result.command, task.repairs)
        }
        None => evidence,
    };
    fail(otherwise, &detail)
}

/// What failed, said to the agent that has to mend it.
pub(super) fn for_the_prompt<'a>(
    task: &Task,
    results: impl Iterator<Item = &'a CheckResult>,
) -> String {
    let mut text = String::new();
    for (index, result) in results.enumerate() {
        let outcome = result.outcome();
        if outcome == CheckOutcome::Pass {
            continue;
        }
        let before = task.base_evidence.get(index).map_or("unknown", |b| b.outcome().as_str());
        let why = result.could_not_run_because().unwrap_or("it failed");
        let command = &result.command;
        let outcome = outcome.as_str();
        text.push_str("$ ");
        text.push_str(command);
        text.push('\n');
        text.push_str(&[outcome, " (", why, "); before your change: ", before, "\n"].concat());
        for line in &result.tail {
            text.push_str("    ");
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

fn review(task: &Task, index: usize, step: &Step, agent: &AgentStep, now: Time) -> Decision {
    if task.reviewed.as_ref() == Some(task.head()) {
        return enter(Stage::Step(index + 1));
    }
    match &task.review {
        Some(_) if task.reviews + 1 >= task.spec.pipeline.max_reviews => fail(
            FailReason::ReviewRejected,
            &format!("the reviewer still asks for changes after {} rounds", task.reviews + 1),
        ),
        Some(_) => {
            Decision::store(Event::ReviewReturned { step: task.spec.pipeline.implement_at() })
        }
        None => start_agent(task, step, agent, Role::Review, now),
    }
}

fn publish(task: &Task) -> Decision {
    if let Some(read_back) = &task.read_back {
        let kind = if task.spec.checks.is_empty() { EndKind::Unverified } else { EndKind::Done };
        if task.outcome(&kind).is_some() {
            return Decision::store(Event::Ended(kind));
        }
        let detail = format!(
            "{} of {} is at {}, which is not what was handed over",
            read_back.branch,
            read_back.target,
            read_back.commit.short()
        );
        return fail(FailReason::PushRejected, &detail);
    }
    let Some(imported) = &task.imported else {
        return fail(FailReason::EmptyDiff, "there is nothing to publish");
    };
    let verified = task.verified();
    let concerns = concerns(task, verified.as_ref().map_or(&[], |v| v.fewer_tests()));
    if !concerns.is_empty() && !approved(task) {
        return hold(&concerns.join("; "));
    }
    let commit = imported.commit().clone();
    let branch = task.spec.branch.clone();
    match verified {
        Some(_) => land(LandAction::Publish {
            commit,
            base: task.spec.base.clone(),
            branch,
            push: task.spec.push,
        }),
        None if task.spec.no_check && task.spec.checks.is_empty() && !task.spec.push => {
            land(LandAction::Keep { commit, branch })
        }
        None => Decision::store(Event::EndingChosen(Ending::Fail(
            FailReason::VerificationFailed,
            "there is no green evidence for this commit".to_owned(),
        ))),
    }
}

/// What somebody has to see before this change is handed over.
fn concerns(task: &Task, fewer_tests: &[usize]) -> Vec<String> {
    let Some(imported) = &task.imported else {
        return vec![];
    };
    let facts = imported.facts();
    let mut concerns = Vec::new();
    for (what, found) in [
        ("there may be a secret, by its shape", &facts.secret_shapes),
        ("protected paths change", &facts.hard_paths),
        ("a reserved name is new", &facts.reserved_names),
    ] {
        if !found.is_empty() {
            concerns.push(format!("{what}: {}", found.join(", ")));
        }
    }
    if !facts.check_definitions.is_empty() && !task.spec.checks.is_empty() {
        concerns
            .push(format!("what defines a check changes: {}", facts.check_definitions.join(", ")));
    }
    for index in fewer_tests {
        let command = task.spec.checks.get(*index).map_or("a check", String::as_str);
        concerns.push(format!("`{command}` executes fewer tests than on the base"));
    }
    concerns
}
