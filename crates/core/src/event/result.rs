//! What runs come to.

use crate::agent::AgentOutcome;
use crate::evidence::CheckResult;
use crate::reason::FailReason;
use crate::task::Spent;

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
    /// Something that somebody has to decide.
    Question(Question),
}

/// A question of an agent's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Names it among the questions of its run.
    pub id: String,
    /// What is asked.
    pub text: String,
    /// What can be chosen; none takes free text.
    pub choices: Vec<String>,
}

/// Something in a workspace that no commit holds: too big, or nothing that git takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its path in the workspace, fit for people.
    pub path: String,
    /// A file's length in bytes; 0 for a folder.
    pub bytes: u64,
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
    /// What its commits do not hold.
    pub left_out: Vec<LeftOut>,
    /// Where commits are that its work does not hold, in words for people: branches, the stash.
    pub beside: Vec<String>,
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
    Bundled {
        /// What it does not hold.
        left_out: Vec<LeftOut>,
        /// Where it found commits that are not in the work: branches, the stash.
        beside: Vec<String>,
    },
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
