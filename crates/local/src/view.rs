//! What is shown of a task, from its events.

use std::path::{Path, PathBuf};

use midwatch_api::control::{RunView, TaskView, ToApprove, WaitingView};
use midwatch_api::view::{ApprovalLine, CheckLine, LINE_VERSION, ResultLine, UsageLine};
use midwatch_core::admit::Waiting;
use midwatch_core::event::{Action, Event, RunResult, RunWork};
use midwatch_core::evidence::{CheckOutcome, CheckResult, Evidence, Exit};
use midwatch_core::id::RunName;
use midwatch_core::ports::Stored;
use midwatch_core::reason::{FailReason, HoldReason};
use midwatch_core::task::{Outcome, Spent, State, Task, Wake};
use midwatch_core::time::Time;
use midwatch_engine::Seen;

use crate::folder::StateFolder;
use crate::store::TaskRow;

mod held;
mod kept;
mod progress;

pub(crate) use held::{approve, look};
pub use kept::place;
pub use progress::progress;

/// How the note begins that says where a branch was pushed.
pub const PUSHED: &str = "pushed to ";

/// A run that was begun, for the list of a task's runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSeen {
    /// Its name.
    pub run: RunName,
    /// Its kind.
    pub kind: &'static str,
}

/// Takes an event into the list of a task's runs: those that were begun. What was found to be
/// there already was not run.
pub fn follow_runs(runs: &mut Vec<RunSeen>, event: &Event) {
    match event {
        Event::Intended(Action::Run(order)) => {
            runs.push(RunSeen { run: order.run.clone(), kind: kind(&order.work).0 });
        }
        Event::RunEnded { run, result: RunResult::DepsReady { kept: true, .. }, .. } => {
            runs.retain(|seen| seen.run != *run);
        }
        _ => {}
    }
}

