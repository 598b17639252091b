//! What is known of credentials, over all tasks: a limit or a rejection belongs to the
//! credential, and so does an outage of its provider, so that one run learns it for all. Folded
//! from what is stored; never stored itself.

use std::collections::BTreeMap;

use crate::agent::AgentOutcome;
use crate::event::{Event, RunResult, RunWork};
use crate::id::TaskName;
use crate::reason::HoldReason;
use crate::task::{Hold, State, Task, Wake};
use crate::time::Time;

/// Every credential that did not work when it was used last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Credentials(BTreeMap<String, Standing>);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// `CredentialCoolingDown`, `NeedsLogin` or `ModelDown`.
    pub reason: HoldReason,
    /// When it can be asked again. After that one task tries it, before the others may.
    pub until: Wake,
    /// Pauses in a row so far, so that they grow whoever meets them.
    pub pauses: u32,
    /// What was seen.
    pub detail: String,
    /// Who tries it.
    pub probe: Option<TaskName>,
    /// Who learnt it last.
    pub by: TaskName,
}

impl Standing {
    /// Nobody may use it yet.
    pub fn is_closed(&self, now: Time) -> bool {
        self.until.lasts(now)
    }
}

impl Credentials {
    /// What is known against a credential; nothing when it worked last or was never used.
    pub fn standing(&self, credential: &str) -> Option<&Standing> {
        self.0.get(credential)
    }

    /// Takes in what was stored of a task, in the order in which it was stored. `after` is the
    /// task with the event, `before` without.
    pub fn learn(&mut self, before: &Task, event: &Event, after: &Task) {
        match event {
            Event::AgentUnavailable { agent, reason, detail, until } => {
                // Alone with a model that is gone, a task may have named it wrong.
                let limit =
                    matches!(reason, HoldReason::CredentialCoolingDown | HoldReason::NeedsLogin);
                let shared = limit || (*reason == HoldReason::ModelDown && after.outage);
                if shared && let Some(key) = after.spec.credential_of(*agent) {
                    self.learnt(key, Standing::of(after, *reason, *until, detail));
                }
            }
            // It tries again by itself; nobody else has to meanwhile.
            Event::Retried { at, .. } => {
                if let (Some(agent), Some(failure)) = (before.model_failed(), &before.failure)
                    && let Some(key) = before.spec.credential_of(agent)
                {
                    let (reason, until) = (HoldReason::ModelDown, Wake::At(*at));
                    let standing = Standing::of(after, reason, until, &failure.detail);
                    let probe = Some(after.spec.name.clone());
                    self.learnt(key, Standing { probe, ..standing });
                }
            }
            // Stored by another task's doing; after a restart it may be all that is left of it.
            Event::CredentialLearnt { credential, reason, until, pauses, detail } => {
                self.0.entry(credential.clone()).or_insert_with(|| {
                    let standing = Standing::of(after, *reason, *until, detail);
                    Standing { pauses: *pauses, ..standing }
                });
            }
            Event::ModelAnswered { run, .. } => {
                if let Some(order) = before.open_run(run) {
                    self.works(before, &order.work);
                }
            }
            Event::RunEnded { run, result: RunResult::Agent(agent), .. } => {
                if let (Some(order), AgentOutcome::Completed) =
                    (before.open_run(run), &agent.outcome)
                {
                    self.works(before, &order.work);
                }
            }
            Event::Admitted => self.admitted(after),
            Event::Resumed { .. } => self.resumed(before),
            Event::Held(_) | Event::Ended(_) => self.gives_up(&after.spec.name),
            Event::Intended(_)
            | Event::RunEnded { .. }
            | Event::SessionKnown { .. }
            | Event::CheckpointSeen { .. }
            | Event::Fetched { .. }
            | Event::Imported { .. }
            | Event::NothingToImport { .. }
            | Event::Rescued { .. }
            | Event::Checkpointed { .. }
            | Event::Landed(_)
            | Event::LandFailed { .. }
            | Event::StopSent { .. }
            | Event::Advanced(_)
            | Event::RepairBegun { .. }
            | Event::ReviewReturned { .. }
            | Event::Released
            | Event::EndingChosen(_)
            | Event::CancelRequested { .. }
            | Event::Approved { .. }
            | Event::Rejected { .. }
            | Event::PauseRequested { .. }
            | Event::PlanApproved { .. }
            | Event::QuestionAnswered { .. }
            | Event::Messaged { .. }
            | Event::FollowedUp { .. } => {}
        }
    }

