//! The morning's report: what happened since somebody looked last.

use serde::{Deserialize, Serialize};

use crate::view::{ResultLine, UsageLine};

/// What happened in a span of time, and what waits now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Brief {
    /// Always `brief`.
    #[serde(rename = "type")]
    pub kind: String,
    /// [`crate::view::LINE_VERSION`].
    pub version: u32,
    /// From here on, milliseconds since 1970.
    pub since_ms: i64,
    /// Up to here: the next brief begins here.
    pub until_ms: i64,
    /// Ended well: done with evidence, no change needed, unverified because asked for.
    pub done: Vec<BriefTask>,
    /// Failed, with reason and hint.
    pub failed: Vec<BriefTask>,
    /// Cancelled.
    pub cancelled: Vec<BriefTask>,
    /// Held until somebody does something, since whenever.
    pub waiting: Vec<BriefTask>,
    /// Tasks above whose work is saved and is on no branch.
    pub rescued: Vec<Rescued>,
    /// Tasks that could not be read.
    pub damaged: Vec<BriefTask>,
    /// Tasks that go on.
    pub going_on: GoingOn,
    /// What those wait for that do not run, the most tasks first.
    #[serde(default)]
    pub resting: Vec<Resting>,
    /// What agents used in this time, over all tasks.
    pub spent: UsageLine,
    /// Tasks that ended in this time and are not listed, because there are too many.
    pub left_out: u64,
}

/// One task of a brief.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BriefTask {
    /// How it stands.
    pub result: ResultLine,
    /// What a person asked.
    pub goal: String,
    /// The user's checkout.
    pub repository: String,
    /// How long it took up to its end, milliseconds; null while it is not over.
    pub took_ms: Option<i64>,
}

/// Work that was saved and is on no branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rescued {
    /// The task.
    pub task: String,
    /// Where it is: a ref of the mirror.
    pub reference: String,
}

/// How many tasks go on by themselves.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct GoingOn {
    /// Waiting for a slot.
    pub queued: u64,
    /// Running.
    pub running: u64,
    /// Held until a time, or until another task ends.
    pub resting: u64,
}

/// Tasks that wait for the same thing, and go on by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resting {
    /// A `HoldReason`.
    pub reason: String,
    /// What the first of them waits for, in a sentence.
    pub detail: String,
    /// Until when, milliseconds since 1970, to the minute; null where it hangs on something else.
    pub until_ms: Option<i64>,
    /// How many tasks.
    pub count: u64,
    /// The first of them; of more, three.
    pub tasks: Vec<String>,
}

/// From when on a brief is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BriefQuery {
    /// Milliseconds since 1970; default: since somebody looked last.
    pub since_ms: Option<i64>,
}

/// Up to when somebody has read a brief.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BriefRead {
    /// The brief's `untilMs`.
    pub until_ms: i64,
}
