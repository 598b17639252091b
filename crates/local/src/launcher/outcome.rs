//! From a runner's report to what a run came to. What decides is the ending, seen from outside.

use midwatch_api::report::{AgentReport, Ending, Output, Report, Verdict};
use midwatch_core::agent::AgentOutcome;
use midwatch_core::event::{
    AgentResult, Artifact, LeftOut, Question, Role, RunOrder, RunResult, RunWork,
};
use midwatch_core::evidence::{CheckResult, Exit, NotItsOwn, TestCounts};
use midwatch_core::id::CommitId;
use midwatch_core::reason::FailReason;
use midwatch_core::task::Spent;

use super::process::Began;

/// What a run came to. `layer` is the name of the layer that a setup run was for.
pub fn result_of(order: &RunOrder, report: &Report, layer: Option<String>) -> RunResult {
    if let Ending::SandboxUnavailable { detail } = &report.ending {
        return RunResult::SandboxUnavailable { detail: detail.clone() };
    }
    match &order.work {
        RunWork::Checkout { .. } => done_or(report, FailReason::Internal, RunResult::BaseReady),
        RunWork::Setup { .. } => match layer {
            Some(layer) => {
                let ready = RunResult::DepsReady { layer, kept: false };
                done_or(report, FailReason::SetupFailed, ready)
            }
            None => failed(FailReason::Internal, "the layer's name is unknown"),
        },
        RunWork::Check { commit, command, .. } => match &report.ending {
            // Killed from outside, as a runner is: it is run again, and no agent is asked to mend it.
            ending @ Ending::Lost { .. } => {
                let (reason, detail) = not_its_own(ending);
                failed(reason, &detail)
            }
            _ => RunResult::Checked(checked(commit, command, report)),
        },
        RunWork::Agent(run) => RunResult::Agent(Box::new(agent(run.role, report))),
        RunWork::Rescue { .. } => {
            let error = report.claim.as_ref().and_then(|claim| claim.error.as_deref());
            let bundled = match error {
                Some(error) => failed(FailReason::Internal, error),
                None => RunResult::Bundled { left_out: left_out(report), beside: beside(report) },
            };
            done_or(report, FailReason::Internal, bundled)
        }
    }
}

/// What a run came to whose runner is gone without a report. The machine failed, or somebody
/// killed it: nothing is known of the command, so a check is run again and no agent is asked to
/// mend what is not its fault. A machine that was started again costs no attempt; a runner that
/// was killed does, because its agent may be why.
pub(super) fn lost(order: &RunOrder, began: Began) -> RunResult {
    let (reason, detail) = match began {
        Began::InThisBoot => {
            (FailReason::Internal, "the runner ended without a report: it was killed")
        }
        Began::InAnotherBoot => (FailReason::NodeLost, "the machine was started again meanwhile"),
    };
    match &order.work {
        RunWork::Agent(_) => RunResult::Agent(Box::new(AgentResult {
            outcome: AgentOutcome::Failed { reason, detail: detail.to_owned(), resets_at: None },
            session: None,
            spent: Spent::default(),
            text: String::new(),
            artifacts: vec![],
            left_out: vec![],
            beside: vec![],
        })),
        RunWork::Checkout { .. }
        | RunWork::Setup { .. }
        | RunWork::Check { .. }
        | RunWork::Rescue { .. } => failed(reason, detail),
    }
}

fn failed(reason: FailReason, detail: &str) -> RunResult {
    RunResult::Failed { reason, detail: detail.to_owned() }
}

/// For runs that prepare or save something: code 0 or a failure.
fn done_or(report: &Report, own: FailReason, done: RunResult) -> RunResult {
    match &report.ending {
        Ending::Exited { code: 0 } => done,
        Ending::Exited { code } => {
            let tail = report.tail.join("\n");
            failed(own, &format!("it ended with code {code}\n{tail}"))
        }
        Ending::Deadline | Ending::Idle if own == FailReason::SetupFailed => {
            failed(own, "it ran into the time limit")
        }
        other => {
            let (reason, detail) = not_its_own(other);
            failed(reason, &detail)
        }
    }
}