/// Takes an event into the list of what people let through.
pub fn follow_approvals(approvals: &mut Vec<ApprovalLine>, stored: &Stored) {
    let (of, id, by) = match &stored.event {
        Event::Approved { commit, by } => ("Commit", commit.as_str(), by),
        Event::PlanApproved { plan, by } => ("Plan", plan.as_str(), by),
        _ => return,
    };
    let (of, id, by) = (of.to_owned(), id.to_owned(), by.clone());
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

/// How a task stands or ended. `transcript` is the folder of its newest agent run.
pub fn result(
    task: &Task,
    row: &TaskRow,
    approvals: &[ApprovalLine],
    transcript: Option<String>,
) -> ResultLine {
    let (reason, detail, hint) = why(task);
    let verified = task.verified();
    let imported = task.imported.as_ref().map(midwatch_core::landing::Imported::facts);
    let done = matches!(task.state, State::Ended(Outcome::Done(_) | Outcome::Unverified(_)));
    ResultLine {
        kind: "result".into(),
        version: LINE_VERSION,
        task: Some(row.name.clone()),
        state: Some(task.state.as_str().into()),
        reason,
        hint,
        detail,
        verified: verified.is_some(),
        rehearsal: row.order.agent.rehearsal,
        branch: done.then(|| task.spec.branch.as_str().to_owned()),
        commit: imported.map(|facts| facts.commit.as_str().to_owned()),
        base: Some(task.spec.base.as_str().to_owned()),
        checks: checks(task),
        // What landed needs no saved copy to be told of.
        rescue_ref: task.rescue_ref.clone().filter(|_| !done),
        kept: kept::kept(task, &StateFolder::new(PathBuf::new())),
        transcript,
        usage: usage(&task.spent),
        diffstat: imported.map(|facts| facts.diffstat.clone()),
        notes: notes(task),
        approvals: approvals.to_vec(),
    }
}

/// What was spent, as far as anything told of it.
pub(crate) fn usage(spent: &Spent) -> UsageLine {
    let known = spent.input_tokens + spent.output_tokens > 0;
    #[expect(clippy::cast_precision_loss, reason = "money for people, far below 2^52 micros")]
    let cost_usd = spent.cost_micros.map(|micros| micros as f64 / 1e6);
    UsageLine {
        input_tokens: known.then_some(spent.input_tokens),
        output_tokens: known.then_some(spent.output_tokens),
        cost_usd,
    }
}

fn why(task: &Task) -> (Option<String>, Option<String>, Option<String>) {
    let text = |s: &str| Some(s.to_owned());
    match &task.state {
        State::Held(hold) => (
            text(hold.reason.as_str()),
            Some(held::detail(task, hold)),
            Some(held::hint(task, hold)),
        ),
        State::Ended(Outcome::Failed { reason, detail }) => {
            (text(reason.as_str()), Some(kept::why(task, detail)), Some(next(task, *reason)))
        }
        State::Ended(Outcome::NoChange { why }) => (None, text(why), None),
        State::Ended(Outcome::Answered { text: answer }) => (None, text(answer), None),
        State::Ended(Outcome::Unverified(_)) => (
            None,
            text("no check was run: nobody knows whether it works"),
            text("run its checks yourself before you merge it"),
        ),
        State::Queued | State::Running(_) | State::Ended(Outcome::Done(_) | Outcome::Cancelled) => {
            (None, None, None)
        }
    }
}

/// What can be done about a failure. Of saved work only where there is some.
fn next(task: &Task, reason: FailReason) -> String {
    let saved = task.rescue_ref.as_ref().map_or("", |_| "; the work so far is saved");
    if reason == FailReason::EmptyDiff && task.beside.values().any(|it| it.saved.is_some()) {
        let name = &task.spec.name;
        return format!("look at what it left with `midwatch open {name}`{saved}");
    }
    format!("{}{saved}", reason.facts().hint)
}

fn checks(task: &Task) -> Vec<CheckLine> {
    let evidence = task.imported.as_ref().and_then(|i| task.evidence.get(i.commit()));
    match evidence {
        Some(evidence) => lines(evidence, Some(&task.base_evidence), task.spec.checks.len()),
        None if task.imported.is_none() => lines(&task.base_evidence, None, task.spec.checks.len()),
        None => vec![],
    }
}

fn lines(evidence: &Evidence, base: Option<&Evidence>, commands: usize) -> Vec<CheckLine> {
    let known = (0..commands).filter_map(|index| Some((index, evidence.get(index)?)));
    known
        .map(|(index, result)| {
            let before = base.and_then(|base| base.get(index));
            check_line(result, before.map(CheckResult::outcome))
        })
        .collect()
}

fn check_line(result: &CheckResult, base: Option<CheckOutcome>) -> CheckLine {
    let outcome = result.outcome();
    CheckLine {
        command: result.command.clone(),
        outcome: outcome.as_str().into(),
        exit_code: match result.exit {
            Exit::Code(code) => Some(code),
            Exit::NotItsOwn(_) => None,
        },
        tests_executed: result.tests.as_ref().map(|tests| tests.executed),
        duration_ms: result.duration_ms,
        base_outcome: base.map(|outcome| outcome.as_str().into()),
        tail: match outcome {
            CheckOutcome::Pass => vec![],
            CheckOutcome::Fail | CheckOutcome::CouldNotRun => result.tail.clone(),
        },
    }
}

fn notes(task: &Task) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(imported) = &task.imported {
        let facts = imported.facts();
        let mut say = |what: &str, paths: &[String]| {
            if !paths.is_empty() {
                notes.push(format!("{what}: {}", paths.join(", ")));
            }
        };
        say("secrets by their shape", &facts.secret_shapes);
        say("protected paths", &facts.hard_paths);
        say("reserved names", &facts.reserved_names);
        say("manifests and lock files", &facts.soft_paths);
        say("invisible characters", &facts.invisible_text);
        say("checkDefinitionChanged", &facts.check_definitions);
    }
    if let Some(read_back) = task.read_back.as_ref().filter(|_| task.spec.push) {
        notes.push(format!("{PUSHED}{}", read_back.target));
    }
    notes.extend(task.beside.values().filter_map(kept::beside));
    for result in task.base_evidence.results() {
        if !result.accepted_missing.is_empty() {
            notes.push(format!("sandbox layers missing: {}", result.accepted_missing.join(", ")));
            break;
        }
    }
    notes
}

