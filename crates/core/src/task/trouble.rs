//! What went wrong and is not settled yet: work to be saved, an end to come, an agent that is gone.

use crate::event::LeftOut;
use crate::id::{Epoch, RunName};
use crate::reason::{FailReason, HoldReason};
use crate::task::Wake;
use crate::time::Time;

/// What a finished run leaves to be saved before anything else happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsaved {
    /// The agent's run whose workspace it is.
    pub run: RunName,
    /// Its epoch.
    pub epoch: Epoch,
    /// The rescue run whose bundle waits to be imported.
    pub by: Option<RunName>,
    /// Rescues that failed.
    pub tries: u32,
    /// The last one found no room on the disk: the next waits for some.
    pub no_room: bool,
}

/// Commits that an agent's run left where its work does not reach: no import brings them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// Where in its repository, in words for people: branches, the stash.
    pub names: Vec<String>,
    /// Where they are saved: below which refs, or in which file.
    pub saved: Option<String>,
}

impl Unsaved {
    /// What an agent's run left, before anything was tried.
    pub(crate) const fn of(run: RunName, epoch: Epoch) -> Self {
        Self { run, epoch, by: None, tries: 0, no_room: false }
    }
}

/// Work that is nowhere but in a run's workspace, which therefore stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// Everything else was imported or saved.
    Files(Vec<LeftOut>),
    /// No rescue could save it.
    All,
}

/// What is to happen once everything is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It fails.
    Fail(FailReason, String),
    /// It is cancelled.
    Cancel,
    /// It needs no change.
    NoChange(String),
}

/// A failure of a run or a landing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The typed reason; none when the sandbox could not be built.
    pub reason: Option<FailReason>,
    /// What was seen.
    pub detail: String,
    /// When a limit resets.
    pub resets_at: Option<Time>,
    /// Whose run it was, for an agent's.
    pub agent: Option<usize>,
}

/// An agent that cannot work for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    /// `CredentialCoolingDown`, `NeedsLogin`, `ModelDown` or `ModelNotFound`.
    pub reason: HoldReason,
    /// What was seen.
    pub detail: String,
    /// When it can be asked again.
    pub until: Wake,
}

/// An agent's run that did not end by itself, as the next one is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interrupted {
    /// What was found, in a sentence.
    pub finding: String,
    /// The end of what the agent said last.
    pub last_words: String,
}
