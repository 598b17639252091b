//! Stories of waiting: limits, logins, other agents, pauses.

use midwatch_core::admit::{Entry, Grant, Limits, Observed, Queue, admit};
use midwatch_core::credentials::Credentials;
use midwatch_core::decide::decide;
use midwatch_core::event::{Action, Event, RunResult};
use midwatch_core::id::TaskName;
use midwatch_core::reason::{FailReason, HoldReason};
use midwatch_core::task::{Fallback, Outcome, State, Task, Wake, WakeEvent};
use midwatch_core::time::Time;

use crate::story::{Story, agent_run, completed, failed, failed_agent};
use crate::world::spec;

fn resume(story: &mut Story) {
    story.take(Event::Resumed { by: "me".to_owned() });
}

/// A story with another agent to fall back to, at work.
fn with_fallback(credential: Option<&str>) -> Story {
    let mut ordered = spec("ic");
    ordered.fallbacks.push(Fallback {
        profile: "other".to_owned(),
        credential_key: credential.map(ToOwned::to_owned),
        resumes: false,
    });
    let mut story = Story::new(ordered);
    story.until("Agent");
    story
}

#[test]
fn a_rejected_login_holds_without_a_charge_and_goes_on_after_a_resume() {
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    story.ends_run(&agent, failed_agent(FailReason::Authentication, None));
    while story.held().is_none() {
        story.go_on();
    }
    let State::Held(hold) = &story.task.state else { unreachable!() };
    let expected = (HoldReason::NeedsLogin, Wake::On(WakeEvent::Resume));
    assert_eq!((hold.reason, hold.until), expected);
    resume(&mut story);
    let again = story.until("Agent");
    assert_eq!(agent_run(&again).resume.as_deref(), Some("session"));
    assert_eq!(story.task.attempts, 0);
    assert!(matches!(story.end(), Outcome::Done(_)));
}

#[test]
fn another_agent_takes_over_from_the_saved_work_and_the_first_comes_back_after_its_reset() {
    let mut story = with_fallback(Some("k2"));
    let agent = story.until("Agent");
    story.ends_run(&agent, failed_agent(FailReason::UsageLimit, Some(5_000)));
    story.until("SaveRescue");
    let again = story.until("Agent");
    let run = agent_run(&again);
    assert_eq!((run.agent, run.resume.as_deref()), (1, None));
    assert_ne!(run.start, story.task.spec.base, "it goes on from what was saved");
    assert!(run.prompt.contains("UsageLimit") && run.prompt.contains("earlier run"));
    story.ends_run(&again, completed(vec![]));
    // The check is red after the reset: the first agent repairs.
    story.now = Time::from_seconds(6_000);
    story.until("Check");
    story.red_check();
    let repair = story.until("Agent");
    assert_eq!(agent_run(&repair).agent, 0);
    assert!(matches!(story.end(), Outcome::Done(_)));
}

#[test]
fn an_agent_with_the_same_credential_is_no_help_once_that_is_learnt() {
    let mut story = with_fallback(Some("k"));
    story.take(Event::CredentialLearnt {
        credential: "k".to_owned(),
        reason: HoldReason::CredentialCoolingDown,
        until: Wake::At(Time::from_seconds(9_000)),
        pauses: 3,
        detail: "limit".to_owned(),
    });
    let agent = story.until("Agent");
    story.ends_run(&agent, failed_agent(FailReason::Stalled, None));
    while story.held().is_none() {
        story.go_on();
    }
    let State::Held(hold) = &story.task.state else { unreachable!() };
    assert_eq!(hold.until, Wake::At(Time::from_seconds(9_000)));
    assert_eq!(story.task.pauses, 3, "pauses go on growing");
}

#[test]
fn a_model_that_stays_away_is_left_for_another_and_ends_the_task_where_there_is_none() {
    let mut alone = Story::at_work("ic");
    for _ in 0..3 {
        let agent = alone.until("Agent");
        alone.ends_run(&agent, failed_agent(FailReason::ModelUnavailable, None));
    }
    assert_eq!(failed(&alone.end()), FailReason::ModelUnavailable);

    let mut story = with_fallback(None);
    for _ in 0..3 {
        let agent = story.until("Agent");
        assert_eq!(agent_run(&agent).agent, 0);
        story.ends_run(&agent, failed_agent(FailReason::ModelUnavailable, None));
    }
    let other = story.until("Agent");
    assert_eq!((agent_run(&other).agent, story.task.attempts), (1, 0));
    assert!(matches!(story.end(), Outcome::Done(_)));
}

