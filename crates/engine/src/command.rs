//! What people decide about a task, as events.

use midwatch_core::event::Event;
use midwatch_core::id::TaskName;
use midwatch_core::plan::Asked;
use midwatch_core::ports::{ActOnLand, ActOnRun, Clock, Store};
use midwatch_core::reason::HoldReason;
use midwatch_core::task::{State, Task};

use crate::engine::{Engine, EngineError};

/// A decision of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    /// Stop, save, end.
    Cancel,
    /// Let a commit or a plan through, by the name of what was looked at: between the look and the
    /// word, what is at hand may have become another.
    Approve(AtHand),
    /// Do not; empty feedback ends the task.
    Reject(String),
    /// Go on now. A task that waits for a login takes all others of that login along.
    Resume,
    /// Stop, save, wait.
    Pause,
    /// Answer a question of the agent's.
    Answer {
        /// The question's id.
        question: String,
        /// The choice.
        choice: String,
    },
    /// Say something to the agent.
    Message(String),
}

impl Decided {
    /// Whether a task has heard this already, and has not come to anything since for which the same
    /// would be said again. A client whose server died when it was stored says it twice.
    pub fn is_said(&self, task: &Task, by: &str) -> bool {
        let by = by.to_owned();
        let said = match self.clone() {
            Self::Cancel => Event::CancelRequested { by },
            Self::Approve(seen) => match task.last_word.clone() {
                Some(Event::Approved { commit, .. })
                    if seen.means(&AtHand::Commit(commit.as_str().to_owned())) =>
                {
                    Event::Approved { commit, by }
                }
                Some(Event::PlanApproved { plan, .. })
                    if seen.means(&AtHand::Plan(plan.clone())) =>
                {
                    Event::PlanApproved { plan, by }
                }
                Some(_) | None => return false,
            },
            Self::Reject(feedback) => Event::Rejected { feedback, by },
            Self::Resume => Event::Resumed { by },
            Self::Pause => Event::PauseRequested { by },
            // Of an answer it does not matter who gave it, nor what was said after it.
            Self::Answer { question, choice } => return is_answered(task, &question, &choice),
            Self::Message(text) => Event::Messaged { text, by },
        };
        task.last_word.as_ref() == Some(&said)
    }
}

/// What waits for an approval, or what somebody looked at before they said yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AtHand {
    /// A commit, by its id, or the first digits of it.
    Commit(String),
    /// A plan, by its digest, or the first digits of it.
    Plan(String),
}

/// The fewest digits that name a plan or a commit. Only the one at hand can be meant, so they need
/// not tell it from many.
pub const SEEN_DIGITS: usize = 7;
/// Digits that are shown of one.
pub const SHOWN_DIGITS: usize = 12;

impl AtHand {
    /// What waits for an approval, where a task waits for one.
    pub fn of(task: &Task) -> Option<Self> {
        let State::Held(hold) = &task.state else { return None };
        (hold.reason == HoldReason::Approval).then(|| match task.plan_at_hand() {
            Some(plan) => Self::Plan(plan),
            None => Self::Commit(task.head().as_str().to_owned()),
        })
    }

    /// The field of a command that holds it.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Commit(_) => "commit",
            Self::Plan(_) => "plan",
        }
    }

    /// Its digits, as many as were given.
    pub fn digits(&self) -> &str {
        match self {
            Self::Commit(digits) | Self::Plan(digits) => digits,
        }
    }

    /// Whether somebody who names this means that one.
    fn means(&self, whole: &Self) -> bool {
        let digits = self.digits();
        let fits = digits.len() >= SEEN_DIGITS && whole.digits().starts_with(digits);
        fits && self.field() == whole.field()
    }
}

/// In few words, as it is named to `midwatch approve`.
impl std::fmt::Display for AtHand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = self.digits();
        write!(f, "{} {}", self.field(), digits.get(..SHOWN_DIGITS).unwrap_or(digits))
    }
}

/// Why a decision was not taken.
#[derive(Debug, thiserror::Error)]
pub enum CommandError<E: std::error::Error> {
    /// No such task, or it is over.
    #[error("there is no open task of that name")]
    NotOpen,
    /// It cannot be done in the task's state.
    #[error("the task is {state}: it cannot be {verb} now")]
    NotNow {
        /// The state.
        state: &'static str,
        /// The verb, as a participle.
        verb: &'static str,
    },
    /// The approval saw something else.
    #[error("it is {0} that waits for an approval now; look at it, then approve that")]
    Another(AtHand),
    /// Questions come before an approval.
    #[error("the plan asks, and nobody has answered: {0}")]
    OpenQuestions(String),
    /// There is no such question, or no such choice.
    #[error("{0}")]
    NoSuchAnswer(String),
    /// The store failed.
    #[error(transparent)]
    Engine(#[from] EngineError<E>),
}

impl<S: Store, R: ActOnRun, L: ActOnLand, C: Clock> Engine<S, R, L, C> {
    /// Takes a decision; it is stored when this returns.
    pub fn command(
        &self,
        name: &TaskName,
        decided: Decided,
        by: &str,
    ) -> Result<(), CommandError<S::Error>> {
        let task = self.task(name).ok_or(CommandError::NotOpen)?;
        if decided.is_said(&task, by) {
            return Ok(());
        }
        let by = by.to_owned();
        let (event, verb) = match decided {
            Decided::Cancel => (Event::CancelRequested { by }, "cancelled"),
            Decided::Approve(seen) => (approval(&task, &seen, by)?, "approved"),
            Decided::Reject(feedback) => (Event::Rejected { feedback, by }, "rejected"),
            Decided::Resume => {
                self.resume_alike(&task, &by)?;
                (Event::Resumed { by }, "resumed")
            }
            Decided::Pause => (Event::PauseRequested { by }, "paused"),
            Decided::Answer { question, choice } => {
                fits(&task, &question, &choice)?;
                (Event::QuestionAnswered { question, choice, by }, "answered")
            }
            Decided::Message(text) => (Event::Messaged { text, by }, "told"),
        };
        if !self.record(name, &[event])? {
            return Err(CommandError::NotNow { state: task.state.as_str(), verb });
        }
        self.inner.turn.notify_one();
        Ok(())
    }

