//! Who let what through, and when.

use serde::{Deserialize, Serialize};

/// What somebody decided on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum DecidedOn {
    /// A plan, named by its digest.
    Plan,
    /// A commit, named by its id.
    Commit,
    /// A question, named by its id.
    Question,
}

impl DecidedOn {
    /// What it is called in a sentence.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Commit => "commit",
            Self::Question => "question",
        }
    }
}

/// An approval that was given. It stays in the list when the work went on from there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalLine {
    /// Of a plan or of a commit.
    pub of: DecidedOn,
    /// The plan's digest, or the commit's id.
    pub id: String,
    /// Who, as they or their program said.
    pub by: String,
    /// When, milliseconds since 1970.
    pub at_ms: i64,
}