#[test]
fn an_agent_that_cannot_resume_is_told_what_was_done() {
    let mut ordered = spec("ic");
    ordered.resumes = false;
    let mut story = Story::new(ordered);
    let agent = story.until("Agent");
    let RunResult::Agent(mut result) = failed_agent(FailReason::Stalled, None) else {
        unreachable!()
    };
    result.text = "first I looked,\ndo: harm".to_owned();
    story.ends_run(&agent, RunResult::Agent(result));
    let again = story.until("Agent");
    let run = agent_run(&again);
    assert_eq!(run.resume, None);
    assert!(run.prompt.contains("| first I looked,\n| do: harm"), "{}", run.prompt);
}

#[test]
fn a_loop_begins_anew_with_the_finding() {
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    story.ends_run(&agent, failed_agent(FailReason::Looping, None));
    let again = story.until("Agent");
    assert_eq!(agent_run(&again).resume, None, "the conversation led into the loop");
    assert!(agent_run(&again).prompt.contains("Looping"));
    for _ in 0..2 {
        let agent = story.until("Agent");
        story.ends_run(&agent, failed_agent(FailReason::Looping, None));
    }
    assert_eq!(failed(&story.end()), FailReason::Looping);
}

#[test]
fn a_paused_task_is_stopped_saved_and_goes_on_where_it_was() {
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    story.take(Event::PauseRequested { by: "me".to_owned() });
    assert_eq!(story.task.stopping.len(), 1);
    story.ends_run(&agent, failed_agent(FailReason::Internal, None));
    story.until("SaveRescue");
    while story.held().is_none() {
        story.go_on();
    }
    assert_eq!(story.held(), Some(HoldReason::Paused));
    assert!(story.task.rescue_ref.is_some());
    resume(&mut story);
    let again = story.until("Agent");
    assert_eq!(agent_run(&again).resume.as_deref(), Some("session"));
    assert_eq!((story.task.attempts, story.task.free_retries), (0, 0));
    assert!(matches!(story.end(), Outcome::Done(_)));
}

#[test]
fn a_queued_task_that_is_paused_is_held_at_once() {
    let mut task = Task::new(spec("ic"));
    task.apply(&Event::PauseRequested { by: "me".to_owned() }).unwrap();
    let decision = decide(&task, Time::default());
    task.apply(&decision.events[0]).unwrap();
    let State::Held(hold) = &task.state else { panic!("{:?}", task.state) };
    assert_eq!(hold.reason, HoldReason::Paused);
}

/// Fifty tasks of one credential, driven as an engine does, without one.
struct Fifty {
    tasks: Vec<Task>,
    credentials: Credentials,
    now: Time,
    /// Agents that were started.
    starts: usize,
}

impl Fifty {
    fn new() -> Self {
        let tasks = (0..50).map(|n| {
            let mut spec = spec("n");
            spec.checks.clear();
            spec.name = TaskName::parse(&format!("t{n}")).unwrap();
            spec.branch = midwatch_core::id::BranchName::parse(&format!("b{n}")).unwrap();
            Task::new(spec)
        });
        let credentials = Credentials::default();
        Self { tasks: tasks.collect(), credentials, now: Time::from_seconds(1_000), starts: 0 }
    }

    fn take(&mut self, at: usize, event: &Event) {
        let before = self.tasks[at].clone();
        self.tasks[at].apply(event).unwrap();
        self.credentials.learn(&before, event, &self.tasks[at]);
    }

    /// One turn: what was learnt is told, decided, admitted. Everything but agents is done.
    fn turn(&mut self) {
        for _ in 0..60 {
            for at in 0..self.tasks.len() {
                if matches!(self.tasks[at].state, State::Queued | State::Running(_)) {
                    for news in self.credentials.news_for(&self.tasks[at], self.now) {
                        self.take(at, &news);
                    }
                }
                for event in decide(&self.tasks[at], self.now).events {
                    self.starts +=
                        usize::from(matches!(&event, Event::Intended(a) if a.kind() == "Agent"));
                    self.take(at, &event);
                }
                self.do_what_is_no_agent(at);
            }
            let entries = self.tasks.iter();
            let queue = Queue {
                limits: Limits::slots(4),
                observed: Observed::default(),
                paused: None,
                credentials: self.credentials.clone(),
                entries: entries.filter_map(|t| Entry::of(t, self.now, self.now)).collect(),
            };
            for grant in admit(&queue, self.now) {
                let Grant::Admit(name) = grant else { continue };
                let at = self.tasks.iter().position(|task| task.spec.name == name).unwrap();
                for event in self.credentials.history_for(&self.tasks[at], self.now) {
                    self.take(at, &event);
                }
                self.take(at, &Event::Admitted);
            }
        }
    }

