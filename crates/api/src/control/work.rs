//! What a task changed, and where it is put for somebody to look at.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How a difference is shown.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum PatchForm {
    /// The whole patch.
    #[default]
    Patch,
    /// A line per file.
    Stat,
    /// The whole patch with what `git apply` needs of binary files; refused where it is no UTF-8.
    Raw,
}

/// Which difference.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PatchQuery {
    /// How it is shown; default `patch`.
    pub form: PatchForm,
}

/// How much of a task's transcripts is compared with what was written down of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DamageQuery {
    /// Every file is read; else the end of each run's, and the lengths of all.
    pub all: bool,
}

/// A difference between a task's base and its newest commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Patch {
    /// The base.
    pub base: String,
    /// The newest imported commit.
    pub commit: String,
    /// Text made from bytes of a sandbox: escaped before a terminal sees it.
    pub text: String,
}

/// Where a result is to be put.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OpenBody {
    /// A folder that does not exist, absolute.
    pub folder: PathBuf,
    /// The bits that the modes of its files leave out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub umask: Option<u32>,
}

/// Where a result was put for somebody to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Opened {
    /// The worktree.
    pub folder: PathBuf,
    /// What is checked out there.
    pub commit: String,
    /// The ref it comes from: a branch, or saved work.
    pub from: String,
}
