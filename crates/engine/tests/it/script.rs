//! What happens in a world when it is acted upon: told by the action alone, so that a second
//! telling is the same.

use midwatch_core::agent::{AgentKind, AgentOutcome, CredentialKind};
use midwatch_core::event::{
    Action, AgentResult, Artifact, Event, LandAction, Role, RunOrder, RunResult, RunWork,
};
use midwatch_core::evidence::{CheckResult, Exit};
use midwatch_core::id::{BranchName, CommitId, Epoch, StepName, TaskName};
use midwatch_core::landing::{ImportFacts, ReadBack};
use midwatch_core::pipeline::{AgentStep, Pipeline, Step, StepKind};
use midwatch_core::plan::Questions;
use midwatch_core::reason::FailReason;
use midwatch_core::task::{Spent, TaskSpec};

/// What goes otherwise than well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Script {
    /// The checks are red on the first imported commits, that many.
    pub(crate) red: u32,
    /// The reviewer asks for changes that often.
    pub(crate) rejections: u32,
    /// The change touches a protected path.
    pub(crate) hard_path: bool,
    /// The first import is refused with this.
    pub(crate) refused: Option<FailReason>,
    /// The first agent's run reaches a limit that resets in an hour.
    pub(crate) limited: bool,
    /// The login of the first agent is rejected, and every other agent is at its limit.
    pub(crate) rejected: bool,
    /// So many runs of an agent are lost with their machine.
    pub(crate) lost: u32,
    /// Agents work until they are told to stop.
    pub(crate) endless: bool,
    /// The publisher answers with another event than its own.
    pub(crate) wrong_answer: bool,
    /// The publisher panics the first time.
    pub(crate) panics: bool,
}

/// All goes well.
pub(crate) const GOOD: Script = Script {
    red: 0,
    rejections: 0,
    hard_path: false,
    refused: None,
    limited: false,
    rejected: false,
    lost: 0,
    endless: false,
    wrong_answer: false,
    panics: false,
};

pub(crate) fn commit(number: u32) -> CommitId {
    CommitId::parse(&format!("{number:040x}")).unwrap()
}

pub(crate) fn name(text: &str) -> TaskName {
    TaskName::parse(text).unwrap()
}

/// A task of these steps: implement, check, review, and publish at the end.
pub(crate) fn spec(task: &str, branch: &str, reviewed: bool) -> TaskSpec {
    let agent = || AgentStep {
        template: "{{goal}} {{evidence}} {{review}}".to_owned(),
        wall_seconds: None,
        max_turns: None,
    };
    let step = |name: &str, kind| Step { name: StepName::parse(name).unwrap(), kind };
    let mut steps =
        vec![step("implement", StepKind::Implement(agent())), step("check", StepKind::Check)];
    if reviewed {
        steps.push(step("review", StepKind::Review(agent())));
    }
    steps.push(step("publish", StepKind::Publish));
    TaskSpec {
        name: name(task),
        goal: "make it so".to_owned(),
        repository: "r".to_owned(),
        base: commit(0),
        pipeline: Pipeline { name: "p".to_owned(), steps, max_repairs: 3, max_reviews: 3 },
        agent: AgentKind::Custom,
        profile: "custom".to_owned(),
        model: None,
        credential: CredentialKind::None,
        credential_key: Some("k".to_owned()),
        resumes: true,
        fallbacks: vec![],
        questions: Questions::Proceed,
        follows: None,
        instructions: String::new(),
        checks: vec!["make test".to_owned(), "make lint".to_owned()],
        setup: Some("npm ci".to_owned()),
        no_check: false,
        known_failures: false,
        branch: BranchName::parse(branch).unwrap(),
        push: true,
        wall_seconds: 60,
        max_turns: None,
        priority: 0,
    }
}

fn agent(outcome: AgentOutcome, artifacts: Vec<Artifact>) -> RunResult {
    RunResult::Agent(Box::new(AgentResult {
        outcome,
        session: Some("session".to_owned()),
        spent: Spent { input_tokens: 10, output_tokens: 1, cost_micros: None },
        text: String::new(),
        artifacts,
        left_out: vec![],
        beside: vec![],
    }))
}