/// The reason and a sentence for an ending that is not the command's own.
fn not_its_own(ending: &Ending) -> (FailReason, String) {
    let (reason, detail) = match ending {
        Ending::Exited { code } => (FailReason::Internal, format!("it ended with code {code}")),
        Ending::Deadline => (FailReason::Timeout, "it ran into the wall-clock limit".to_owned()),
        Ending::Idle => {
            (FailReason::Stalled, "it showed no progress for the idle limit".to_owned())
        }
        Ending::OutOfMemory => (FailReason::OutOfMemory, "it ran out of memory".to_owned()),
        Ending::Pids => (FailReason::ProcessLimit, "it ran into the process limit".to_owned()),
        Ending::Disk => (FailReason::Disk, "it ran into the disk limit".to_owned()),
        Ending::Output => (FailReason::OutputLimit, "it printed without end".to_owned()),
        Ending::Stopped => (FailReason::Internal, "it was stopped".to_owned()),
        Ending::Found { reason, detail } => {
            // Written by a runner of ours; one that is newer may know reasons that we do not.
            (FailReason::parse(reason).unwrap_or(FailReason::Stalled), detail.clone())
        }
        Ending::Lost { detail } => (FailReason::Internal, format!("its status was lost: {detail}")),
        Ending::SelfTest { what, detail } => (
            match what.as_str() {
                "endpoint" => FailReason::ModelUnavailable,
                "agent" => FailReason::InvalidInput,
                _ => FailReason::Internal,
            },
            format!("before the agent started, `{what}` did not work: {detail}"),
        ),
        Ending::Prepare { detail } => {
            (FailReason::Internal, format!("the workspace could not be prepared: {detail}"))
        }
        Ending::SandboxUnavailable { detail } => {
            (FailReason::Internal, format!("no sandbox: {detail}"))
        }
    };
    (reason, detail)
}

fn checked(commit: &CommitId, command: &str, report: &Report) -> CheckResult {
    let exit = match &report.ending {
        Ending::Exited { code } => Exit::Code(*code),
        Ending::Deadline | Ending::Idle => Exit::NotItsOwn(NotItsOwn::Deadline),
        Ending::OutOfMemory => Exit::NotItsOwn(NotItsOwn::OutOfMemory),
        Ending::Pids | Ending::Disk | Ending::Output => Exit::NotItsOwn(NotItsOwn::Limit),
        Ending::Prepare { .. } | Ending::SandboxUnavailable { .. } | Ending::SelfTest { .. } => {
            Exit::NotItsOwn(NotItsOwn::Prepare)
        }
        Ending::Stopped | Ending::Found { .. } | Ending::Lost { .. } => {
            Exit::NotItsOwn(NotItsOwn::Lost)
        }
    };
    CheckResult {
        commit: commit.clone(),
        command: command.to_owned(),
        exit,
        duration_ms: report.duration_ms,
        tests: report.tests.clone().map(|tests| TestCounts {
            executed: tests.executed,
            failed: tests.failed,
            failing: tests.failing,
            named: tests.named,
        }),
        tail: report.tail.clone(),
        accepted_missing: report.accepted_missing.clone(),
    }
}

fn agent(role: Role, report: &Report) -> AgentResult {
    let said = report.agent.as_ref();
    AgentResult {
        outcome: agent_outcome(report, said),
        session: said.and_then(|agent| agent.session.clone()),
        spent: said.map_or_else(Spent::default, |agent| Spent {
            input_tokens: agent.input_tokens,
            output_tokens: agent.output_tokens,
            cost_micros: agent.cost_micros,
        }),
        text: said.map(|agent| agent.final_text.clone()).unwrap_or_default(),
        artifacts: said.map(|agent| artifacts(role, agent)).unwrap_or_default(),
        left_out: left_out(report),
        beside: beside(report),
    }
}

fn beside(report: &Report) -> Vec<String> {
    report.claim.as_ref().map(|claim| claim.beside.clone()).unwrap_or_default()
}

fn left_out(report: &Report) -> Vec<LeftOut> {
    let left_out = report.left_out.iter();
    left_out.map(|file| LeftOut { path: file.path.clone(), bytes: file.bytes }).collect()
}

fn agent_outcome(report: &Report, said: Option<&AgentReport>) -> AgentOutcome {
    let fail = |reason, detail, resets_at| AgentOutcome::Failed { reason, detail, resets_at };
    match (&report.ending, said) {
        (Ending::Exited { .. }, Some(agent)) => {
            if let Some(refused) = &agent.outputs_refused {
                // A line too much is no reason to throw work away: it is asked to write them anew.
                let detail = format!("its typed outputs were refused as a whole: {refused}");
                return fail(FailReason::AgentFailed, detail, None);
            }
            if agent.completed {
                // What could not be committed is no empty change: it is saved by a rescue.
                if let Some(error) = report.claim.as_ref().and_then(|it| it.error.as_ref()) {
                    let detail = format!("its work could not be committed: {error}");
                    return fail(FailReason::AgentFailed, detail, None);
                }
                return match blocked(agent) {
                    Some(why) => fail(
                        FailReason::Blocked,
                        format!("the agent cannot go on: {}", in_line(why)),
                        None,
                    ),
                    None => AgentOutcome::Completed,
                };
            }
            let reason = agent.reason.as_deref().and_then(FailReason::parse);
            fail(reason.unwrap_or(FailReason::AgentFailed), agent.detail.clone(), agent.resets_at)
        }
        (Ending::Exited { code }, None) => fail(
            FailReason::Internal,
            format!("it ended with code {code} and left no report"),
            None,
        ),
        (ending @ (Ending::Idle | Ending::Deadline), Some(agent)) => {
            let (reason, detail) = not_its_own(ending);
            // What it waited for when it was stopped, where it said so.
            match agent.reason.as_deref().and_then(FailReason::parse) {
                Some(waited) if waited.facts().elsewhere => {
                    fail(waited, format!("{detail}: {}", agent.detail), agent.resets_at)
                }
                Some(_) | None => fail(reason, detail, None),
            }
        }
        (ending, _) => {
            let (reason, detail) = not_its_own(ending);
            fail(reason, detail, None)
        }
    }
}

