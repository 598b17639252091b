//! Stories: one task, one thing that goes wrong, and what becomes of it.

use midwatch_core::agent::AgentOutcome;
use midwatch_core::decide::{MAX_EPOCHS, MAX_FREE_RETRIES, decide};
use midwatch_core::event::{Action, AgentRun, Artifact, Event, LandAction, RunResult, RunWork};
use midwatch_core::evidence::Exit;
use midwatch_core::id::Epoch;
use midwatch_core::landing::{ImportFacts, ReadBack};
use midwatch_core::reason::{FailReason, HoldReason};
use midwatch_core::task::{Outcome, Stage, State, Task, TaskSpec, Wake};
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

    fn answer(&mut self, action: &Action) -> Event {
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
        } else if let (State::Running(_), Some(at)) = (&self.task.state, self.task.retry_at) {
            self.now = self.now.max(at);
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

    fn fails(&mut self, action: &Action, reason: FailReason) {
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

    fn approve(&mut self, number: u32) {
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

fn work(action: &Action) -> &RunWork {
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

fn verdict(approve: bool) -> RunResult {
    completed(vec![Artifact::Verdict { approve, comments: vec!["more".to_owned()] }])
}

pub(crate) fn failed(outcome: &Outcome) -> FailReason {
    match outcome {
        Outcome::Failed { reason, .. } => *reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_plain_ways_end_done() {
    for steps in ["ic", "picr"] {
        let mut story = Story::of(steps);
        assert!(matches!(story.end(), Outcome::Done(_)), "{steps}");
    }
}

#[test]
fn a_cancel_between_the_agents_end_and_its_import_saves_the_work() {
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    let Action::Run(order) = &agent else { unreachable!() };
    let (run, epoch) = (order.run.clone(), order.epoch);
    // The two are stored before anything is decided between them.
    story.task.apply(&Event::RunEnded { run, epoch, result: completed(vec![]) }).unwrap();
    story.cancel();
    assert!(story.open("Rescue").is_some(), "{:#?}", story.task.open);
    assert_eq!(story.end(), Outcome::Cancelled);
    assert!(story.task.rescue_ref.is_some());
}

#[test]
fn a_cancel_stops_the_run_and_saves_what_it_left() {
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    story.cancel();
    assert_eq!(story.task.stopping.len(), 1);
    story.ends_run(&agent, completed(vec![]));
    let rescue = story.until("Rescue");
    story.cancel();
    assert!(story.task.stopping.is_empty(), "what saves work is not stopped");
    story.ends_run(&rescue, RunResult::Bundled);
    assert_eq!(story.end(), Outcome::Cancelled);
}

#[test]
fn a_cancel_after_the_landing_changes_nothing() {
    let mut story = Story::of("ic");
    let publish = story.until("Publish");
    story.cancel();
    assert!(story.open("Publish").is_some(), "it is waited for");
    let event = story.answer(&publish);
    story.take(event);
    assert!(matches!(story.end(), Outcome::Done(_)), "what landed is told as landed");
}

#[test]
fn a_rescue_that_failed_by_the_machine_is_tried_again() {
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    story.fails(&agent, FailReason::Timeout);
    for _ in 0..2 {
        let rescue = story.until("Rescue");
        story.fails(&rescue, FailReason::NodeLost);
    }
    story.until("SaveRescue");
    assert_eq!(failed(&story.end()), FailReason::Timeout);
    assert!(story.task.rescue_ref.is_some());
}

#[test]
fn a_rejected_plan_is_planned_again_and_approved_again() {
    let mut story = Story::of("paicr");
    let plan = story.until("Agent");
    story.ends_run(&plan, completed(vec![Artifact::Plan("one".to_owned())]));
    assert_eq!(story.held(), Some(HoldReason::Approval));
    story.reject("smaller steps");
    let again = story.until("Agent");
    let run = agent_run(&again);
    assert_eq!(run.role, midwatch_core::event::Role::Plan);
    assert!(run.prompt.contains("smaller steps"), "{}", run.prompt);
    story.ends_run(&again, completed(vec![Artifact::Plan("two".to_owned())]));
    assert_eq!(story.held(), Some(HoldReason::Approval), "the new plan is not approved yet");
    story.approve_plan();
    let implement = story.until("Agent");
    assert!(agent_run(&implement).prompt.contains("two"));
    assert!(!agent_run(&implement).prompt.contains("smaller"), "that was of the plan");
}

#[test]
fn the_reviewer_is_asked_after_each_rework_and_three_times_at_most() {
    let mut story = Story::of("icr");
    for round in 1..=3 {
        let implement = story.until("Agent");
        assert_eq!(agent_run(&implement).prompt.contains("more"), round > 1, "round {round}");
        let done = completed(vec![]);
        story.ends_run(&implement, done);
        let review = story.until("Agent");
        let run = agent_run(&review);
        assert_eq!(run.role, midwatch_core::event::Role::Review, "round {round}");
        assert_eq!(run.resume, None, "a reviewer begins anew");
        assert!(!run.prompt.contains("more"), "nor does it see what it said");
        story.ends_run(&review, verdict(false));
    }
    assert_eq!(failed(&story.end()), FailReason::ReviewRejected);
}

#[test]
fn a_rejection_by_somebody_reaches_the_agent_and_the_reviewer_judges_the_new_commit() {
    let mut story = Story::of("icr");
    story.import(|facts| facts.hard_paths = vec![".github".to_owned()]);
    let review = story.until("Agent");
    story.ends_run(&review, verdict(true));
    assert_eq!(story.held(), Some(HoldReason::Approval));
    story.reject("leave CI alone");
    let implement = story.until("Agent");
    assert!(agent_run(&implement).prompt.contains("leave CI alone"));
    story.import(|_| ());
    let review = story.until("Agent");
    assert_eq!(agent_run(&review).start, commit(2));
    assert!(matches!(story.end(), Outcome::Done(_)));
}

#[test]
fn a_shape_of_a_secret_waits_for_somebody_whose_no_makes_it_one() {
    let held = |story: &mut Story| {
        story.import(|facts| facts.secret_shapes = vec!["t.txt: looks like a secret".to_owned()]);
        while story.held().is_none() {
            story.go_on();
        }
        assert_eq!(story.held(), Some(HoldReason::Approval));
    };
    let mut story = Story::of("ic");
    held(&mut story);
    story.approve(1);
    assert!(matches!(story.end(), Outcome::Done(_)));

    let mut story = Story::of("ic");
    held(&mut story);
    story.reject("");
    assert_eq!(failed(&story.end()), FailReason::SecretFound);
}

#[test]
fn an_approval_is_of_the_commit_that_was_seen() {
    let mut story = Story::of("ic");
    story.import(|facts| facts.hard_paths = vec![".github".to_owned()]);
    while story.held().is_none() {
        story.go_on();
    }
    story.approve(77);
    story.take(Event::Admitted);
    assert_eq!(story.held(), Some(HoldReason::Approval), "another commit's approval");
    story.take(Event::Resumed { by: "me".to_owned() });
    story.take(Event::Admitted);
    assert_eq!(story.held(), Some(HoldReason::Approval), "a resume is no approval");
    story.approve(1);
    assert!(matches!(story.end(), Outcome::Done(_)));
}

#[test]
fn tests_that_are_no_longer_counted_need_an_approval() {
    let mut story = Story::of("ic");
    story.import(|_| ());
    let action = story.until("Check");
    let RunWork::Check { commit, command, .. } = work(&action) else { unreachable!() };
    let result = check_result(commit.clone(), command, Exit::Code(0), None);
    story.ends_run(&action, RunResult::Checked(result));
    assert_eq!(story.held(), Some(HoldReason::Approval));
}

#[test]
fn repairs_that_change_nothing_are_spent_and_end_with_the_evidence() {
    let mut story = Story::of("ic");
    story.import(|_| ());
    story.red_check();
    for repair in 1..=3 {
        let import = story.until("Import");
        let Action::Land(LandAction::Import { epoch, .. }) = import else { unreachable!() };
        assert_eq!(story.task.repairs, repair);
        story.take(Event::NothingToImport { epoch });
    }
    assert_eq!(failed(&story.end()), FailReason::VerificationFailed);
}

#[test]
fn a_refused_import_after_repairs_is_saved_and_named() {
    let mut story = Story::of("ic");
    story.import(|_| ());
    story.red_check();
    let import = story.until("Import");
    story.fails(&import, FailReason::SecretFound);
    story.until("SaveRescue");
    assert_eq!(failed(&story.end()), FailReason::SecretFound);
}

#[test]
fn a_refused_push_ends_with_the_commit_kept() {
    let mut story = Story::of("ic");
    let publish = story.until("Publish");
    story.fails(&publish, FailReason::PushRejected);
    assert_eq!(failed(&story.end()), FailReason::PushRejected);
    assert!(story.task.imported.is_some());
}

#[test]
fn a_target_with_another_commit_fails_the_task() {
    let mut story = Story::of("ic");
    story.until("Publish");
    let branch = story.task.spec.branch.clone();
    let read_back = ReadBack { branch, commit: commit(5), target: "local".to_owned() };
    story.take(Event::Landed(read_back));
    assert_eq!(failed(&story.end()), FailReason::PushRejected);
}

#[test]
fn another_kind_of_result_is_our_fault_and_loses_nothing() {
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    story.ends_run(&agent, RunResult::BaseReady);
    story.until("SaveRescue");
    let again = story.until("Agent");
    let saved = commit(1_000_000 + story.task.epoch.0 - 2);
    assert_eq!(agent_run(&again).start, saved, "goes on from what was saved");
    assert_eq!(agent_run(&again).onto, commit(0));
}

#[test]
fn a_late_report_leaves_the_open_run_alone() {
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    let Action::Run(order) = &agent else { unreachable!() };
    let before = story.task.clone();
    let late = Event::RunEnded {
        run: order.run.clone(),
        epoch: Epoch(order.epoch.0 - 1),
        result: completed(vec![]),
    };
    story.take(late);
    assert_eq!(story.task, before);
}

#[test]
fn setup_that_fails_with_the_change_goes_back_with_what_was_said() {
    let mut ordered = spec("ic");
    ordered.setup = Some("npm ci".to_owned());
    let mut story = Story::new(ordered);
    story.import(|facts| facts.lock_hash = "lock-new".to_owned());
    let setup = story.until("Setup");
    story.fails(&setup, FailReason::Evicted);
    let setup = story.until("Setup");
    assert_eq!(story.task.repairs, 0, "the machine's fault is not the agent's");
    story.fails(&setup, FailReason::SetupFailed);
    let agent = story.until("Agent");
    assert!(agent_run(&agent).prompt.contains("Installing dependencies failed"));
    assert!(matches!(story.end(), Outcome::Done(_)));
}

#[test]
fn a_reviewer_without_a_verdict_is_tried_three_times() {
    let mut story = Story::of("icr");
    story.import(|_| ());
    for _ in 0..3 {
        let review = story.until("Agent");
        story.ends_run(&review, completed(vec![]));
    }
    assert_eq!(failed(&story.end()), FailReason::ReviewRejected);
}

#[test]
fn a_plan_that_is_empty_fails() {
    let mut story = Story::of("picr");
    let plan = story.until("Agent");
    story.ends_run(&plan, completed(vec![]));
    assert_eq!(failed(&story.end()), FailReason::InvalidInput);
}

#[test]
fn a_retry_goes_on_with_the_session_and_the_last_one_begins_anew() {
    let mut story = Story::at_work("ic");
    for resumed in [None, Some("session"), None] {
        let agent = story.until("Agent");
        assert_eq!(agent_run(&agent).resume.as_deref(), resumed);
        story.ends_run(&agent, failed_agent(FailReason::Stalled, None));
    }
    assert_eq!(failed(&story.end()), FailReason::Stalled);
}

#[test]
fn a_limit_holds_until_its_reset_and_the_step_goes_on() {
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    story.ends_run(&agent, failed_agent(FailReason::UsageLimit, Some(5_000)));
    while story.held().is_none() {
        story.go_on();
    }
    let State::Held(hold) = &story.task.state else { unreachable!() };
    assert_eq!(hold.until, Wake::At(Time::from_seconds(5_060)));
    assert!(story.task.rescue_ref.is_some(), "saved before it waits");
    story.now = Time::from_seconds(5_060);
    story.settle();
    assert_eq!(story.task.state, State::Queued);
    let again = story.until("Agent");
    assert_eq!(agent_run(&again).resume.as_deref(), Some("session"));
    assert_eq!((story.task.attempts, &story.task.stage), (0, &Stage::Step(0)));
}

/// How long each hold lasts when a limit says nothing of its reset, or something odd.
fn pauses(resets_at: Option<i64>, times: usize) -> Vec<i64> {
    let mut story = Story::at_work("ic");
    let mut pauses = Vec::new();
    for _ in 0..times {
        let agent = story.until("Agent");
        story.ends_run(&agent, failed_agent(FailReason::RateLimit, resets_at));
        while story.held().is_none() {
            story.go_on();
        }
        let State::Held(hold) = &story.task.state else { unreachable!() };
        let Wake::At(at) = hold.until else { panic!("{hold:?}") };
        pauses.push((at.0 - story.now.0) / 1000);
        story.now = at;
        story.settle();
    }
    pauses
}

#[test]
fn resets_are_believed_within_reason() {
    let growing = [60, 120, 240, 480, 960, 1920, 3600, 3600];
    for odd in [None, Some(1)] {
        for (pause, plain) in pauses(odd, 8).into_iter().zip(growing) {
            // A jitter of a quarter at most.
            assert!((plain..=plain + plain / 4).contains(&pause), "{pause} for {plain}");
        }
    }
    assert_eq!(pauses(Some(i64::MAX), 1), [7 * 86_400 + 60]);
}

#[test]
fn nothing_starts_runs_for_ever() {
    let mut story = Story::at_work("ic");
    for _ in 0..=MAX_EPOCHS {
        let Some(agent) = story.open("Agent") else { break };
        story.ends_run(&agent, failed_agent(FailReason::UsageLimit, None));
        for _ in 0..4 {
            if let State::Held(hold) = &story.task.state {
                let Wake::At(at) = hold.until else { panic!("{hold:?}") };
                story.now = at;
                story.settle();
            } else if !story.task.state.is_terminal() && story.open("Agent").is_none() {
                story.go_on();
            }
        }
    }
    assert_eq!(failed(&story.end()), FailReason::Internal);
    assert!(story.task.epoch.0 <= MAX_EPOCHS + 1, "{}", story.task.epoch);
}

#[test]
fn a_machine_that_always_fails_is_given_up() {
    for kind in ["Fetch", "Checkout", "Publish"] {
        let mut story = Story::of("ic");
        for _ in 0..=MAX_FREE_RETRIES {
            let action = story.until(kind);
            story.fails(&action, FailReason::Evicted);
        }
        assert_eq!(failed(&story.end()), FailReason::Evicted, "{kind}");
    }
}

#[test]
fn a_sandbox_that_cannot_be_built_holds_until_somebody_resumes() {
    let mut story = Story::of("ic");
    let checkout = story.until("Checkout");
    let detail = "no seccomp".to_owned();
    story.ends_run(&checkout, RunResult::SandboxUnavailable { detail });
    assert_eq!(story.held(), Some(HoldReason::SandboxUnavailable));
    story.take(Event::Resumed { by: "me".to_owned() });
    assert!(matches!(story.end(), Outcome::Done(_)));
}
