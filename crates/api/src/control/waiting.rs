//! Why a task waits, as values.

use serde::{Deserialize, Serialize};

/// Why a task waits: in the queue, held, or between two attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaitingView {
    /// The reason: of a hold, or of the failure that the next attempt comes after.
    pub reason: String,
    /// One sentence.
    pub detail: String,
    /// Its place in the queue, counted from 1; null outside of it.
    pub position: Option<usize>,
    /// How many wait in the queue; null outside of it.
    pub of: Option<usize>,
    /// When it goes on by itself, milliseconds since 1970; null where no time is known.
    pub until_ms: Option<i64>,
}