/// A task as its events tell of it, with folders relative to the state folder. What hangs on the
/// world outside, its queue and its files, is added by [`placed`].
pub fn folded(
    task: &Task,
    row: &TaskRow,
    runs: &[RunSeen],
    approvals: &[ApprovalLine],
    pause: Option<&BetweenAttempts>,
) -> TaskView {
    let nowhere = StateFolder::new(PathBuf::new());
    let runs = runs.iter().map(|seen| RunView {
        run: seen.run.as_str().to_owned(),
        kind: seen.kind.into(),
        open: task.open_run(&seen.run).is_some(),
        folder: nowhere.run(seen.run.as_str()).to_string_lossy().into_owned(),
    });
    TaskView {
        result: result(task, row, approvals, None),
        goal: row.order.goal.clone(),
        agent: row.order.agent.profile.clone(),
        pipeline: row.order.pipeline.metadata.name.clone(),
        repository: row.order.repository.shown(),
        submitted_ms: row.submitted.0,
        ended_ms: row.ended.map(|at| at.0),
        explain: explain(task, pause),
        waiting: waiting(task, pause),
        needs_login: (0..task.spec.agents()).filter(|agent| task.needs_login(*agent)).collect(),
        plan: waiting_plan(task),
        to_approve: to_approve(task),
        runs: runs.collect(),
    }
}

/// Why a held task waits, or one between two attempts. Of the queue only [`placed`] knows.
fn waiting(task: &Task, pause: Option<&BetweenAttempts>) -> Option<WaitingView> {
    let view = |reason: &str, detail: &str, until: Wake| WaitingView {
        reason: reason.to_owned(),
        detail: detail.to_owned(),
        position: None,
        of: None,
        until_ms: match until {
            Wake::At(at) => Some(at.0),
            Wake::On(_) => None,
        },
    };
    match &task.state {
        State::Held(hold) => {
            Some(view(hold.reason.as_str(), &held::detail(task, hold), hold.until))
        }
        State::Running(runs) if runs.is_empty() && !task.cancel => {
            pause.map(|pause| view(pause.reason.as_str(), &pause.detail, Wake::At(pause.at)))
        }
        State::Running(_) | State::Queued | State::Ended(_) => None,
    }
}

/// The plan that somebody is asked about: before there is a commit, an approval is of the plan.
fn waiting_plan(task: &Task) -> Option<String> {
    match &task.state {
        State::Held(hold) if hold.reason == HoldReason::Approval && task.imported.is_none() => {
            task.plan.clone()
        }
        State::Queued | State::Running(_) | State::Held(_) | State::Ended(_) => None,
    }
}

/// What an approval would be of.
fn to_approve(task: &Task) -> Option<ToApprove> {
    match &task.state {
        State::Held(hold) if hold.reason == HoldReason::Approval => {
            let at_hand = Seen::at_hand(task);
            let of = match at_hand {
                Seen::Plan(_) => "Plan",
                Seen::Commit(_) => "Commit",
            };
            Some(ToApprove { of: of.into(), id: at_hand.digits().into() })
        }
        State::Queued | State::Running(_) | State::Held(_) | State::Ended(_) => None,
    }
}

