//! A walk: one task through a world, step by step, with the laws judged after each.

use std::collections::BTreeMap;

use midwatch_core::decide::{Decision, decide};
use midwatch_core::event::{ActionKey, Event};
use midwatch_core::id::Epoch;
use midwatch_core::reason::HoldReason;
use midwatch_core::task::{State, Task, Wake, WakeEvent};
use midwatch_core::time::Time;

use crate::choices::Choose;
use crate::laws::{Broken, Law, Laws};
use crate::world::{World, any_spec, commit};

/// Rounds of deciding that may follow each other without an outside event.
const ROUNDS: usize = 40;
/// Outside events after which a fair world must have brought a task to its end.
const FAIR_EVENTS: usize = 3_000;

/// A walk at a point.
pub(crate) struct Walk<C> {
    pub(crate) task: Task,
    pub(crate) log: Vec<Event>,
    /// Events applied and decisions judged.
    pub(crate) steps: u64,
    now: Time,
    world: World,
    laws: Laws,
    choose: C,
    /// What decides; controls put a broken one here.
    pub(crate) decide: fn(&Task, Time) -> Decision,
    /// How often each event was applied.
    pub(crate) seen: BTreeMap<&'static str, u64>,
    /// Reports that were taken, to come again late.
    taken: Vec<Event>,
}

impl<C: Choose> Walk<C> {
    /// A task that was just submitted.
    pub(crate) fn new(mut choose: C) -> Self {
        let spec = any_spec(&mut choose);
        // Many faults end a task soon, few let it get to its later steps.
        let rarer = choose.of(&[1, 2, 4, 8]);
        Self {
            task: Task::new(spec),
            log: vec![],
            steps: 0,
            now: Time::from_seconds(1_800_000_000),
            world: World { commits: 0, faults: true, rarer },
            laws: Laws::default(),
            choose,
            decide,
            seen: BTreeMap::new(),
            taken: vec![],
        }
    }

    /// A walk of at most so many outside events with faults, then without, to the end.
    pub(crate) fn go(&mut self, faulty: usize) -> Result<(), Broken> {
        for _ in 0..faulty {
            self.settle()?;
            if self.task.state.is_terminal() {
                break;
            }
            self.outside()?;
        }
        self.world.faults = false;
        for _ in 0..FAIR_EVENTS {
            self.settle()?;
            if self.task.state.is_terminal() {
                return self.afterwards();
            }
            self.fair()?;
        }
        Err(Broken::new(Law::Ends, (&self.task.state, &self.task.stage)))
    }

    /// Decides and stores until there is nothing to store.
    fn settle(&mut self) -> Result<(), Broken> {
        for _ in 0..ROUNDS {
            let decision = (self.decide)(&self.task, self.now);
            self.steps += 1;
            Laws::decided(&self.task, self.now, &decision)?;
            if decision.events.is_empty() {
                return Ok(());
            }
            if self.world.faults && self.choose.one_in(40) {
                // The store refuses: nothing has happened, and it is decided again.
                continue;
            }
            for event in decision.events {
                self.take(event, true)?;
            }
        }
        Err(Broken::new(Law::Converges, (&self.task.state, &self.task.stage)))
    }

    /// Stores and applies an event; one that was decided must be legal.
    pub(crate) fn take(&mut self, event: Event, decided: bool) -> Result<bool, Broken> {
        self.steps += 1;
        let mut after = self.task.clone();
        match after.apply(&event) {
            Ok(()) => {
                self.laws.applied(&self.task, &event, &after)?;
                self.task = after;
                *self.seen.entry(event.name()).or_default() += 1;
                self.log.push(event);
                Ok(true)
            }
            Err(illegal) if decided => Err(Broken::new(Law::DecisionsAreLegal, illegal)),
            Err(_) => Ok(false),
        }
    }

    /// Something that is late, or never was: it may be stored, and changes nothing.
    pub(crate) fn late(&mut self, event: Event) -> Result<(), Broken> {
        let before = self.task.clone();
        if self.take(event.clone(), false)? && self.task != before {
            return Err(Broken::new(Law::LateChangesNothing, event));
        }
        Ok(())
    }