impl Script {
    /// The event of an action. `nth` counts the actions of its kind in the task, from 0.
    pub(crate) fn event(&self, action: &Action, nth: u32, now_seconds: i64) -> Event {
        match action {
            Action::Run(order) => Event::RunEnded {
                run: order.run.clone(),
                epoch: order.epoch,
                result: self.run(order, nth, now_seconds),
            },
            Action::Land(land) => self.land(action, land, nth),
        }
    }

    fn run(&self, order: &RunOrder, nth: u32, now_seconds: i64) -> RunResult {
        match &order.work {
            RunWork::Checkout { .. } => RunResult::BaseReady,
            RunWork::Setup { lock_hash, .. } => {
                RunResult::DepsReady { layer: lock_hash.clone(), kept: false }
            }
            RunWork::Check { commit: of, command, .. } => {
                let number = u32::from_str_radix(&of.as_str()[32..], 16).unwrap();
                let red = number > 0 && number <= self.red;
                RunResult::Checked(CheckResult {
                    commit: of.clone(),
                    command: command.clone(),
                    exit: Exit::Code(i32::from(red)),
                    duration_ms: 1,
                    tests: None,
                    tail: vec!["a line".to_owned()],
                    accepted_missing: vec![],
                })
            }
            RunWork::Agent(run) => match run.role {
                Role::Implement if nth < self.lost => {
                    let (reason, detail) = (FailReason::NodeLost, "gone".to_owned());
                    agent(AgentOutcome::Failed { reason, detail, resets_at: None }, vec![])
                }
                Role::Implement if self.rejected && run.agent == 0 => {
                    let (reason, detail) = (FailReason::Authentication, "401".to_owned());
                    agent(AgentOutcome::Failed { reason, detail, resets_at: None }, vec![])
                }
                Role::Implement if self.rejected || (self.limited && nth == 0) => {
                    let reason = FailReason::UsageLimit;
                    let (detail, resets_at) = ("limit".to_owned(), Some(now_seconds + 3600));
                    agent(AgentOutcome::Failed { reason, detail, resets_at }, vec![])
                }
                Role::Implement | Role::Plan | Role::Answer => {
                    agent(AgentOutcome::Completed, vec![])
                }
                Role::Review => {
                    let approve = nth >= self.rejections;
                    let comments = vec!["more".to_owned()];
                    let verdict = Artifact::Verdict { approve, comments };
                    agent(AgentOutcome::Completed, vec![verdict])
                }
            },
            RunWork::Rescue { .. } => RunResult::Bundled { left_out: vec![], beside: vec![] },
        }
    }

    fn land(&self, action: &Action, land: &LandAction, nth: u32) -> Event {
        match land {
            LandAction::Fetch { .. } => Event::Fetched { lock_hash: "lock".to_owned() },
            LandAction::Import { epoch, base, .. } => match self.refused {
                Some(reason) if nth == 0 => {
                    let detail = "refused".to_owned();
                    Event::LandFailed { key: action.key(), reason, detail }
                }
                Some(_) | None => {
                    Event::Imported { epoch: *epoch, facts: self.facts(nth + 1, base.clone()) }
                }
            },
            LandAction::SaveRescue { epoch, .. } => Event::Rescued {
                epoch: *epoch,
                reference: Some(format!("refs/midwatch/rescue/t/{epoch}")),
                snapshot: Some(commit(1_000 + epoch.0)),
            },
            LandAction::SaveCheckpoint { epoch, .. } => {
                Event::Checkpointed { epoch: *epoch, reference: "refs/c".to_owned() }
            }
            LandAction::Publish { .. } if self.wrong_answer => {
                Event::NothingToImport { epoch: Epoch(77) }
            }
            LandAction::Publish { commit, branch, .. } | LandAction::Keep { commit, branch } => {
                Event::Landed(ReadBack {
                    branch: branch.clone(),
                    commit: commit.clone(),
                    target: "https://forge/r".to_owned(),
                })
            }
        }
    }

    fn facts(&self, number: u32, base: CommitId) -> ImportFacts {
        ImportFacts {
            commit: commit(number),
            base,
            diffstat: "1 file changed".to_owned(),
            hard_paths: if self.hard_path { vec![".github/x".to_owned()] } else { vec![] },
            secret_shapes: vec![],
            reserved_names: vec![],
            soft_paths: vec![],
            invisible_text: vec![],
            check_definitions: vec![],
            lock_hash: "lock".to_owned(),
            empty: false,
        }
    }
}
