//! What a runner returns. Facts are what the runner saw from outside; claims are what the
//! inside said and are never decided on.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The file in the run's folder that holds the report; appears by rename when the run is over.
pub const REPORT_FILE: &str = "report.json";
/// Who the runner is: written before the sandbox starts, so that a server can adopt it.
pub const IDENTITY_FILE: &str = "runner.json";
/// Normalised events of an agent, one JSON object a line ([`StreamEvent`]).
pub const EVENTS_FILE: &str = "events.jsonl";
/// The run's stdout, capped.
pub const STDOUT_FILE: &str = "stdout.log";
/// The run's stderr, capped.
pub const STDERR_FILE: &str = "stderr.log";
/// The bundle that the inside left, below `out`.
pub const BUNDLE_FILE: &str = "work.bundle";
/// The bundle of a rescue, below `out`.
pub const RESCUE_FILE: &str = "rescue.bundle";
/// The newest checkpoint, below `out`; replaced by rename.
pub const CHECKPOINT_FILE: &str = "checkpoint.bundle";
/// Typed outputs, JSON lines ([`Output`]), below `out`.
pub const OUTPUTS_FILE: &str = "outputs.jsonl";
/// A stop that was asked for: its presence in the run's folder makes the runner send TERM.
pub const STOP_FILE: &str = "stop";

/// Identity of a runner process: a pid alone is never trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunnerIdentity {
    /// Process id.
    pub pid: i32,
    /// Field 22 of `/proc/<pid>/stat`, in clock ticks since boot.
    pub start_time: u64,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
}

/// The report of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The order's version.
    pub version: u32,
    /// The run.
    pub run: String,
    /// Its epoch.
    pub epoch: u32,
    /// How it ended, seen from outside.
    pub ending: Ending,
    /// Milliseconds from the start of the command to its end.
    pub duration_ms: u64,
    /// The most memory seen, bytes; 0 where unknown.
    pub peak_memory_bytes: u64,
    /// Whether memory and process limits were enforced by the kernel.
    pub limits: LimitsMode,
    /// Layers that were missing and accepted.
    pub accepted_missing: Vec<String>,
    /// Bytes of output beyond the cap.
    pub dropped_bytes: u64,
    /// The last lines of output, at most 40, escaped for a terminal.
    pub tail: Vec<String>,
    /// Tests that the output names, for a check whose runner is known.
    pub tests: Option<TestCounts>,
    /// What an agent's run left.
    pub agent: Option<AgentReport>,
    /// What the inside says of the bundle it left.
    pub claim: Option<BundleClaim>,
    /// Files that ignore rules hid and that are newer than the start (rescue), at most 200.
    pub ignored_files: Vec<String>,
    /// What the inside left out of commit or rescue and the workspace holds, as the runner saw
    /// it; at most 50, and one named [`MORE`] where there is more.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
}

/// In the place of a path: there is more than was told. No path is written like that.
pub const MORE: &str = "…";

/// Something in a workspace that no commit holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// Its path in the workspace; in quotes, with escapes, where it holds more than plain
    /// characters.
    pub path: String,
    /// A file's length in bytes; 0 for a folder.
    pub bytes: u64,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "type", rename_all = "PascalCase", rename_all_fields = "camelCase")]
pub enum Ending {
    /// The command ended by itself: init's code, 128 + signal when a signal ended it.
    Exited {
        /// The code.
        code: i32,
    },
    /// The wall-clock limit.
    Deadline,
    /// The idle limit.
    Idle,
    /// The memory limit.
    OutOfMemory,
    /// The process limit.
    Pids,
    /// The disk limit or a full disk.
    Disk,
    /// Far more output than the cap.
    Output,
    /// Somebody asked for a stop.
    Stopped,
    /// Supervision found that going on leads nowhere.
    Found {
        /// A `FailReason`.
        reason: String,
        /// What was found.
        detail: String,
    },
    /// The sandbox ended without a status: killed from outside, lost.
    Lost {
        /// What was seen.
        detail: String,
    },
    /// The self-test inside failed before the agent started.
    SelfTest {
        /// What does not work, such as `home`, `git`, `agent`, `endpoint`.
        what: String,
        /// What was seen.
        detail: String,
    },
    /// Preparing the workspace failed before the command started.
    Prepare {
        /// What was seen.
        detail: String,
    },
    /// The sandbox could not be built.
    SandboxUnavailable {
        /// The missing layer or the failing step.
        detail: String,
    },
}

/// Who enforced memory and process limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum LimitsMode {
    /// A cgroup.
    Enforced,
    /// The runner, by looking every second.
    Polled,
}

/// Tests as a known runner's output names them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestCounts {
    /// Tests that ran: passed and failed, not skipped.
    pub executed: u64,
    /// Tests that failed.
    pub failed: u64,
    /// Names of failing tests, where the output names them, sorted, at most 1,000.
    pub failing: Vec<String>,
    /// Whether `failing` is whole.
    pub named: bool,
}

