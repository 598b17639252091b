//! What people decide about a task, as events.

use midwatch_core::event::Event;
use midwatch_core::id::{CommitId, TaskName};
use midwatch_core::ports::{ActOnLand, ActOnRun, Clock, Store};

use crate::engine::{Engine, EngineError};

/// A decision of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    /// Stop, save, end.
    Cancel,
    /// Let a commit through; none means the one at hand.
    Approve(Option<CommitId>),
    /// Do not; empty feedback ends the task.
    Reject(String),
    /// Go on now.
    Resume,
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
    /// The approval saw another commit.
    #[error("the task is at commit {0} now; look at it, then approve that")]
    AnotherCommit(CommitId),
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
            Decided::Approve(commit) => {
                let head = task.head().clone();
                if commit.is_some_and(|seen| seen != head) {
                    return Err(CommandError::AnotherCommit(head));
                }
                (Event::Approved { commit: head, by }, "approved")
            }
            Decided::Reject(feedback) => (Event::Rejected { feedback, by }, "rejected"),
            Decided::Resume => (Event::Resumed { by }, "resumed"),
        };
        if !self.record(name, &[event])? {
            return Err(CommandError::NotNow { state: task.state.as_str(), verb });
        }
        self.inner.turn.notify_one();
        Ok(())
    }
}
