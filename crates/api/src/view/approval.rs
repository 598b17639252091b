//! Who let what through, and when.

use serde::{Deserialize, Serialize};

/// An approval that was given. It stays in the list when the work went on from there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalLine {
    /// `Plan` or `Commit`.
    pub of: String,
    /// The plan's digest, or the commit's id.
    pub id: String,
    /// Who, as they or their program said.
    pub by: String,
    /// When, milliseconds since 1970.
    pub at_ms: i64,
}
