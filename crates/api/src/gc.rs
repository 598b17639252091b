//! What a clean-up frees, what it keeps, and why.

use serde::{Deserialize, Serialize};

/// What is asked of a clean-up. Each bound that is none is the server's own.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CollectOrder {
    /// Only say what would go.
    #[serde(default)]
    pub dry_run: bool,
    /// Keep what belongs to tasks that ended less than so many seconds ago.
    #[serde(default)]
    pub age_seconds: Option<u64>,
    /// Keep at most so many bytes of what is younger.
    #[serde(default)]
    pub cap_bytes: Option<u64>,
}

/// What a clean-up did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Collection {
    /// Always `gc`.
    #[serde(rename = "type")]
    pub kind: String,
    /// [`crate::view::LINE_VERSION`].
    pub version: u32,
    /// Nothing was removed.
    pub dry_run: bool,
    /// Bytes of `gone`.
    pub freed_bytes: u64,
    /// Bytes of `kept`.
    pub kept_bytes: u64,
    /// What went, or would go.
    pub gone: Vec<Gone>,
    /// What stays.
    pub kept: Vec<Kept>,
    /// What should have gone and could not; tried again next time.
    pub busy: Vec<Busy>,
}

/// A kind of thing on disk.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum What {
    /// Transcripts, logs and reports of a task's runs.
    Runs,
    /// The HOMEs of a task's agents.
    Homes,
    /// A checkout of a base.
    Base,
    /// A layer of dependencies.
    Deps,
    /// Refs in the mirror that save a task's work.
    SavedWork,
    /// Sockets of a run that is over.
    Door,
    /// What an earlier clean-up could not finish.
    Trash,
    /// What checks said of bases.
    Checks,
}

/// Something that went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gone {
    /// What kind of thing.
    pub what: What,
    /// The task, the layer, the base.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// Why it may go.
    pub why: String,
}

/// Something that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// What kind of thing.
    pub what: What,
    /// The task, the layer, the base; null for all others together.
    pub name: Option<String>,
    /// How many.
    pub count: u64,
    /// Bytes.
    pub bytes: u64,
    /// Why it stays.
    pub why: String,
}

/// Something that could not be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Busy {
    /// Where it is.
    pub path: String,
    /// What the system said.
    pub error: String,
}