    /// The process dies and replays what was stored.
    pub(crate) fn crash(&mut self) -> Result<(), Broken> {
        let replayed = Task::replay(self.task.spec.clone(), &self.log)
            .map_err(|illegal| Broken::new(Law::ReplayIsLive, illegal))?;
        if replayed != self.task {
            return Err(Broken::new(Law::ReplayIsLive, (&replayed.state, &self.task.state)));
        }
        self.task = replayed;
        Ok(())
    }

    fn answer_one(&mut self) -> Result<(), Broken> {
        let count = u32::try_from(self.task.open.len()).unwrap();
        let at = self.choose.below(count) as usize;
        let action = self.task.open.values().nth(at).unwrap().clone();
        let event = self.world.answer(&self.task, &action, self.now, &mut self.choose);
        self.taken.push(event.clone());
        self.take(event, false)?;
        Ok(())
    }

    fn outside(&mut self) -> Result<(), Broken> {
        self.now = Time(self.now.0.saturating_add(i64::from(self.choose.below(1000))));
        match self.choose.below(64) {
            0..=47 => self.ordinary(),
            48..=50 => self.crash(),
            51..=53 => {
                let jumps = [86_400, -86_400, 7_200, -7_200, 31_536_000];
                self.now = self.now.plus_seconds(self.choose.of(&jumps));
                Ok(())
            }
            54..=57 => self.report_late(),
            58 if self.choose.one_in(2) => self.another_learnt(),
            58..=60 => self.observe(),
            61 | 62 => self.command(),
            _ if self.choose.one_in(6) => {
                self.take(Event::CancelRequested { by: "me".to_owned() }, false).map(|_| ())
            }
            _ => self.ordinary(),
        }
    }

    /// What the task waits for happens, in one of its ways.
    fn ordinary(&mut self) -> Result<(), Broken> {
        match &self.task.state {
            // The queue does not know of it as long as it pauses.
            State::Queued if self.task.pauses_until(self.now).is_none() => {
                self.take(Event::Admitted, false).map(|_| ())
            }
            State::Held(hold) => match hold.until {
                Wake::At(time) if !self.choose.one_in(8) => {
                    self.now = time;
                    Ok(())
                }
                Wake::At(_) | Wake::On(_) => self.command(),
            },
            State::Running(_) if !self.task.open.is_empty() => self.answer_one(),
            State::Queued | State::Running(_) => {
                self.now = self.now.plus_seconds(400);
                Ok(())
            }
            State::Ended(_) => Ok(()),
        }
    }

    /// Somebody decides something, fitting or not.
    fn command(&mut self) -> Result<(), Broken> {
        let head = self.task.head().clone();
        let by = "me".to_owned();
        let event = match self.choose.below(16) {
            0..=3 => match self.task.plan_at_hand() {
                Some(plan) => Event::PlanApproved { plan, by },
                None => Event::Approved { commit: head, by },
            },
            4 => Event::Approved { commit: commit(777_777), by },
            8 => Event::PlanApproved { plan: "another".to_owned(), by },
            9..=11 => {
                let question = self.choose.of(&["q", "r", "s"]).to_owned();
                let choice = self.choose.of(&["this", "that", "neither"]).to_owned();
                Event::QuestionAnswered { question, choice, by }
            }
            12 | 13 => Event::Messaged { text: "and that, too".to_owned(), by },
            14 => Event::PauseRequested { by },
            5 => Event::Rejected { feedback: "otherwise".to_owned(), by },
            6 if self.choose.one_in(3) => Event::Rejected { feedback: " ".to_owned(), by },
            _ => Event::Resumed { by },
        };
        self.take(event, false).map(|_| ())
    }

