//! What is shown of a task: to the command line, over HTTP, as JSON lines.

use serde::{Deserialize, Serialize};

mod approval;
mod kept;

pub use approval::{ApprovalLine, DecidedOn};
pub use kept::KeptWork;

/// The version of every JSON line.
pub const LINE_VERSION: u32 = 1;

/// How a task stands or ended: the result line. Every key is there, null where unknown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResultLine {
    /// Always `result`.
    #[serde(rename = "type")]
    pub kind: String,
    /// [`LINE_VERSION`].
    pub version: u32,
    /// The task's name; null for what was refused before there was one.
    pub task: Option<String>,
    /// `Queued|Running|Held|Done|Unverified|Answered|NoChange|Failed|Cancelled`; null for a
    /// refusal.
    pub state: Option<String>,
    /// A `HoldReason` or `FailReason`, or `InvalidInput` for a refusal.
    pub reason: Option<String>,
    /// What to do next.
    pub hint: Option<String>,
    /// What was seen, one sentence.
    pub detail: Option<String>,
    /// There is green evidence for `commit`, by checks that we ran.
    pub verified: bool,
    /// The model was a rehearsal.
    pub rehearsal: bool,
    /// The branch.
    pub branch: Option<String>,
    /// The newest imported commit.
    pub commit: Option<String>,
    /// The base.
    pub base: Option<String>,
    /// Evidence per check for `commit`.
    pub checks: Vec<CheckLine>,
    /// Where saved work is.
    pub rescue_ref: Option<String>,
    /// Work that could not be saved, and where it stays.
    #[serde(default)]
    pub kept: Vec<KeptWork>,
    /// The folder with transcripts and logs.
    pub transcript: Option<String>,
    /// Tokens and money.
    pub usage: UsageLine,
    /// `3 files changed ..`.
    pub diffstat: Option<String>,
    /// What is allowed and worth knowing: soft paths, fewer tests, changed check definitions.
    pub notes: Vec<String>,
    /// What people let through, oldest first.
    #[serde(default)]
    pub approvals: Vec<ApprovalLine>,
}

impl ResultLine {
    /// A line that says nothing yet but which task it is about.
    pub fn unknown(task: Option<&str>) -> Self {
        Self {
            kind: "result".to_owned(),
            version: LINE_VERSION,
            task: task.map(ToOwned::to_owned),
            state: None,
            reason: None,
            hint: None,
            detail: None,
            verified: false,
            rehearsal: false,
            branch: None,
            commit: None,
            base: None,
            checks: vec![],
            rescue_ref: None,
            kept: vec![],
            transcript: None,
            usage: UsageLine::default(),
            diffstat: None,
            notes: vec![],
            approvals: vec![],
        }
    }
}

/// Evidence of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckLine {
    /// The command.
    pub command: String,
    /// `Pass`, `Fail`, `CouldNotRun`.
    pub outcome: String,
    /// The exit code; null when it did not end by itself.
    pub exit_code: Option<i32>,
    /// Tests executed, where the runner is known.
    pub tests_executed: Option<u64>,
    /// Milliseconds.
    pub duration_ms: u64,
    /// The same on the base.
    pub base_outcome: Option<String>,
    /// The last lines, when it did not pass.
    pub tail: Vec<String>,
}

/// Tokens and money, null where unknown.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageLine {
    /// Tokens sent.
    pub input_tokens: Option<u64>,
    /// Tokens received.
    pub output_tokens: Option<u64>,
    /// US dollars, by the CLI's estimate.
    pub cost_usd: Option<f64>,
}

/// One line of progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProgressLine {
    /// [`LINE_VERSION`].
    pub version: u32,
    /// The task.
    pub task: String,
    /// The place in the task's log; what runs say repeats the last one before it.
    pub seq: u64,
    /// Milliseconds since 1970. What a run said has no time of its own: it is when that was read,
    /// or when the run ended.
    pub at_ms: i64,
    /// What happened.
    #[serde(flatten)]
    pub progress: Progress,
}

/// What happened, for people and scripts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Progress {
    /// The state changed.
    State {
        /// The new state.
        state: String,
        /// Why it waits or failed.
        reason: Option<String>,
        /// One sentence.
        detail: Option<String>,
        /// When it goes on by itself, milliseconds since 1970.
        until_ms: Option<i64>,
    },
    /// A run began.
    RunStarted {
        /// Its name.
        run: String,
        /// `Checkout`, `Setup`, `Agent`, `Check`, `Rescue`.
        kind: String,
        /// The step's name.
        step: String,
        /// The check's or setup's command.
        command: Option<String>,
    },
    /// A run ended.
    RunEnded {
        /// Its name.
        run: String,
        /// Whether it did what it was for.
        ok: bool,
        /// It was stopped because the task is cancelled.
        #[serde(default)]
        stopped: bool,
        /// What it would have made was there already: nothing was run, and no start is told.
        #[serde(default)]
        kept: bool,
        /// One sentence.
        detail: Option<String>,
    },
    /// A check said something.
    Check {
        /// On the base, not on the change.
        on_base: bool,
        /// What it said.
        #[serde(flatten)]
        check: CheckLine,
    },
    /// A commit passed the gates.
    Imported {
        /// The commit.
        commit: String,
        /// `3 files changed ..`.
        diffstat: String,
    },
    /// The work went back.
    Repair {
        /// Counted from 1.
        round: u32,
        /// `Check` or `Review`.
        because: String,
    },
    /// What a run says, above all its agent.
    Agent {
        /// The run.
        run: String,
        /// Which line of the run it is, counted from 1; 0 where nobody counted. Some numbers are
        /// left out, none comes twice.
        #[serde(default)]
        line: u64,
        /// The event.
        event: crate::report::StreamEvent,
    },
    /// Work was saved.
    Saved {
        /// The ref.
        reference: String,
    },
    /// Somebody decided something.
    Decided {
        /// `Approved`, `Rejected`, `Answered`, `Messaged`, `Paused`, `Cancelled`.
        decision: String,
        /// Who.
        by: String,
        /// On what; null where it is about the whole task.
        of: Option<DecidedOn>,
        /// The plan's digest, the commit's id, or the question's.
        id: Option<String>,
        /// The feedback, the choice, or the message.
        text: Option<String>,
    },
    /// A step begins again after a failure.
    Retry {
        /// How often the step at hand has begun again.
        number: u32,
        /// Whether it counts against the task's attempts.
        charged: bool,
        /// Not before, milliseconds since 1970.
        not_before_ms: i64,
    },
    /// One of the task's agents cannot work for now.
    AgentUnavailable {
        /// 0 is the first agent, then the fallbacks in their order.
        agent: usize,
        /// Its profile.
        profile: String,
        /// A `HoldReason`.
        reason: String,
        /// What was seen.
        detail: String,
        /// When it can be asked again, milliseconds since 1970; null: when somebody resumes it.
        until_ms: Option<i64>,
        /// The profile of the agent that takes over; null where none can.
        next: Option<String>,
    },
}