    /// A login is of all tasks that use it: those that wait for it go on with this one, one of
    /// them first.
    fn resume_alike(&self, task: &Task, by: &str) -> Result<(), CommandError<S::Error>> {
        let ours = rejected_logins(task);
        let alike = self.open_tasks().into_iter().filter(|other| {
            let shares = rejected_logins(other).iter().any(|login| ours.contains(login));
            // Whoever paused it decides when it goes on.
            other.spec.name != task.spec.name && other.paused.is_none() && shares
        });
        for other in alike {
            self.record(&other.spec.name, &[Event::Resumed { by: by.to_owned() }])?;
        }
        Ok(())
    }
}

/// A login that was rejected.
#[derive(Debug, PartialEq, Eq)]
enum Login<'a> {
    /// An agent's, by the key of its credential.
    Agent(&'a str),
    /// At the server of a repository.
    Repository(&'a str),
}

/// The logins that a held task waits for, also where it would go on without one of them, at the
/// reset of another agent.
fn rejected_logins(task: &Task) -> Vec<Login<'_>> {
    let State::Held(hold) = &task.state else { return vec![] };
    let needing = (0..task.spec.agents()).filter(|agent| task.needs_login(*agent));
    let agents: Vec<_> =
        needing.filter_map(|agent| task.spec.credential_of(agent)).map(Login::Agent).collect();
    match hold.reason {
        // No agent's: what could not be fetched or pushed.
        HoldReason::NeedsLogin if agents.is_empty() => {
            vec![Login::Repository(&task.spec.repository)]
        }
        HoldReason::NeedsLogin
        | HoldReason::CredentialCoolingDown
        | HoldReason::ModelDown
        | HoldReason::ModelNotFound => agents,
        HoldReason::Dependency
        | HoldReason::Concurrency
        | HoldReason::BranchBusy
        | HoldReason::Budget
        | HoldReason::Approval
        | HoldReason::Question
        | HoldReason::SandboxUnavailable
        | HoldReason::RepositoryAway
        | HoldReason::Paused
        | HoldReason::RepositoryLimit
        | HoldReason::CredentialLimit
        | HoldReason::DiskLow
        | HoldReason::MemoryLow => vec![],
    }
}

/// The event of an approval: of the plan where one is at hand, else of the commit.
fn approval<E: std::error::Error>(
    task: &Task,
    seen: &AtHand,
    by: String,
) -> Result<Event, CommandError<E>> {
    let Some(at_hand) = AtHand::of(task) else {
        return Err(CommandError::NotNow { state: task.state.as_str(), verb: "approved" });
    };
    if !seen.means(&at_hand) {
        return Err(CommandError::Another(at_hand));
    }
    let plan = match at_hand {
        AtHand::Commit(_) => return Ok(Event::Approved { commit: task.head().clone(), by }),
        AtHand::Plan(plan) => plan,
    };
    let open: Vec<String> = task.open_questions().map(Asked::line).collect();
    if open.is_empty() {
        Ok(Event::PlanApproved { plan, by })
    } else {
        Err(CommandError::OpenQuestions(open.join("; ")))
    }
}

/// Whether a question has this very answer.
fn is_answered(task: &Task, question: &str, choice: &str) -> bool {
    let of = |asked: &&Asked| asked.question.id == question;
    let answer = task.questions.iter().find(of).and_then(|asked| asked.answer.as_ref());
    answer.is_some_and(|(given, _)| given == choice)
}

fn fits<E: std::error::Error>(
    task: &Task,
    question: &str,
    choice: &str,
) -> Result<(), CommandError<E>> {
    let no = |text: String| Err(CommandError::NoSuchAnswer(text));
    let Some(asked) = task.questions.iter().find(|asked| asked.question.id == question) else {
        let known: Vec<String> = task.questions.iter().map(Asked::line).collect();
        return no(match known.as_slice() {
            [] => "the task asks nothing".to_owned(),
            known => format!("there is no such question; it asks: {}", known.join("; ")),
        });
    };
    if asked.takes(choice) { Ok(()) } else { no(format!("choose one of: {}", asked.line())) }
}
