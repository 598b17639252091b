//! What somebody decides about a task.

use midwatch_api::control::{Command, Refusal};
use midwatch_api::task::Spoken;
use midwatch_core::id::TaskName;
use midwatch_core::input::InvalidInput;
use midwatch_core::ports::ActOnLand;
use midwatch_core::task::Task;
use midwatch_engine::{AtHand, CommandError, Decided, EngineError, SEEN_DIGITS};

use super::Server;
use super::refusal::{internal, refused, stored};
use crate::access::Access;
use crate::launcher::process::{self, Killed};
use crate::store::StoreError;
use crate::view;

impl<A: Access, L: ActOnLand> Server<A, L> {
    /// Takes a decision of somebody.
    pub fn command(&self, name: &str, command: Command) -> Result<(), Refusal> {
        self.unreadable(name)?;
        self.row(name)?;
        let name = TaskName::parse(name).map_err(refused)?;
        let verb = verb(&command);
        let (decided, by) = match command {
            Command::Cancel { by } => (Decided::Cancel, by),
            Command::Approve { commit, plan, by } => {
                let seen = seen(commit, plan).map_err(refused)?;
                (Decided::Approve(seen.ok_or_else(|| self.unnamed(&name))?), by)
            }
            Command::Reject { feedback, by } => (Decided::Reject(feedback), by),
            Command::Resume { by, secret, fallback_secrets } => {
                let keys = [&[secret][..], &fallback_secrets].concat();
                if keys.iter().any(Option::is_some) {
                    self.renew_credentials(&name, &keys)?;
                }
                (Decided::Resume, by)
            }
            Command::Pause { by } => (Decided::Pause, by),
            Command::Answer { question, choice, by } => (Decided::Answer { question, choice }, by),
            Command::Message { text, by } => {
                Spoken::Message.check(&text).map_err(refused)?;
                (Decided::Message(text), by)
            }
        };
        let taken = self.engine.command(&name, decided.clone(), by.as_str());
        taken.or_else(|error| match &error {
            CommandError::NotOpen if self.ended_with(&name, &decided, by.as_str()) => Ok(()),
            error => Err(self.not_taken(&name, verb, error)),
        })
    }

    /// Whether the last that a task heard before it ended was this: who says it again, because the
    /// server died behind it, is told that it was taken.
    fn ended_with(&self, name: &TaskName, decided: &Decided, by: &str) -> bool {
        let replayed = || -> Option<Task> {
            let spec = self.row(name.as_str()).ok()?.order.to_spec(name.as_str()).ok()?;
            let events = self.store.events(name.as_str(), 0).ok()?;
            Task::replay(spec, events.iter().map(|stored| &stored.event)).ok()
        };
        replayed().is_some_and(|task| decided.is_said(&task, by))
    }

    fn not_taken(&self, name: &TaskName, verb: &str, error: &CommandError<StoreError>) -> Refusal {
        match error {
            CommandError::NotOpen => self.over(name, verb),
            CommandError::Another(at_hand) => look_first(name, at_hand, error.to_string()),
            CommandError::NotNow { .. }
            | CommandError::OpenQuestions(_)
            | CommandError::NoSuchAnswer(_) => Refusal {
                message: error.to_string(),
                hint: Some(format!("`midwatch explain {name}` says where it stands")),
                exit: 2,
            },
            CommandError::Engine(EngineError::Store(error)) => stored(error),
            CommandError::Engine(fault @ EngineError::Replay { .. }) => internal(fault),
        }
    }

    /// That an approval names nothing, where something waits for one.
    fn unnamed(&self, name: &TaskName) -> Refusal {
        let verb = "approved";
        let Some(task) = self.engine.task(name) else { return self.over(name, verb) };
        let Some(at_hand) = AtHand::of(&task) else {
            let state = task.state.as_str();
            return self.not_taken(name, verb, &CommandError::NotNow { state, verb });
        };
        let message = format!(
            "{} is missing: an approval names what was looked at; {at_hand} waits for one",
            at_hand.field()
        );
        look_first(name, &at_hand, message)
    }

