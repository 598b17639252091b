//! What happens to a task, and what is done for it. Events are stored; the state is replayed.

use std::fmt;

use crate::agent::AgentOutcome;
use crate::evidence::CheckResult;
use crate::id::{BranchName, CommitId, Epoch, RunName, StepName};
use crate::landing::{ImportFacts, ReadBack};
use crate::reason::FailReason;
use crate::task::{Ending, Hold, Spent, Stage};
use crate::time::Time;

/// The deterministic key of an action: the same intent has the same key after a restart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActionKey(pub String);

impl fmt::Display for ActionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An outward effect. Idempotent; looked for in the world before it is redone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A run in a sandbox.
    Run(RunOrder),
    /// Something with the repository that the publisher does.
    Land(LandAction),
}

impl Action {
    /// The action's key in its task.
    pub fn key(&self) -> ActionKey {
        ActionKey(match self {
            Self::Run(order) => order.run.as_str().to_owned(),
            Self::Land(LandAction::Fetch { .. }) => "fetch".to_owned(),
            Self::Land(LandAction::Import { epoch, .. }) => format!("import-{epoch}"),
            Self::Land(LandAction::SaveRescue { epoch, .. }) => format!("rescue-{epoch}"),
            Self::Land(LandAction::SaveCheckpoint { epoch, .. }) => format!("checkpoint-{epoch}"),
            Self::Land(LandAction::Publish { .. }) => "publish".to_owned(),
            Self::Land(LandAction::Keep { .. }) => "keep".to_owned(),
        })
    }
}

impl Action {
    /// What kind of action it is, for logs and tests.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Run(order) => match order.work {
                RunWork::Checkout { .. } => "Checkout",
                RunWork::Setup { .. } => "Setup",
                RunWork::Check { .. } => "Check",
                RunWork::Agent(_) => "Agent",
                RunWork::Rescue { .. } => "Rescue",
            },
            Self::Land(land) => match land {
                LandAction::Fetch { .. } => "Fetch",
                LandAction::Import { .. } => "Import",
                LandAction::SaveRescue { .. } => "SaveRescue",
                LandAction::SaveCheckpoint { .. } => "SaveCheckpoint",
                LandAction::Publish { .. } => "Publish",
                LandAction::Keep { .. } => "Keep",
            },
        }
    }
}

impl Event {
    /// The event's name, for logs and tests.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Admitted => "Admitted",
            Self::Intended(action) => action.kind(),
            Self::RunEnded { .. } => "RunEnded",
            Self::SessionKnown { .. } => "SessionKnown",
            Self::CheckpointSeen { .. } => "CheckpointSeen",
            Self::Fetched { .. } => "Fetched",
            Self::Imported { .. } => "Imported",
            Self::NothingToImport { .. } => "NothingToImport",
            Self::Rescued { .. } => "Rescued",
            Self::Checkpointed { .. } => "Checkpointed",
            Self::Landed(_) => "Landed",
            Self::LandFailed { .. } => "LandFailed",
            Self::StopSent { .. } => "StopSent",
            Self::Advanced(_) => "Advanced",
            Self::RepairBegun { .. } => "RepairBegun",
            Self::ReviewReturned { .. } => "ReviewReturned",
            Self::Retried { .. } => "Retried",
            Self::Held(_) => "Held",
            Self::Released => "Released",
            Self::EndingChosen(_) => "EndingChosen",
            Self::Ended(_) => "Ended",
            Self::CancelRequested { .. } => "CancelRequested",
            Self::Approved { .. } => "Approved",
            Self::Rejected { .. } => "Rejected",
            Self::Resumed { .. } => "Resumed",
        }
    }
}

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
}

impl Role {
    /// The name on every wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "Plan",
            Self::Implement => "Implement",
            Self::Review => "Review",
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

/// A typed value that a step leaves for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Artifact {
    /// A plan.
    Plan(String),
    /// Title and text for the change.
    PullRequestText {
        /// One line.
        title: String,
        /// Markdown.
        body: String,
    },
    /// A reviewer's verdict.
    Verdict {
        /// The change is good.
        approve: bool,
        /// What to change.
        comments: Vec<String>,
    },
    /// No change is needed.
    NoChange(String),
    /// The agent cannot go on.
    Blocked(String),
    /// Work for another task.
    FollowUpTask(String),
}

