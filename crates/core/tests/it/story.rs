//! One task in a world where all goes well but what a story tells.

use midwatch_core::agent::AgentOutcome;
use midwatch_core::decide::decide;
use midwatch_core::event::{Action, AgentRun, Artifact, Event, RunResult, RunWork};
use midwatch_core::evidence::Exit;
use midwatch_core::landing::ImportFacts;
use midwatch_core::reason::{FailReason, HoldReason};
use midwatch_core::task::{Outcome, State, Task, TaskSpec};
use midwatch_core::time::Time;

use crate::choices::Bytes;
use crate::world::{World, agent_result, check_result, commit, spec};

/// A task in a world where all goes well but what a story tells.
pub(crate) struct Story {
    pub(crate) task: Task,
    pub(crate) now: Time,
    world: World,
}

impl Story {
    pub(crate) fn new(spec: TaskSpec) -> Self {
        let mut story =
            Self { task: Task::new(spec), now: Time::from_seconds(1_000), world: World::default() };
        story.take(Event::Admitted);
        story
    }

    /// A story of these steps.
    pub(crate) fn of(steps: &str) -> Self {
        Self::new(spec(steps))
    }

    pub(crate) fn take(&mut self, event: Event) {
        self.task.apply(&event).unwrap();
        self.settle();
    }

    pub(crate) fn settle(&mut self) {
        for _ in 0..50 {
            let decision = decide(&self.task, self.now);
            if decision.events.is_empty() {
                return;
            }
            for event in decision.events {
                self.task.apply(&event).unwrap();
            }
        }
        panic!("decides for ever: {:#?}", self.task);
    }

    pub(crate) fn open(&self, kind: &str) -> Option<Action> {
        self.task.open.values().find(|action| action.kind() == kind).cloned()
    }

    pub(crate) fn answer(&mut self, action: &Action) -> Event {
        self.world.answer(&self.task, action, self.now, &mut Bytes(vec![].into_iter()))
    }

    /// All goes well until an intent of that kind is open.
    pub(crate) fn until(&mut self, kind: &str) -> Action {
        for _ in 0..200 {
            if let Some(action) = self.open(kind) {
                return action;
            }
            self.go_on();
        }
        panic!("never came to {kind}: {:#?}", self.task);
    }

    /// One thing that goes well.
    pub(crate) fn go_on(&mut self) {
        if let Some(action) = self.task.open.values().next().cloned() {
            let event = self.answer(&action);
            self.take(event);
        } else if let (State::Queued | State::Running(_), Some(at)) =
            (&self.task.state, self.task.pauses_until(self.now))
        {
            self.now = at;
            self.settle();
        } else if matches!(self.task.state, State::Queued) {
            self.take(Event::Admitted);
        } else {
            panic!("waits for somebody: {:#?}", self.task.state);
        }
    }

    /// All goes well to the end.
    pub(crate) fn end(&mut self) -> Outcome {
        for _ in 0..400 {
            if let State::Ended(outcome) = &self.task.state {
                return outcome.clone();
            }
            self.go_on();
        }
        panic!("never ends: {:#?}", self.task);
    }

    pub(crate) fn ends_run(&mut self, action: &Action, result: RunResult) {
        let Action::Run(order) = action else { panic!("{action:?}") };
        self.take(Event::RunEnded { run: order.run.clone(), epoch: order.epoch, result });
    }

    pub(crate) fn fails(&mut self, action: &Action, reason: FailReason) {
        let detail = "it failed".to_owned();
        match action {
            Action::Run(_) => self.ends_run(action, RunResult::Failed { reason, detail }),
            Action::Land(_) => {
                self.take(Event::LandFailed { key: action.key(), reason, detail });
            }
        }
    }

    pub(crate) fn red_check(&mut self) {
        let action = self.until("Check");
        let RunWork::Check { commit, command, .. } = work(&action) else { unreachable!() };
        let result = check_result(commit.clone(), command, Exit::Code(1), None);
        self.ends_run(&action, RunResult::Checked(result));
    }

    /// The checks on the base are done; the agent is at work.
    pub(crate) fn at_work(steps: &str) -> Self {
        let mut story = Self::of(steps);
        story.until("Agent");
        story
    }

    pub(crate) fn cancel(&mut self) {
        self.take(Event::CancelRequested { by: "me".to_owned() });
    }

    pub(crate) fn reject(&mut self, feedback: &str) {
        self.take(Event::Rejected { feedback: feedback.to_owned(), by: "me".to_owned() });
    }

    pub(crate) fn approve(&mut self, number: u32) {
        self.take(Event::Approved { commit: commit(number), by: "me".to_owned() });
    }

    pub(crate) fn approve_plan(&mut self) {
        let plan = self.task.plan_at_hand().unwrap();
        self.take(Event::PlanApproved { plan, by: "me".to_owned() });
    }

    pub(crate) fn import(&mut self, change: impl Fn(&mut ImportFacts)) {
        let action = self.until("Import");
        let mut event = self.answer(&action);
        if let Event::Imported { facts, .. } = &mut event {
            change(facts);
        }
        self.take(event);
    }

    pub(crate) fn held(&self) -> Option<HoldReason> {
        match &self.task.state {
            State::Held(hold) => Some(hold.reason),
            State::Queued | State::Running(_) | State::Ended(_) => None,
        }
    }
}

pub(crate) fn work(action: &Action) -> &RunWork {
    match action {
        Action::Run(order) => &order.work,
        Action::Land(_) => panic!("{action:?}"),
    }
}

pub(crate) fn agent_run(action: &Action) -> &AgentRun {
    match work(action) {
        RunWork::Agent(run) => run,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn completed(artifacts: Vec<Artifact>) -> RunResult {
    RunResult::Agent(Box::new(agent_result(AgentOutcome::Completed, artifacts)))
}

pub(crate) fn failed_agent(reason: FailReason, resets_at: Option<i64>) -> RunResult {
    let detail = "limit".to_owned();
    let outcome = AgentOutcome::Failed { reason, detail, resets_at };
    RunResult::Agent(Box::new(agent_result(outcome, vec![])))
}

pub(crate) fn verdict(approve: bool) -> RunResult {
    completed(vec![Artifact::Verdict { approve, comments: vec!["more".to_owned()] }])
}

pub(crate) fn failed(outcome: &Outcome) -> FailReason {
    match outcome {
        Outcome::Failed { reason, .. } => *reason,
        other => panic!("{other:?}"),
    }
}
