//! Where a task stands: its states, what a wait waits for, how it ended.

use std::collections::BTreeSet;

use crate::id::RunName;
use crate::landing::{Kept, Landed};
use crate::reason::{FailReason, HoldReason, names};
use crate::time::Time;

/// Where a task stands. Waiting for approval, a reset, a busy branch are all `Held`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Waits to be admitted.
    Queued,
    /// Admitted; the runs that are open now.
    Running(BTreeSet<RunName>),
    /// Waits for a time or for somebody.
    Held(Hold),
    /// Over.
    Ended(Outcome),
}

names! {
    /// What a state is called, without what it holds: the one `state` on every wire.
    pub enum StateName {
        /// Waits to be admitted.
        Queued,
        /// Admitted.
        Running,
        /// Waits for a time or for somebody.
        Held,
        /// Verified, and read back from the target.
        Done,
        /// Asked for without checks.
        Unverified,
        /// The question was answered.
        Answered,
        /// The goal needed no change.
        NoChange,
        /// It failed.
        Failed,
        /// Somebody cancelled it.
        Cancelled,
    }
}

/// Why a task is held, and what ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The reason.
    pub reason: HoldReason,
    /// One sentence.
    pub detail: String,
    /// What ends it.
    pub until: Wake,
}

/// What ends a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wake {
    /// A point in time.
    At(Time),
    /// A named event: somebody resumes, approves, answers, or a slot gets free.
    On(WakeEvent),
}

impl Wake {
    /// Whether it is still to come.
    pub fn lasts(self, now: Time) -> bool {
        match self {
            Self::At(at) => at > now,
            Self::On(_) => true,
        }
    }
}

/// Events that end a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WakeEvent {
    /// The queue admits it.
    Admission,
    /// An open action ends.
    Action,
    /// Somebody approves or rejects.
    Approval,
    /// Somebody resumes it.
    Resume,
    /// Somebody answers its questions.
    Answer,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Verified, and read back from the target.
    Done(Box<Landed>),
    /// Asked for without checks: a local branch.
    Unverified(Box<Kept>),
    /// The question was answered; nothing was changed or handed over.
    Answered {
        /// The answer.
        text: String,
    },
    /// The goal needed no change: said so, and the diff is empty.
    NoChange {
        /// Why.
        why: String,
    },
    /// It failed.
    Failed {
        /// The typed reason.
        reason: FailReason,
        /// One sentence, or what was seen.
        detail: String,
    },
    /// Somebody cancelled it.
    Cancelled,
}

impl State {
    /// What it is called.
    pub const fn name(&self) -> StateName {
        match self {
            Self::Queued => StateName::Queued,
            Self::Running(_) => StateName::Running,
            Self::Held(_) => StateName::Held,
            Self::Ended(Outcome::Done(_)) => StateName::Done,
            Self::Ended(Outcome::Unverified(_)) => StateName::Unverified,
            Self::Ended(Outcome::Answered { .. }) => StateName::Answered,
            Self::Ended(Outcome::NoChange { .. }) => StateName::NoChange,
            Self::Ended(Outcome::Failed { .. }) => StateName::Failed,
            Self::Ended(Outcome::Cancelled) => StateName::Cancelled,
        }
    }

    /// The same, as it stands on every wire.
    pub const fn as_str(&self) -> &'static str {
        self.name().as_str()
    }

    /// Nothing can change it any more.
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Ended(_))
    }
}
