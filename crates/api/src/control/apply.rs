//! What files describe, and what became of it.

use serde::{Deserialize, Serialize};

use super::Submit;
use crate::kind::{Kind, WireObject};

/// What files describe. All of it is stored, or nothing.
#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Apply {
    /// Profiles, pipelines and repositories.
    pub objects: Vec<WireObject>,
    /// Tasks, each with what was found for it.
    pub tasks: Vec<ApplyTask>,
    /// Say what would change, and change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// A task of a file.
#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApplyTask {
    /// The object as it was written.
    pub object: WireObject,
    /// What was made of it; none for one that is known to be there.
    pub submit: Option<Submit>,
}

/// What became of an object.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// It is new.
    Created,
    /// It was there and is another now.
    Configured,
    /// It was there already, just so.
    Unchanged,
}

impl Change {
    /// As it is said and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
        }
    }
}

/// What became of everything that was applied, in its order: objects, then tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// One for each object.
    pub changes: Vec<AppliedObject>,
}

/// What became of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppliedObject {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What became of it.
    pub change: Change,
}

/// An object: a stored one, or one that ships.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectView {
    /// The object.
    pub object: WireObject,
    /// It ships with Midwatch: nobody applied it, and it is neither changed nor deleted.
    #[serde(default)]
    pub shipped: bool,
    /// Counts its changes, from 1; 0 of one that ships.
    pub generation: u32,
    /// When it was applied first, milliseconds since 1970; 0 of one that ships.
    pub created_ms: i64,
    /// When it was changed last; 0 of one that ships.
    pub changed_ms: i64,
    /// What is wrong with its stored row, where that cannot be read: then there is no spec.
    #[serde(default)]
    pub damaged: Option<String>,
}

impl ObjectView {
    /// A pipeline that ships.
    pub fn shipped(object: WireObject) -> Self {
        Self { object, shipped: true, generation: 0, created_ms: 0, changed_ms: 0, damaged: None }
    }
}
