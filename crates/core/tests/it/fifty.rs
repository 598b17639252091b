//! Fifty tasks of one credential: what one of them learns is known to all.

use midwatch_core::admit::{Entry, Grant, Limits, Observed, Queue, admit};
use midwatch_core::credentials::Credentials;
use midwatch_core::decide::decide;
use midwatch_core::event::{Action, Event, RunResult};
use midwatch_core::id::TaskName;
use midwatch_core::reason::{FailReason, HoldReason};
use midwatch_core::task::{Hold, State, Task, Wake, WakeEvent};
use midwatch_core::time::Time;

use crate::story::{completed, failed_agent};
use crate::world::spec;

/// Fifty tasks of one credential, driven as an engine does, without one.
pub(crate) struct Fifty {
    pub(crate) tasks: Vec<Task>,
    credentials: Credentials,
    /// The same, from those events alone that a restart looks at.
    heard: Credentials,
    pub(crate) now: Time,
    /// Agents that were started.
    pub(crate) starts: usize,
}

impl Fifty {
    pub(crate) fn new(credential: Option<&str>) -> Self {
        let tasks = (0..50).map(|n| {
            let mut spec = spec("n");
            spec.checks.clear();
            spec.credential_key = credential.map(ToOwned::to_owned);
            spec.name = TaskName::parse(&format!("t{n}")).unwrap();
            spec.branch = midwatch_core::id::BranchName::parse(&format!("b{n}")).unwrap();
            Task::new(spec)
        });
        let (credentials, heard) = (Credentials::default(), Credentials::default());
        let now = Time::from_seconds(1_000);
        Self { tasks: tasks.collect(), credentials, heard, now, starts: 0 }
    }

    pub(crate) fn take(&mut self, at: usize, event: &Event) {
        let before = self.tasks[at].clone();
        self.tasks[at].apply(event).unwrap();
        self.credentials.learn(&before, event, &self.tasks[at]);
        if Credentials::hears(event) {
            self.heard.learn(&before, event, &self.tasks[at]);
        }
        assert_eq!(self.heard, self.credentials, "{event:?} is not looked at after a restart");
    }

    /// Nothing is known of credentials any more.
    fn forget(&mut self) {
        (self.credentials, self.heard) = (Credentials::default(), Credentials::default());
    }

    /// One turn: what was learnt is told, decided, admitted. Everything but agents is done.
    pub(crate) fn turn(&mut self) {
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
                entries: entries.filter_map(|t| Entry::of(t, self.now, 0, self.now)).collect(),
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
    pub(crate) fn end_agents(&mut self, result: &RunResult) -> usize {
        (0..self.tasks.len()).map(|at| self.end_agent(at, result)).sum()
    }

    /// The agent of one task ends like that, where it works.
    pub(crate) fn end_agent(&mut self, at: usize, result: &RunResult) -> usize {
        let open: Vec<Action> = self.tasks[at].open.values().cloned().collect();
        let agents = open.iter().filter(|action| action.kind() == "Agent");
        agents
            .map(|action| {
                let Action::Run(order) = action else { unreachable!() };
                let (run, epoch, result) = (order.run.clone(), order.epoch, result.clone());
                self.take(at, &Event::RunEnded { run, epoch, result });
            })
            .count()
    }

    /// When something happens by itself next.
    pub(crate) fn next(&self) -> Option<Time> {
        let times = self.tasks.iter().filter_map(|task| match &task.state {
            State::Held(Hold { until: Wake::At(at), .. }) => Some(*at),
            State::Queued | State::Running(_) => task.retry_at,
            State::Held(_) | State::Ended(_) => None,
        });
        times.filter(|at| *at > self.now).min()
    }

    /// How many stand like that.
    pub(crate) fn count(&self, state: &str) -> usize {
        self.tasks.iter().filter(|task| task.state.as_str() == state).count()
    }

    pub(crate) fn held(&self, reason: HoldReason) -> Vec<Wake> {
        let holds = self.tasks.iter().filter_map(|task| match &task.state {
            State::Held(hold) if hold.reason == reason => Some(hold.until),
            State::Queued | State::Running(_) | State::Held(_) | State::Ended(_) => None,
        });
        holds.collect()
    }
}

pub(crate) fn answer() -> RunResult {
    let RunResult::Agent(mut result) = completed(vec![]) else { unreachable!() };
    "forty-two".clone_into(&mut result.text);
    RunResult::Agent(result)
}

#[test]
fn fifty_tasks_on_one_limit_make_one_wait_and_one_probe() {
    let mut world = Fifty::new(Some("k"));
    world.turn();
    assert_eq!(world.starts, 4, "the slots");
    world.end_agents(&failed_agent(FailReason::UsageLimit, Some(5_000)));
    world.turn();
    let reset = Wake::At(Time::from_seconds(5_060));
    let cooling = HoldReason::CredentialCoolingDown;
    assert_eq!(world.held(cooling), vec![reset; 50], "all wait for the same reset");
    assert_eq!(world.starts, 4, "no run is started to learn the same");
    // A restart in between: all of it is in the events.
    world.forget();

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
    assert_eq!(world.count("Answered"), 50, "and every task ends");
    assert!(world.tasks.iter().all(|task| task.attempts == 0), "nothing was charged");
}

/// The control: fifty tasks of which none hears of another, each refused once.
#[test]
fn fifty_tasks_that_share_nothing_meet_one_limit_fifty_times() {
    let mut world = Fifty::new(None);
    world.turn();
    while world.end_agents(&failed_agent(FailReason::RateLimit, Some(5_000))) > 0 {
        world.turn();
    }
    assert_eq!((world.starts, world.count("Held")), (50, 50));
}

#[test]
fn fifty_tasks_on_one_rejected_login_wait_for_one_resume() {
    let mut world = Fifty::new(Some("k"));
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
