//! A simulated world: it orders tasks and answers intents, well or badly.

use midwatch_core::agent::{AgentKind, AgentOutcome, CredentialKind};
use midwatch_core::event::{
    Action, AgentResult, AgentRun, Artifact, Event, LandAction, Question, Role, RunOrder,
    RunResult, RunWork,
};
use midwatch_core::evidence::{CheckResult, Exit, NotItsOwn, TestCounts};
use midwatch_core::id::{BranchName, CommitId, Epoch, StepName, TaskName};
use midwatch_core::landing::{ImportFacts, ReadBack};
use midwatch_core::pipeline::{AgentStep, Pipeline, Step, StepKind};
use midwatch_core::plan::Questions;
use midwatch_core::reason::FailReason;
use midwatch_core::task::{Fallback, Follows, Spent, Task, TaskSpec};
use midwatch_core::time::Time;

use crate::choices::Choose;

/// The commit of that number.
pub(crate) fn commit(number: u32) -> CommitId {
    CommitId::parse(&format!("{number:040x}")).unwrap()
}

fn step(name: &str, kind: StepKind) -> Step {
    Step { name: StepName::parse(name).unwrap(), kind }
}

fn agent() -> AgentStep {
    let template = "{{goal}} {{plan}} {{evidence}} {{review}}".to_owned();
    AgentStep { template, wall_seconds: None, max_turns: None }
}

/// A pipeline of these steps, one letter each: plan, implement, check, review, approval, aNswer;
/// the publishing step is added where there is a change.
pub(crate) fn pipeline(steps: &str) -> Pipeline {
    let mut made: Vec<Step> = Vec::new();
    for (index, letter) in steps.chars().enumerate() {
        made.push(match letter {
            'p' => step("plan", StepKind::Plan(agent())),
            'i' => step("implement", StepKind::Implement(agent())),
            'c' => step(&format!("check{index}"), StepKind::Check),
            'r' => step("review", StepKind::Review(agent())),
            'n' => step("answer", StepKind::Answer(agent())),
            _ => step(&format!("approval{index}"), StepKind::Approval),
        });
    }
    if !steps.contains('n') {
        made.push(step("publish", StepKind::Publish));
    }
    let pipeline = Pipeline { name: steps.to_owned(), steps: made, max_repairs: 3, max_reviews: 3 };
    pipeline.validate().unwrap();
    pipeline
}

/// A task with one check.
pub(crate) fn spec(steps: &str) -> TaskSpec {
    TaskSpec {
        name: TaskName::parse("t").unwrap(),
        goal: "make it so".to_owned(),
        repository: "r".to_owned(),
        base: commit(0),
        pipeline: pipeline(steps),
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
        checks: vec!["make test".to_owned()],
        setup: None,
        no_check: false,
        known_failures: false,
        branch: BranchName::parse("midwatch/t").unwrap(),
        push: false,
        wall_seconds: 60,
        max_turns: None,
        priority: 0,
    }
}

/// Any task.
pub(crate) fn any_spec(choose: &mut impl Choose) -> TaskSpec {
    let steps = ["ic", "picr", "paicr", "icra", "irc", "icrc", "aic", "paic", "n"];
    let mut spec = spec(choose.of(&steps));
    spec.pipeline.max_repairs = choose.of(&[3, 0, 1]);
    spec.pipeline.max_reviews = choose.of(&[3, 0, 1]);
    let checks = choose.of(&[1, 2, 3, 0]);
    spec.checks = (0..checks).map(|n| format!("check {n}")).collect();
    spec.no_check = checks == 0 && !choose.one_in(8);
    spec.setup = choose.one_in(2).then(|| "npm ci".to_owned());
    spec.known_failures = choose.one_in(4);
    spec.push = choose.one_in(2);
    spec.questions = choose.of(&[Questions::Proceed, Questions::Ask]);
    spec.resumes = !choose.one_in(4);
    for n in 0..choose.of(&[0, 1, 2]) {
        let credential_key = choose.of(&[Some("k".to_owned()), Some(format!("k{n}")), None]);
        let profile = choose.of(&["custom", "other"]).to_owned();
        let resumes = !choose.one_in(3);
        spec.fallbacks.push(Fallback { profile, credential_key, resumes });
    }
    if choose.one_in(5) {
        let task = TaskName::parse("before").unwrap();
        let start = choose.of(&[Some(commit(888_888)), None]);
        let sessions = [("implement".to_owned(), "earlier".to_owned())].into();
        let goal = "what was before".to_owned();
        let chain = vec![task.clone()];
        let onto = start.clone().filter(|_| choose.one_in(2));
        spec.follows = Some(Box::new(Follows { task, goal, start, onto, chain, sessions }));
    }
    spec
}