/// What an agent's run left. The outcome is judged from outside; the rest are claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentResult {
    /// How it ended.
    pub outcome: AgentOutcome,
    /// The session to resume.
    pub session: Option<String>,
    /// Tokens and money of this run.
    pub spent: Spent,
    /// Its last message.
    pub text: String,
    /// Typed outputs.
    pub artifacts: Vec<Artifact>,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunResult {
    /// A base is there.
    BaseReady,
    /// A layer is there.
    DepsReady {
        /// Its name.
        layer: String,
        /// It was there already: nothing was run.
        kept: bool,
    },
    /// A check said something.
    Checked(CheckResult),
    /// An agent ended.
    Agent(Box<AgentResult>),
    /// A rescue bundle is there.
    Bundled,
    /// The run could not do what it was for.
    Failed {
        /// The typed reason.
        reason: FailReason,
        /// What was seen.
        detail: String,
    },
    /// The sandbox could not be built.
    SandboxUnavailable {
        /// The layer or step.
        detail: String,
    },
}

/// How a task ends, without the proof: that is rebuilt from what is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndKind {
    /// Needs a verified commit that was read back.
    Done,
    /// Needs `--no-check` and an imported commit that was read back.
    Unverified,
    /// Typed output and an empty diff.
    NoChange {
        /// Why.
        why: String,
    },
    /// Failed.
    Failed {
        /// Why.
        reason: FailReason,
        /// What was seen.
        detail: String,
    },
    /// Cancelled.
    Cancelled,
}

/// What is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The queue let it in.
    Admitted,
    /// An action was decided; it is performed after this is stored.
    Intended(Action),
    /// A run ended, or was found ended.
    RunEnded {
        /// The run.
        run: RunName,
        /// Its epoch.
        epoch: Epoch,
        /// What it came to.
        result: RunResult,
    },
    /// A session id is known before the run ends.
    SessionKnown {
        /// The run.
        run: RunName,
        /// Its epoch.
        epoch: Epoch,
        /// The id.
        session: String,
    },
    /// The inside left a new checkpoint.
    CheckpointSeen {
        /// The run.
        run: RunName,
        /// Its epoch.
        epoch: Epoch,
        /// Counted from 1.
        number: u32,
    },
    /// The mirror has the base.
    Fetched {
        /// Identifies the base's lock files.
        lock_hash: String,
    },
    /// A commit passed the gates.
    Imported {
        /// The agent's epoch.
        epoch: Epoch,
        /// What is known about it.
        facts: ImportFacts,
    },
    /// The agent left nothing.
    NothingToImport {
        /// The agent's epoch.
        epoch: Epoch,
    },
    /// Work was saved.
    Rescued {
        /// The agent's epoch.
        epoch: Epoch,
        /// The ref in `work`; none when there was nothing to save.
        reference: Option<String>,
        /// A snapshot to go on from.
        snapshot: Option<CommitId>,
    },
    /// A checkpoint was saved.
    Checkpointed {
        /// The agent's epoch.
        epoch: Epoch,
        /// The ref in `work`.
        reference: String,
    },
    /// What the target has, read back.
    Landed(ReadBack),
    /// A landing failed.
    LandFailed {
        /// Which.
        key: ActionKey,
        /// Why.
        reason: FailReason,
        /// What was seen.
        detail: String,
    },
    /// An open run was told to stop.
    StopSent {
        /// The run.
        run: RunName,
    },
    /// The work goes on at a stage.
    Advanced(Stage),
    /// Back to the implementing step with what the checks said.
    RepairBegun {
        /// For the prompt.
        evidence: String,
        /// The implementing step.
        step: usize,
    },
    /// Back to the implementing step with what the reviewer asked for.
    ReviewReturned {
        /// The implementing step.
        step: usize,
    },
    /// The step begins again after a failure.
    Retried {
        /// Whether it counts.
        charged: bool,
        /// Not before.
        at: Time,
    },
    /// The task waits.
    Held(Hold),
    /// The wait is over.
    Released,
    /// What happens once all is saved.
    EndingChosen(Ending),
    /// It is over.
    Ended(EndKind),
    /// Somebody cancels.
    CancelRequested {
        /// Who.
        by: String,
    },
    /// Somebody approves a commit.
    Approved {
        /// The commit that was seen.
        commit: CommitId,
        /// Who.
        by: String,
    },
    /// Somebody rejects.
    Rejected {
        /// What to do instead; empty ends the task.
        feedback: String,
        /// Who.
        by: String,
    },
    /// Somebody resumes.
    Resumed {
        /// Who.
        by: String,
    },
}
