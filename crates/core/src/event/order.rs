//! What is ordered: runs and landings, in the words of the domain.

use crate::id::{BranchName, CommitId, Epoch, RunName, StepName};

/// One order for one sandbox, in the words of the domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOrder {
    /// task-step-epoch.
    pub run: RunName,
    /// The step, or the run's kind where it belongs to the task.
    pub step: StepName,
    /// The epoch.
    pub epoch: Epoch,
    /// What to do.
    pub work: RunWork,
}

/// What a run does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunWork {
    /// Makes the immutable base.
    Checkout {
        /// The base.
        commit: CommitId,
    },
    /// Installs dependencies.
    Setup {
        /// Whose lock files count.
        commit: CommitId,
        /// None: the base's, shared. Some: an imported commit's, for this task only.
        origin: Option<CommitId>,
        /// Identifies the lock files.
        lock_hash: String,
        /// The command.
        command: String,
    },
    /// Runs one check command on one commit.
    Check {
        /// The commit.
        commit: CommitId,
        /// The command's index in the order.
        index: usize,
        /// The command.
        command: String,
        /// The layer of dependencies.
        deps: Option<String>,
    },
    /// Lets an agent work.
    Agent(Box<AgentRun>),
    /// Bundles what an agent's run left.
    Rescue {
        /// That run.
        of: RunName,
        /// Its epoch.
        of_epoch: Epoch,
    },
}

/// What an agent is started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads and plans.
    Plan,
    /// Changes the repository.
    Implement,
    /// Judges a change: fresh HOME, reads only.
    Review,
    /// Reads and answers; nothing is imported.
    Answer,
}

impl Role {
    /// The name on every wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "Plan",
            Self::Implement => "Implement",
            Self::Review => "Review",
            Self::Answer => "Answer",
        }
    }
}

/// One start of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentRun {
    /// What for.
    pub role: Role,
    /// What the workspace begins with.
    pub start: CommitId,
    /// Where the range to import begins: the newest imported commit, or the base.
    pub onto: CommitId,
    /// The layer of dependencies.
    pub deps: Option<String>,
    /// The prompt, whole.
    pub prompt: String,
    /// The session to go on with.
    pub resume: Option<String>,
    /// Seconds of wall clock.
    pub wall_seconds: u64,
    /// The most turns.
    pub max_turns: Option<u32>,
    /// Who works: 0 is the task's first agent, then its fallbacks in their order.
    pub agent: usize,
    /// How many of the waiting messages the prompt holds.
    pub messages: usize,
}

/// What the publisher does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LandAction {
    /// Gets the base into `upstream`.
    Fetch {
        /// The base.
        commit: CommitId,
    },
    /// Imports an agent's bundle: quarantine, gates, remake.
    Import {
        /// The agent's run.
        run: RunName,
        /// Its epoch.
        epoch: Epoch,
        /// Where the range begins.
        onto: CommitId,
        /// The task's base.
        base: CommitId,
    },
    /// Imports a rescue bundle under `refs/midwatch/rescue/`.
    SaveRescue {
        /// The agent's run that is saved.
        run: RunName,
        /// Its epoch.
        epoch: Epoch,
        /// The rescue run whose bundle it is.
        by: RunName,
        /// The task's base.
        base: CommitId,
    },
    /// Imports a checkpoint.
    SaveCheckpoint {
        /// The agent's run.
        run: RunName,
        /// Its epoch.
        epoch: Epoch,
        /// Counted from 1.
        number: u32,
        /// Where the range begins.
        onto: CommitId,
    },
    /// Hands a verified commit over.
    Publish {
        /// The commit.
        commit: CommitId,
        /// The task's base.
        base: CommitId,
        /// The branch of ours.
        branch: BranchName,
        /// To the remote.
        push: bool,
    },
    /// Leaves an unverified commit on a local branch.
    Keep {
        /// The commit.
        commit: CommitId,
        /// The branch of ours.
        branch: BranchName,
    },
}