/// A folded view in its state folder: whole paths, the newest transcript that is there, and why
/// a queued task waits.
pub fn placed(mut view: TaskView, folder: &StateFolder, waiting: Option<&Waiting>) -> TaskView {
    for run in &mut view.runs {
        run.folder = folder.root().join(&run.folder).to_string_lossy().into_owned();
    }
    view.result.transcript = transcript(&view.runs);
    place(&mut view.result, folder);
    if let Some(Waiting { reason, detail, position, of, .. }) = waiting {
        // In the queue nobody paused the task alone.
        let hint = match reason {
            HoldReason::Paused => "it goes on with `midwatch resume --all`",
            reason => reason.hint(),
        };
        view.explain = format!("waits at place {position} of {of} ({reason}): {detail}; {hint}");
        view.waiting = Some(WaitingView {
            reason: reason.as_str().to_owned(),
            detail: detail.clone(),
            position: Some(*position),
            of: Some(*of),
            until_ms: None,
        });
    }
    // A clock that was set back between the two makes no negative time.
    view.ended_ms = view.ended_ms.map(|ended| ended.max(view.submitted_ms));
    view
}

/// Of a task whose agent was to begin, and there is no room to save what it would do.
pub(crate) fn waits_for_disk(view: &mut TaskView) {
    let (reason, detail) =
        (HoldReason::DiskLow, "there is no room to save what the agent would do");
    view.explain = format!("waits ({reason}): {detail}; {}", reason.hint());
    view.waiting = Some(WaitingView {
        reason: reason.as_str().to_owned(),
        detail: detail.to_owned(),
        position: None,
        of: None,
        until_ms: None,
    });
}

/// The folder of the newest agent run that has one: its output, events and logs.
pub fn transcript(runs: &[RunView]) -> Option<String> {
    let mut agents = runs.iter().rev().filter(|run| run.kind == AGENT);
    agents.find(|run| Path::new(&run.folder).is_dir()).map(|run| run.folder.clone())
}

/// Why a task waits, or what it does, in one sentence.
fn explain(task: &Task, pause: Option<&BetweenAttempts>) -> String {
    match &task.state {
        State::Queued => "is about to begin".to_owned(),
        State::Running(runs) if !runs.is_empty() => {
            let names: Vec<&str> = runs.iter().map(RunName::as_str).collect();
            let does = if task.cancel { "is being cancelled, and still runs" } else { "runs" };
            format!("{does} {}", names.join(", "))
        }
        State::Running(_) if task.cancel => "is being cancelled: its work is saved".to_owned(),
        State::Running(_) => match pause {
            Some(BetweenAttempts { reason, detail, at: _ }) => {
                format!("pauses before the next attempt ({reason}): {detail}")
            }
            None => "is between two runs".to_owned(),
        },
        State::Held(hold) => {
            let until = match hold.until {
                Wake::At(_) => "goes on by itself",
                Wake::On(_) => "waits for somebody",
            };
            let (detail, hint) = (held::detail(task, hold), held::hint(task, hold));
            format!("is held ({}), {until}: {detail}. {hint}", hold.reason)
        }
        State::Ended(Outcome::Failed { reason, detail }) => {
            format!("failed ({reason}): {detail}. {}", next(task, *reason))
        }
        State::Ended(Outcome::Done(landed)) => format!(
            "is done: {} has {}",
            landed.read_back().branch,
            landed.read_back().commit.short()
        ),
        State::Ended(Outcome::Unverified(_)) => {
            "is on its branch, unverified: no check was run".to_owned()
        }
        State::Ended(Outcome::Answered { .. }) => "is answered".to_owned(),
        State::Ended(Outcome::NoChange { why }) => format!("needed no change: {why}"),
        State::Ended(Outcome::Cancelled) => "was cancelled".to_owned(),
    }
}

/// The kind of a run in which an agent works.
const AGENT: &str = "Agent";

fn kind(work: &RunWork) -> (&'static str, Option<&str>) {
    match work {
        RunWork::Checkout { .. } => ("Checkout", None),
        RunWork::Setup { command, .. } => ("Setup", Some(command)),
        RunWork::Check { command, .. } => ("Check", Some(command)),
        RunWork::Agent(_) => (AGENT, None),
        RunWork::Rescue { .. } => ("Rescue", None),
    }
}
