//! What happens to a task, and what is done for it. Events are stored; the state is replayed.

use std::fmt;

use crate::id::{CommitId, Epoch, RunName};
use crate::landing::{ImportFacts, ReadBack};
use crate::reason::{FailReason, HoldReason};
use crate::task::{Ending, Hold, Stage, Wake};
use crate::time::Time;

mod order;
mod result;

pub use order::{AgentRun, LandAction, Role, RunOrder, RunWork};
pub use result::{AgentResult, Artifact, LeftOut, Question, RunResult};

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
            Self::AgentUnavailable { .. } => "AgentUnavailable",
            Self::CredentialLearnt { .. } => "CredentialLearnt",
            Self::ModelAnswered { .. } => "ModelAnswered",
            Self::PauseRequested { .. } => "PauseRequested",
            Self::PlanApproved { .. } => "PlanApproved",
            Self::QuestionAnswered { .. } => "QuestionAnswered",
            Self::Messaged { .. } => "Messaged",
            Self::FollowedUp { .. } => "FollowedUp",
        }
    }
}

/// How a task ends, without the proof: that is rebuilt from what is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndKind {
    /// Needs a verified commit that was read back.
    Done,
    /// Needs `--no-check` and an imported commit that was read back.
    Unverified,
    /// Needs an answer that an agent left.
    Answered,
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
    /// Back to the queue: a wait is over, or the pause before the next attempt is a long one.
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
    /// One of the task's agents cannot work for now. Another one takes over, or the task waits.
    AgentUnavailable {
        /// Its index: 0 is the first, then the fallbacks in their order.
        agent: usize,
        /// `CredentialCoolingDown`, `NeedsLogin`, `ModelDown` or `ModelNotFound`.
        reason: HoldReason,
        /// What was seen.
        detail: String,
        /// When it can be asked again.
        until: Wake,
    },
    /// What another task learnt of a credential that this task uses, too.
    CredentialLearnt {
        /// The credential's key.
        credential: String,
        /// `CredentialCoolingDown`, `NeedsLogin` or `ModelDown`.
        reason: HoldReason,
        /// When it can be asked again.
        until: Wake,
        /// Pauses in a row so far.
        pauses: u32,
        /// What was seen.
        detail: String,
    },
    /// The model answered a run: its credential works.
    ModelAnswered {
        /// The run.
        run: RunName,
        /// Its epoch.
        epoch: Epoch,
    },
    /// Somebody pauses: agents are stopped and saved, then the task is held until resumed.
    PauseRequested {
        /// Who.
        by: String,
    },
    /// Somebody approves a plan.
    PlanApproved {
        /// The digest of the plan that was seen, see [`crate::plan::digest`].
        plan: String,
        /// Who.
        by: String,
    },
    /// Somebody answers an open question.
    QuestionAnswered {
        /// The question's id.
        question: String,
        /// One of its choices, or free text where it has none.
        choice: String,
        /// Who.
        by: String,
    },
    /// Somebody says something to the agent.
    Messaged {
        /// What.
        text: String,
        /// Who.
        by: String,
    },
    /// Back to the implementing step with what somebody said meanwhile.
    FollowedUp {
        /// The implementing step.
        step: usize,
    },
}
