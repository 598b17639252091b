//! Observe, decide, admit, act.
//!
//! ```text
//! command ─► Engine ─► decide ─► store ─► look, perform ─► event ─► Engine
//! ```
//!
//! Generic over the store and the two who act. Holds no policy: what happens next is core's.

mod advance;
mod command;
mod engine;
mod perform;
mod record;

pub use command::{AtHand, CommandError, Decided, SEEN_DIGITS, SHOWN_DIGITS};
pub use engine::{Change, Engine, EngineError, Ports, pass};
