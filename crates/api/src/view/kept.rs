//! Work that no commit holds.

use serde::{Deserialize, Serialize};

use crate::report::LeftOut;

/// Work that is nowhere but in a run's workspace, which stays until somebody takes it away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeptWork {
    /// The agent's run.
    pub run: String,
    /// The folder that it is in.
    pub folder: String,
    /// What of it; empty where nothing at all could be saved.
    pub files: Vec<LeftOut>,
}
