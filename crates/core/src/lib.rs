//! The pure domain: what a task is and what happens next.
//!
//! ```text
//! events ── Task::apply ──► Task ── decide ──► events and intents
//!                        all tasks ── admit ──► who may begin
//! ```
//!
//! No tokio, no serde, no IO, no clock, no environment, no randomness.

pub mod admit;
pub mod agent;
pub mod apply;
pub mod credentials;
pub mod decide;
pub mod detect;
pub mod event;
pub mod evidence;
pub mod id;
pub mod input;
pub mod landing;
pub mod path;
pub mod pause;
pub mod pipeline;
pub mod plan;
pub mod ports;
pub mod prompt;
pub mod reason;
mod sha256;
pub mod supervise;
pub mod task;
pub mod test_output;
pub mod time;
mod words;
