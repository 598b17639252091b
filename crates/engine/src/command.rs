//! What people decide about a task, as events.

use midwatch_core::event::Event;
use midwatch_core::id::{CommitId, TaskName};
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
    /// Let a commit or a plan through; none means what is at hand.
    Approve(Option<Seen>),
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

/// What somebody looked at before they said yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A commit.
    Commit(CommitId),
    /// A plan, by its digest, or the first digits of it.
    Plan(String),
}

/// The fewest digits that name a plan.
const PLAN_DIGITS: usize = 8;

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
    /// The approval saw another commit.
    #[error("the task is at commit {0} now; look at it, then approve that")]
    AnotherCommit(CommitId),
    /// The approval saw another plan.
    #[error("the task's plan is {0} now; look at it, then approve that")]
    AnotherPlan(String),
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
        let by = by.to_owned();
        let (event, verb) = match decided {
            Decided::Cancel => (Event::CancelRequested { by }, "cancelled"),
            Decided::Approve(seen) => (approval(&task, seen, by)?, "approved"),
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
        if !waits_for_login(task) {
            return Ok(());
        }
        let keys = |task: &Task| -> Vec<String> {
            let agents = 0..task.spec.agents();
            agents.filter_map(|agent| task.spec.credential_of(agent).map(Into::into)).collect()
        };
        let ours = keys(task);
        let alike = self.open_tasks().into_iter().filter(|other| {
            let shares = keys(other).iter().any(|key| ours.contains(key));
            other.spec.name != task.spec.name && waits_for_login(other) && shares
        });
        for other in alike {
            self.record(&other.spec.name, &[Event::Resumed { by: by.to_owned() }])?;
        }
        Ok(())
    }
}

fn waits_for_login(task: &Task) -> bool {
    matches!(&task.state, State::Held(hold) if hold.reason == HoldReason::NeedsLogin)
}

/// The event of an approval: of the plan where one is at hand, else of the commit.
fn approval<E: std::error::Error>(
    task: &Task,
    seen: Option<Seen>,
    by: String,
) -> Result<Event, CommandError<E>> {
    let Some(plan) = task.plan_at_hand() else {
        let head = task.head().clone();
        return match seen {
            Some(Seen::Commit(commit)) if commit != head => Err(CommandError::AnotherCommit(head)),
            Some(Seen::Plan(_)) => Err(CommandError::AnotherCommit(head)),
            Some(Seen::Commit(_)) | None => Ok(Event::Approved { commit: head, by }),
        };
    };
    let fits = match &seen {
        None => true,
        Some(Seen::Plan(digits)) => digits.len() >= PLAN_DIGITS && plan.starts_with(digits),
        Some(Seen::Commit(_)) => false,
    };
    if !fits {
        return Err(CommandError::AnotherPlan(plan[..12].to_owned()));
    }
    let open: Vec<String> = task.open_questions().map(Asked::line).collect();
    if open.is_empty() {
        Ok(Event::PlanApproved { plan, by })
    } else {
        Err(CommandError::OpenQuestions(open.join("; ")))
    }
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