/// What answers intents.
#[derive(Debug, Default)]
pub(crate) struct World {
    /// Commits made so far.
    pub(crate) commits: u32,
    /// Whether it may answer badly.
    pub(crate) faults: bool,
    /// How much rarer than usual faults are.
    pub(crate) rarer: u32,
}

impl World {
    fn fault(&self, choose: &mut impl Choose, n: u32) -> bool {
        self.faults && choose.one_in(n * self.rarer.max(1))
    }

    fn reason(choose: &mut impl Choose) -> FailReason {
        choose.of(FailReason::ALL)
    }

    /// An answer to an open intent.
    pub(crate) fn answer(
        &mut self,
        task: &Task,
        action: &Action,
        now: Time,
        choose: &mut impl Choose,
    ) -> Event {
        match action {
            Action::Run(order) => Event::RunEnded {
                run: order.run.clone(),
                epoch: order.epoch,
                result: self.run(task, order, now, choose),
            },
            Action::Land(land) => {
                if self.fault(choose, 6) {
                    return Event::LandFailed {
                        key: action.key(),
                        reason: Self::reason(choose),
                        detail: "it failed".to_owned(),
                    };
                }
                self.land(task, land, choose)
            }
        }
    }

    fn run(
        &mut self,
        task: &Task,
        order: &RunOrder,
        now: Time,
        choose: &mut impl Choose,
    ) -> RunResult {
        if self.fault(choose, 12) {
            let (reason, detail) = (Self::reason(choose), "it failed".to_owned());
            return RunResult::Failed { reason, detail };
        }
        if self.fault(choose, 60) {
            return RunResult::SandboxUnavailable { detail: "no seccomp".to_owned() };
        }
        if self.fault(choose, 60) {
            let (layer, of) = ("wrong".to_owned(), commit(999_999));
            let check = check_result(of, "wrong", Exit::Code(0), None);
            return choose.of(&[
                RunResult::BaseReady,
                RunResult::DepsReady { layer, kept: false },
                RunResult::Checked(check),
                RunResult::Bundled { left_out: vec![], beside: vec![] },
                RunResult::Agent(Box::new(agent_result(AgentOutcome::Completed, vec![]))),
            ]);
        }
        match &order.work {
            RunWork::Checkout { .. } => RunResult::BaseReady,
            RunWork::Setup { lock_hash, .. } => {
                RunResult::DepsReady { layer: format!("layer-{lock_hash}"), kept: false }
            }
            RunWork::Check { commit, index, command, .. } => {
                RunResult::Checked(self.check(task, commit, *index, command, choose))
            }
            RunWork::Agent(run) => RunResult::Agent(Box::new(self.agent(run, now, choose))),
            RunWork::Rescue { .. } => RunResult::Bundled { left_out: vec![], beside: vec![] },
        }
    }

    fn check(
        &self,
        task: &Task,
        of: &CommitId,
        index: usize,
        command: &str,
        choose: &mut impl Choose,
    ) -> CheckResult {
        let on_base = *of == task.spec.base;
        let red = self.fault(choose, if on_base { 6 } else { 3 });
        let exit = if red {
            choose.of(&[
                Exit::Code(1),
                Exit::Code(1),
                Exit::Code(139),
                Exit::Code(127),
                Exit::NotItsOwn(NotItsOwn::Deadline),
                Exit::NotItsOwn(NotItsOwn::Lost),
            ])
        } else {
            Exit::Code(0)
        };
        let was = task.base_evidence.get(index).and_then(|r| r.tests.as_ref());
        let was = was.map_or(5, |tests| tests.executed);
        let executed = match (on_base, self.fault(choose, 8)) {
            (true, false) => 5,
            (true, true) => choose.of(&[9, 0]),
            (false, false) => was.max(1),
            (false, true) => choose.of(&[was + 1, was.saturating_sub(1), 0]),
        };
        let failing: Vec<String> = if exit == Exit::Code(0) || executed == 0 {
            vec![]
        } else {
            vec![choose.of(&["a", "b"]).to_owned()]
        };
        let tests = TestCounts { executed, failed: failing.len() as u64, failing, named: true };
        let known = !(self.fault(choose, 10));
        check_result(of.clone(), command, exit, known.then_some(tests))
    }

