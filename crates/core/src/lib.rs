//! The pure domain: what a task is and what happens next.
//!
//! No tokio, no serde, no IO, no clock, no environment, no randomness.

pub mod agent;
pub mod id;
pub mod input;
pub mod reason;