    fn report_late(&mut self) -> Result<(), Broken> {
        if self.taken.is_empty() || self.choose.one_in(3) {
            // The run is open, but the report is of an older epoch.
            let Some(order) = self.task.open_runs().next() else {
                return Ok(());
            };
            let (run, older) = (order.run.clone(), Epoch(order.epoch.0 - 1));
            let action = self.task.open[&ActionKey(run.as_str().to_owned())].clone();
            let mut event = self.world.answer(&self.task, &action, self.now, &mut self.choose);
            if let Event::RunEnded { epoch, .. } = &mut event {
                *epoch = older;
            }
            self.late(event)?;
            return self.late(Event::SessionKnown { run, epoch: older, session: "s".to_owned() });
        }
        let count = u32::try_from(self.taken.len()).unwrap();
        let event = self.taken[self.choose.below(count) as usize].clone();
        // While the same intent is open again, they are its answer: of one epoch what was beside
        // its work may be saved first, and all of it when the import fails.
        let answers_again = match &event {
            Event::LandFailed { key, .. } => self.task.open.contains_key(key),
            Event::Rescued { epoch, .. } => {
                self.task.open.contains_key(&ActionKey(format!("rescue-{epoch}")))
            }
            Event::Fetched { .. } => self.task.open.contains_key(&ActionKey("fetch".to_owned())),
            Event::Landed(_) => ["publish", "keep"]
                .iter()
                .any(|key| self.task.open.contains_key(&ActionKey((*key).to_owned()))),
            _ => false,
        };
        if answers_again { Ok(()) } else { self.late(event) }
    }

    fn observe(&mut self) -> Result<(), Broken> {
        let Some(order) = self.task.open_runs().next() else {
            return Ok(());
        };
        let (run, epoch) = (order.run.clone(), order.epoch);
        if self.choose.one_in(4) {
            return self.take(Event::ModelAnswered { run, epoch }, false).map(|_| ());
        }
        let event = if self.choose.one_in(2) {
            Event::SessionKnown { run, epoch, session: "early".to_owned() }
        } else {
            Event::CheckpointSeen { run, epoch, number: self.choose.below(4) }
        };
        self.take(event, false).map(|_| ())
    }

    /// Another task met a limit of a credential that this one uses, or does not use.
    fn another_learnt(&mut self) -> Result<(), Broken> {
        let credential = self.choose.of(&["k", "k0", "unknown"]).to_owned();
        let later = self.now.plus_seconds(i64::from(self.choose.below(7_000)) - 1_000);
        let login = (HoldReason::NeedsLogin, Wake::On(WakeEvent::Resume));
        let limit = (HoldReason::CredentialCoolingDown, Wake::At(later));
        let outage = (HoldReason::ModelDown, Wake::At(later));
        let (reason, until) = self.choose.of(&[limit, outage, login]);
        let (pauses, detail) = (self.choose.below(5), "limit".to_owned());
        let event = Event::CredentialLearnt { credential, reason, until, pauses, detail };
        self.take(event, false).map(|_| ())
    }

    /// The plain way on, with somebody at hand who says yes.
    fn fair(&mut self) -> Result<(), Broken> {
        let by = "me".to_owned();
        match &self.task.state {
            State::Held(hold) => match hold.until {
                Wake::At(time) => {
                    self.now = self.now.max(time);
                    Ok(())
                }
                Wake::On(WakeEvent::Approval | WakeEvent::Answer) => {
                    let open = self.task.open_questions().next();
                    let event = match (open, self.task.plan_at_hand()) {
                        (Some(asked), _) => {
                            let question = asked.question.id.clone();
                            Event::QuestionAnswered { question, choice: "this".to_owned(), by }
                        }
                        (None, Some(plan)) => Event::PlanApproved { plan, by },
                        (None, None) => Event::Approved { commit: self.task.head().clone(), by },
                    };
                    self.take(event, false).map(|_| ())
                }
                Wake::On(_) => self.take(Event::Resumed { by }, false).map(|_| ()),
            },
            State::Queued | State::Running(_)
                if self.task.open.is_empty() && self.task.pauses_until(self.now).is_some() =>
            {
                let at = self.task.retry_at.unwrap_or(self.now);
                self.now = self.now.max(at);
                Ok(())
            }
            State::Queued | State::Running(_) | State::Ended(_) => self.ordinary(),
        }
    }

    /// It is over: nothing changes it, whatever comes.
    fn afterwards(&mut self) -> Result<(), Broken> {
        let end = self.task.clone();
        for event in self.taken.split_off(self.taken.len().saturating_sub(4)) {
            self.late(event)?;
        }
        for _ in 0..3 {
            self.command()?;
        }
        self.take(Event::CancelRequested { by: "me".to_owned() }, false)?;
        self.take(Event::Admitted, false)?;
        self.settle()?;
        if self.task != end {
            return Err(Broken::new(Law::TerminalStays, &self.task.state));
        }
        self.crash()
    }
}
