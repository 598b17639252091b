//! How a task stands or ended, in one line for people and programs.

use std::path::PathBuf;

use midwatch_api::view::{ApprovalLine, CheckLine, LINE_VERSION, ResultLine, UsageLine};
use midwatch_core::evidence::{CheckOutcome, CheckResult, Evidence, Exit};
use midwatch_core::reason::FailReason;
use midwatch_core::task::{Outcome, Spent, State, Task};

use super::{held, kept};
use crate::folder::StateFolder;
use crate::store::TaskRow;

/// How the note begins that says where a branch was pushed.
pub const PUSHED: &str = "pushed to ";

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
pub(super) fn next(task: &Task, reason: FailReason) -> String {
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

/// A check's result as people see it, beside what it was on the base.
pub(super) fn check_line(result: &CheckResult, base: Option<CheckOutcome>) -> CheckLine {
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