    /// Whether an event can change what is known; the others need not be kept for it.
    pub const fn hears(event: &Event) -> bool {
        matches!(
            event,
            Event::AgentUnavailable { .. }
                | Event::CredentialLearnt { .. }
                | Event::ModelAnswered { .. }
                | Event::RunEnded { result: RunResult::Agent(_), .. }
                | Event::Retried { .. }
                | Event::Admitted
                | Event::Resumed { .. }
                | Event::Held(_)
                | Event::Ended(_)
        )
    }

    /// What a task does not know yet of the credentials that it uses.
    pub fn news_for(&self, task: &Task, now: Time) -> Vec<Event> {
        let mut news = Vec::new();
        for agent in 0..task.spec.agents() {
            let Some(key) = task.spec.credential_of(agent) else { continue };
            let Some(standing) = self.0.get(key) else { continue };
            let known = task.names_no_model(agent)
                || task.unavailable.get(&agent).is_some_and(|gone| {
                    gone.reason == standing.reason && gone.until == standing.until
                });
            let told = news.iter().any(
                |event| matches!(event, Event::CredentialLearnt { credential, .. } if credential == key),
            );
            // Its own next try is no news to it.
            let own = standing.reason == HoldReason::ModelDown && standing.by == task.spec.name;
            if standing.is_closed(now) && !known && !told && !own {
                news.push(standing.news(key));
            }
        }
        news
    }

    /// How often a credential failed so far, for the task that tries it next: its pauses go on
    /// growing where another task's ended.
    pub fn history_for(&self, task: &Task, now: Time) -> Vec<Event> {
        let Ok(agent) = task.agent_at(now) else { return vec![] };
        let Some(key) = task.spec.credential_of(agent) else { return vec![] };
        let standing = self.0.get(key).filter(|standing| standing.pauses > task.pauses);
        let open = standing.filter(|standing| matches!(standing.until, Wake::At(_)));
        open.map(|standing| standing.news(key)).into_iter().collect()
    }

    /// Nobody is sent away by what somebody learnt of a credential before this moment: it is
    /// tried once, whatever was known. For a login that was handed over.
    pub fn renew(&mut self, credential: &str) {
        if let Some(standing) = self.0.get_mut(credential) {
            standing.until = Wake::At(Time::default());
            standing.probe = None;
        }
    }

    /// Of two that were told of one credential the later end counts: it would only fail again.
    fn learnt(&mut self, key: &str, standing: Standing) {
        match self.0.get_mut(key) {
            // The same wait, met by one more: who tries after it stays.
            Some(known)
                if standing.reason == HoldReason::ModelDown && known.until == standing.until =>
            {
                known.pauses = known.pauses.max(standing.pauses);
                known.by = standing.by;
            }
            Some(known) if known.until > standing.until => {
                known.pauses = known.pauses.max(standing.pauses);
                known.probe = None;
            }
            Some(_) | None => {
                self.0.insert(key.to_owned(), standing);
            }
        }
    }

    fn works(&mut self, task: &Task, work: &RunWork) {
        if let RunWork::Agent(run) = work
            && let Some(key) = task.spec.credential_of(run.agent)
        {
            self.0.remove(key);
        }
    }

    fn admitted(&mut self, task: &Task) {
        for agent in 0..task.spec.agents() {
            if let Some(key) = task.spec.credential_of(agent)
                && let Some(standing) = self.0.get_mut(key)
                && standing.probe.is_none()
            {
                standing.probe = Some(task.spec.name.clone());
            }
        }
    }

    fn resumed(&mut self, before: &Task) {
        let waited = matches!(
            &before.state,
            State::Held(Hold {
                reason: HoldReason::NeedsLogin
                    | HoldReason::CredentialCoolingDown
                    | HoldReason::ModelDown,
                ..
            })
        );
        if waited {
            for agent in 0..before.spec.agents() {
                if let Some(key) = before.spec.credential_of(agent) {
                    self.renew(key);
                }
            }
        }
    }

    fn gives_up(&mut self, task: &TaskName) {
        for standing in self.0.values_mut() {
            if standing.probe.as_ref() == Some(task) {
                standing.probe = None;
            }
        }
    }
}

impl Standing {
    fn of(task: &Task, reason: HoldReason, until: Wake, detail: &str) -> Self {
        let (pauses, detail) = (task.pauses, detail.to_owned());
        Self { reason, until, pauses, detail, probe: None, by: task.spec.name.clone() }
    }

    fn news(&self, key: &str) -> Event {
        Event::CredentialLearnt {
            credential: key.to_owned(),
            reason: self.reason,
            until: self.until,
            pauses: self.pauses,
            detail: self.detail.clone(),
        }
    }
}