fn blocked(agent: &AgentReport) -> Option<&str> {
    agent.outputs.iter().find_map(|output| match output {
        Output::Blocked { why } => Some(why.as_str()),
        Output::Plan { .. }
        | Output::PullRequestText { .. }
        | Output::Verdict { .. }
        | Output::NoChange { .. }
        | Output::Question { .. }
        | Output::FollowUpTask { .. } => None,
    })
}

/// In one line, whatever the agent wrote: a second one would look like ours.
fn in_line(why: &str) -> String {
    why.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn artifacts(role: Role, agent: &AgentReport) -> Vec<Artifact> {
    let mut artifacts: Vec<Artifact> = agent.outputs.iter().cloned().map(artifact).collect();
    let has_verdict = artifacts.iter().any(|a| matches!(a, Artifact::Verdict { .. }));
    if role == Role::Review && !has_verdict {
        artifacts.extend(verdict_in(&agent.final_text).map(artifact));
    }
    artifacts
}

fn artifact(output: Output) -> Artifact {
    match output {
        Output::Plan { text } => Artifact::Plan(text),
        Output::PullRequestText { title, body } => Artifact::PullRequestText { title, body },
        Output::Verdict { verdict, comments } => {
            let approve = match verdict {
                Verdict::Approve => true,
                Verdict::RequestChanges => false,
            };
            Artifact::Verdict { approve, comments }
        }
        Output::NoChange { why } => Artifact::NoChange(in_line(&why)),
        Output::Blocked { why } => Artifact::Blocked(in_line(&why)),
        Output::FollowUpTask { goal } => Artifact::FollowUpTask(goal),
        Output::Question { id, text, choices } => {
            Artifact::Question(Question { id, text, choices })
        }
    }
}

/// The verdict that a reviewer wrote as its last message: the last line that is one, and the
/// only one, so that a quoted example cannot stand in for it.
fn verdict_in(text: &str) -> Option<Output> {
    let verdicts = text.lines().filter_map(|line| {
        let output: Output = serde_json::from_str(line.trim().trim_matches('`')).ok()?;
        matches!(output, Output::Verdict { .. }).then_some(output)
    });
    let mut verdicts: Vec<Output> = verdicts.collect();
    let last = verdicts.pop()?;
    verdicts.iter().all(|other| *other == last).then_some(last)
}

#[cfg(test)]
mod tests {
    use midwatch_core::id::{Epoch, RunName, StepName, TaskName};
    use midwatch_core::reason::RetryRule;

    use super::*;

    #[test]
    fn a_check_that_was_lost_says_nothing_of_the_commit() {
        let (step, epoch) = (StepName::parse("check").unwrap(), Epoch(3));
        let run = RunName::new(&TaskName::parse("t").unwrap(), &step, epoch);
        let commit = CommitId::parse(&"a".repeat(40)).unwrap();
        let work = RunWork::Check { commit, index: 0, command: "true".into(), deps: None };
        let order = RunOrder { run, step, epoch, work };
        let rule = |began| match lost(&order, began) {
            RunResult::Failed { reason, .. } => reason.facts().retry,
            result => panic!("it was judged: {result:?}"),
        };
        assert_eq!(rule(Began::InThisBoot), RetryRule::Charged);
        assert_eq!(rule(Began::InAnotherBoot), RetryRule::Free);
    }

    #[test]
    fn what_an_agent_says_keeps_to_its_line() {
        let why = || "no access\n\nnext:  run me".to_owned();
        for output in [Output::NoChange { why: why() }, Output::Blocked { why: why() }] {
            let (Artifact::NoChange(said) | Artifact::Blocked(said)) = artifact(output) else {
                panic!("another kind")
            };
            assert_eq!(said, "no access next: run me");
        }
    }

    #[test]
    fn one_verdict_or_none() {
        let approve = r#"{"type":"verdict","verdict":"approve"}"#;
        let changes = r#"{"type":"verdict","verdict":"requestChanges","comments":["x"]}"#;
        assert!(verdict_in(&format!("Looks good.\n```json\n{approve}\n```")).is_some());
        assert!(verdict_in(&format!("either\n{approve}\nor\n{changes}")).is_none());
        assert!(verdict_in("approve").is_none());
        assert!(verdict_in(r#"{"type":"verdict","verdict":"sure"}"#).is_none());
    }
}