    fn agent(&self, run: &AgentRun, now: Time, choose: &mut impl Choose) -> AgentResult {
        let outcome = if self.fault(choose, 5) {
            let seconds = now.0 / 1000;
            let far = seconds.saturating_add(30 * 86_400);
            let resets = [None, Some(seconds + 90), Some(seconds - 90), Some(far), Some(i64::MAX)];
            AgentOutcome::Failed {
                reason: Self::reason(choose),
                detail: "limit".to_owned(),
                resets_at: choose.of(&resets),
            }
        } else {
            AgentOutcome::Completed
        };
        let bad = self.fault(choose, 8);
        let verdict = |approve| Artifact::Verdict { approve, comments: vec!["more".to_owned()] };
        let artifacts = match (run.role, bad) {
            (Role::Plan, false) => vec![Artifact::Plan("1. do it".to_owned())],
            (Role::Review, false) => vec![verdict(!(self.fault(choose, 3)))],
            (Role::Implement | Role::Answer, false) => vec![],
            (Role::Plan | Role::Implement | Role::Answer, true) => {
                vec![Artifact::NoChange("it is so".to_owned())]
            }
            (Role::Review, true) => choose.of(&[vec![], vec![verdict(true), verdict(true)]]),
        };
        let mut result = agent_result(outcome, artifacts);
        if self.fault(choose, 6) {
            result.artifacts.extend(["q", "r", "q"].map(question));
        }
        if self.fault(choose, 6) {
            result.beside = vec!["feature".to_owned()];
        }
        let silent = self.fault(choose, 8);
        if run.role == Role::Answer && !silent {
            "forty-two".clone_into(&mut result.text);
        }
        result
    }

    fn land(&mut self, task: &Task, land: &LandAction, choose: &mut impl Choose) -> Event {
        match land {
            LandAction::Fetch { .. } => Event::Fetched { lock_hash: "lock-0".to_owned() },
            LandAction::Import { epoch, base, .. } => {
                if self.fault(choose, 6) {
                    return Event::NothingToImport { epoch: *epoch };
                }
                self.commits += 1;
                let empty = self.fault(choose, 15);
                let odd = self.fault(choose, 40);
                let changed = self.fault(choose, 5);
                let paths =
                    |yes: bool| if yes { vec!["x".to_owned()] } else { Vec::<String>::new() };
                Event::Imported {
                    epoch: *epoch,
                    facts: ImportFacts {
                        commit: if odd { base.clone() } else { commit(self.commits) },
                        base: base.clone(),
                        diffstat: "1 file changed".to_owned(),
                        hard_paths: paths(self.fault(choose, 6)),
                        secret_shapes: paths(self.fault(choose, 20)),
                        reserved_names: paths(self.fault(choose, 30)),
                        soft_paths: vec![],
                        invisible_text: vec![],
                        check_definitions: paths(self.fault(choose, 6)),
                        lock_hash: if changed {
                            format!("lock-{}", self.commits)
                        } else {
                            "lock-0".to_owned()
                        },
                        empty,
                    },
                }
            }
            LandAction::SaveRescue { epoch, .. } => rescued(*epoch, choose.of(&[2, 1, 0])),
            LandAction::SaveCheckpoint { epoch, .. } => {
                Event::Checkpointed { epoch: *epoch, reference: "refs/c".to_owned() }
            }
            LandAction::Publish { commit: id, branch, .. }
            | LandAction::Keep { commit: id, branch } => Event::Landed(ReadBack {
                branch: branch.clone(),
                commit: if self.fault(choose, 12) { commit(999_998) } else { id.clone() },
                target: if task.spec.push { "https://forge/x" } else { "local" }.to_owned(),
            }),
        }
    }
}

/// A question with two choices.
pub(crate) fn question(id: &str) -> Artifact {
    let choices = vec!["this".to_owned(), "that".to_owned()];
    Artifact::Question(Question { id: id.to_owned(), text: format!("{id}?"), choices })
}

fn rescued(epoch: Epoch, found: u32) -> Event {
    Event::Rescued {
        epoch,
        reference: (found > 0).then(|| format!("refs/midwatch/rescue/t/{epoch}/snapshot")),
        snapshot: (found > 1).then(|| commit(1_000_000 + epoch.0)),
    }
}

/// A check's result.
pub(crate) fn check_result(
    commit: CommitId,
    command: &str,
    exit: Exit,
    tests: Option<TestCounts>,
) -> CheckResult {
    let command = command.to_owned();
    let (tail, accepted_missing) = (vec![], vec![]);
    CheckResult { commit, command, exit, duration_ms: 1, tests, tail, accepted_missing }
}

/// An agent's result.
pub(crate) fn agent_result(outcome: AgentOutcome, artifacts: Vec<Artifact>) -> AgentResult {
    AgentResult {
        outcome,
        session: Some("session".to_owned()),
        spent: Spent { input_tokens: 10, output_tokens: 1, cost_micros: Some(5) },
        text: String::new(),
        artifacts,
        left_out: vec![],
        beside: vec![],
    }
}