    /// That a task has ended, how, and what can be done with it still.
    fn over(&self, name: &TaskName, verb: &str) -> Refusal {
        let view = match self.get(name.as_str()) {
            Ok(view) => view,
            Err(refusal) => return refusal,
        };
        let Some(state) = view.result.state else {
            let message = format!("task {name} {}", view.explain);
            return Refusal { message, hint: view.result.hint, exit: 2 };
        };
        let reason = view.result.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        let goes_on = format!("`midwatch message {name} TEXT` goes on from its work");
        let hint = match state.as_str() {
            "Failed" | "Cancelled" => format!("`midwatch retry {name}` begins it anew; {goes_on}"),
            _ => goes_on,
        };
        let message = format!("task {name} has ended as {state}{reason}: it cannot be {verb}");
        Refusal { message, hint: Some(hint), exit: 2 }
    }

    /// Kills the open runs of a task at once; what their agents wrote is rescued after that.
    /// Returns the names of the killed runs.
    pub fn kill(&self, name: &str) -> Result<Vec<String>, Refusal> {
        if self.damage_of(name)?.is_some() {
            return self.kill_damaged(name);
        }
        self.row(name)?;
        let name = TaskName::parse(name).map_err(refused)?;
        let Some(task) = self.engine.task(&name) else { return Ok(vec![]) };
        let runs: Vec<String> = task.open_runs().map(|order| order.run.to_string()).collect();
        let killed = self.kill_all(&runs)?;
        Ok(killed.into_iter().map(|(run, _dies)| run).collect())
    }

    /// Kills runs, each that can be, and says whether all could.
    pub(super) fn kill_all(&self, runs: &[String]) -> Result<Vec<(String, Killed)>, Refusal> {
        let (mut killed, mut left) = (Vec::new(), Vec::new());
        for run in runs {
            match process::kill(&self.folder.run(run)) {
                Ok(Some(dies)) => killed.push((run.clone(), dies)),
                Ok(None) => {}
                Err(error) => left.push(not_killed(run, &error)),
            }
        }
        if left.is_empty() { Ok(killed) } else { Err(internal(&left.join("; "))) }
    }
}

/// That a run goes on.
pub(super) fn not_killed(run: &str, error: &std::io::Error) -> String {
    format!("{run} could not be killed: {error}")
}

/// A refusal of an approval, with what can be approved.
fn look_first(name: &TaskName, at_hand: &AtHand, message: String) -> Refusal {
    let (look, approve) = (view::look(name, at_hand), view::approve(name, at_hand));
    Refusal { message, hint: Some(format!("{look}, then `{approve}`")), exit: 2 }
}

/// What an approval names: digits of one of both.
fn seen(commit: Option<String>, plan: Option<String>) -> Result<Option<AtHand>, InvalidInput> {
    let seen = match (commit, plan) {
        (None, None) => return Ok(None),
        (Some(digits), None) => AtHand::Commit(digits),
        (None, Some(digits)) => AtHand::Plan(digits),
        (Some(_), Some(plan)) => {
            let rule = "stands beside a commit";
            return Err(InvalidInput::new("plan", &plan, rule, "name the one that you looked at"));
        }
    };
    let digits = seen.digits();
    let is_hex = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    if digits.len() >= SEEN_DIGITS && digits.bytes().all(is_hex) {
        return Ok(Some(seen));
    }
    let rule = format!("is not {SEEN_DIGITS} or more of the digits 0 to 9 and a to f");
    let fix = "`midwatch explain` names what waits for an approval";
    Err(InvalidInput::new(seen.field(), digits, &rule, fix))
}

/// What a command would have done, as a participle.
const fn verb(command: &Command) -> &'static str {
    match command {
        Command::Cancel { .. } => "cancelled",
        Command::Approve { .. } => "approved",
        Command::Reject { .. } => "rejected",
        Command::Resume { .. } => "resumed",
        Command::Pause { .. } => "paused",
        Command::Answer { .. } => "answered",
        Command::Message { .. } => "told",
    }
}