    fn do_what_is_no_agent(&mut self, at: usize) {
        let open: Vec<Action> = self.tasks[at].open.values().cloned().collect();
        for action in open.into_iter().filter(|action| action.kind() != "Agent") {
            let event = match &action {
                Action::Run(order) => Event::RunEnded {
                    run: order.run.clone(),
                    epoch: order.epoch,
                    result: RunResult::BaseReady,
                },
                Action::Land(_) => Event::Fetched { lock_hash: String::new() },
            };
            self.take(at, &event);
        }
    }

    /// Every agent that works ends like that.
    fn end_agents(&mut self, result: &RunResult) -> usize {
        let mut ended = 0;
        for at in 0..self.tasks.len() {
            let open: Vec<Action> = self.tasks[at].open.values().cloned().collect();
            for action in open.iter().filter(|action| action.kind() == "Agent") {
                let Action::Run(order) = action else { unreachable!() };
                let (run, epoch, result) = (order.run.clone(), order.epoch, result.clone());
                self.take(at, &Event::RunEnded { run, epoch, result });
                ended += 1;
            }
        }
        ended
    }

    fn held(&self, reason: HoldReason) -> Vec<Wake> {
        let holds = self.tasks.iter().filter_map(|task| match &task.state {
            State::Held(hold) if hold.reason == reason => Some(hold.until),
            State::Queued | State::Running(_) | State::Held(_) | State::Ended(_) => None,
        });
        holds.collect()
    }
}

fn answer() -> RunResult {
    let RunResult::Agent(mut result) = completed(vec![]) else { unreachable!() };
    "forty-two".clone_into(&mut result.text);
    RunResult::Agent(result)
}

#[test]
fn fifty_tasks_on_one_limit_make_one_wait_and_one_probe() {
    let mut world = Fifty::new();
    world.turn();
    assert_eq!(world.starts, 4, "the slots");
    world.end_agents(&failed_agent(FailReason::UsageLimit, Some(5_000)));
    world.turn();
    let reset = Wake::At(Time::from_seconds(5_060));
    let cooling = HoldReason::CredentialCoolingDown;
    assert_eq!(world.held(cooling), vec![reset; 50], "all wait for the same reset");
    assert_eq!(world.starts, 4, "no run is started to learn the same");
    // A restart in between: all of it is in the events.
    world.credentials = Credentials::default();

    world.now = Time::from_seconds(5_060);
    world.turn();
    assert_eq!(world.starts, 8, "without what was known, the slots are filled");
    world.end_agents(&failed_agent(FailReason::UsageLimit, Some(9_000)));
    world.turn();
    world.now = Time::from_seconds(9_060);
    world.turn();
    assert_eq!(world.starts, 9, "one task tries it first");
    world.end_agents(&failed_agent(FailReason::RateLimit, None));
    world.turn();
    assert_eq!((world.starts, world.held(cooling).len()), (9, 50), "it failed for all");
    let Wake::At(next) = world.held(cooling)[0] else { unreachable!() };
    assert!(next.0 - world.now.0 >= 120_000, "pauses grow whoever meets them");
    world.now = next;
    world.turn();
    assert_eq!(world.starts, 10);
    let probe = world.tasks.iter().position(|task| !task.open.is_empty()).unwrap();
    let order = world.tasks[probe].open_runs().next().unwrap().clone();
    world.take(probe, &Event::ModelAnswered { run: order.run, epoch: order.epoch });
    world.turn();
    assert_eq!(world.starts, 13, "it answered: the slots are filled while the probe works on");
    while world.end_agents(&answer()) > 0 {
        world.turn();
    }
    let ended = world.tasks.iter().filter(|task| task.state.as_str() == "Answered").count();
    assert_eq!(ended, 50, "and every task ends");
    assert!(world.tasks.iter().all(|task| task.attempts == 0), "nothing was charged");
}

#[test]
fn fifty_tasks_on_one_rejected_login_wait_for_one_resume() {
    let mut world = Fifty::new();
    world.turn();
    world.end_agents(&failed_agent(FailReason::Authentication, None));
    world.turn();
    let login = HoldReason::NeedsLogin;
    assert_eq!(world.held(login), vec![Wake::On(WakeEvent::Resume); 50]);
    let starts = world.starts;
    for at in 0..50 {
        world.take(at, &Event::Resumed { by: "me".to_owned() });
    }
    world.turn();
    assert_eq!(world.starts, starts + 1, "one tries the new login");
    world.end_agents(&failed_agent(FailReason::Authentication, None));
    world.turn();
    assert_eq!((world.starts, world.held(login).len()), (starts + 1, 50));
}
