//! Adapters for agent CLIs, without IO: an order becomes a command, bytes become events.
//!
//! ```text
//! AgentOrder ──► Adapter::command ──► AgentCommand      (argv, environment, files, stdin)
//! stdout bytes ──► Lines ──► Stream::line ──► AgentEvent
//! exit code ──────────────► Stream::end ──► AgentOutcome
//! ```
//!
//! Knows nothing of processes, files, clocks and sandboxes. All that comes out of a stream is a
//! claim of the inside: it is bounded, cleaned of control characters and never decides whether
//! work was done. A new CLI is one folder here, one line in [`adapter()`] and its fixtures.

mod adapter;
mod clean;
mod clock;
mod json;
mod lines;
mod provider;

pub mod aider;
pub mod claude_code;
pub mod codex;
pub mod custom;
pub mod gemini_cli;
pub mod opencode;
pub mod qwen_code;

pub use adapter::{Adapter, CommandError, Ending, FINAL_TEXT_LIMIT, Stream, adapter};
pub use lines::{LINE_LIMIT, Line, Lines};