/// What an agent's run left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentReport {
    /// The CLI did its turn, by exit and last events.
    pub completed: bool,
    /// A `FailReason` when it did not.
    pub reason: Option<String>,
    /// What the CLI said, shortened.
    pub detail: String,
    /// When a limit resets, seconds since 1970.
    pub resets_at: Option<i64>,
    /// The session to resume.
    pub session: Option<String>,
    /// Tokens sent.
    pub input_tokens: u64,
    /// Tokens received.
    pub output_tokens: u64,
    /// The CLI's own estimate, millionths of a US dollar.
    pub cost_micros: Option<u64>,
    /// The last message, at most 64 KiB.
    pub final_text: String,
    /// Typed outputs, validated; empty when refused.
    pub outputs: Vec<Output>,
    /// Why the outputs were refused as a whole.
    pub outputs_refused: Option<String>,
}

/// What the inside says of its bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BundleClaim {
    /// The head inside; empty range means none.
    pub head: Option<String>,
    /// Nested repositories that were set aside.
    pub set_aside: Vec<String>,
    /// What was odd and is worth knowing, a sentence each: the work is saved all the same.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Paths that are in no commit, because they are too big or git does not take them.
    #[serde(default)]
    pub left_out: Vec<String>,
    /// Where commits are that the bundle does not hold: branches, the stash, what HEAD once was.
    #[serde(default)]
    pub beside: Vec<String>,
    /// What kept the work from being committed or bundled.
    pub error: Option<String>,
}

/// A typed output, one JSON line that the agent left. Unknown or oversized ones refuse all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Output {
    /// The plan of a planning step.
    Plan {
        /// Markdown, at most 64 KiB.
        text: String,
    },
    /// Title and text for the change.
    PullRequestText {
        /// One line, at most 200 characters.
        title: String,
        /// At most 16 KiB.
        body: String,
    },
    /// A reviewer's verdict.
    Verdict {
        /// Approve or request changes.
        verdict: Verdict,
        /// What to change, at most 50 of 4 KiB.
        #[serde(default)]
        comments: Vec<String>,
    },
    /// The goal needs no change.
    NoChange {
        /// Why, at most 4 KiB.
        why: String,
    },
    /// The agent cannot go on.
    Blocked {
        /// Why, at most 4 KiB.
        why: String,
    },
    /// Work for another task.
    FollowUpTask {
        /// Its goal, at most 4 KiB.
        goal: String,
    },
    /// Something that somebody has to decide.
    Question {
        /// A short name, at most 40 of `a-z`, `0-9` and `-`.
        id: String,
        /// What is asked, at most 4 KiB.
        text: String,
        /// What can be chosen, at most 10 of 200 characters; none takes free text.
        #[serde(default)]
        choices: Vec<String>,
    },
}

/// A reviewer's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// The change is good.
    Approve,
    /// The comments have to be worked in first.
    RequestChanges,
}

/// One line of the events file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum StreamEvent {
    /// The runner reached a phase: `prepare`, `selfTest`, `command`, `commit`, `bundle`.
    Phase {
        /// Milliseconds since the runner started.
        at_ms: u64,
        /// The phase.
        phase: String,
    },
    /// The conversation has an id.
    Session {
        /// The id.
        session: String,
        /// The model.
        model: Option<String>,
    },
    /// Text for people, at most 8 KiB.
    Text {
        /// The text.
        text: String,
    },
    /// A tool call begins.
    Tool {
        /// Its name.
        name: String,
        /// One line.
        summary: String,
    },
    /// A tool call ended.
    ToolDone {
        /// Whether it said that it succeeded.
        ok: bool,
        /// One line.
        summary: String,
    },
    /// The CLI asks its model again.
    Retrying {
        /// From 1.
        attempt: u32,
        /// What went wrong.
        error: String,
    },
    /// Totals so far.
    Usage {
        /// Tokens sent.
        input_tokens: u64,
        /// Tokens received.
        output_tokens: u64,
        /// Millionths of a US dollar.
        cost_micros: Option<u64>,
    },
    /// A limit was reached or comes near.
    Limit {
        /// Calls are refused now.
        reached: bool,
        /// Seconds since 1970.
        resets_at: Option<i64>,
    },
    /// A checkpoint bundle is new in `out`.
    Checkpoint {
        /// Counted from 1.
        number: u32,
    },
    /// Something odd.
    Warning {
        /// One line.
        text: String,
    },
    /// The CLI's last word.
    Finished {
        /// Whether it says it succeeded.
        ok: bool,
    },
}

/// Where the run's folder keeps what the inside left.
pub fn out_folder(run_folder: &std::path::Path) -> PathBuf {
    run_folder.join("out")
}
