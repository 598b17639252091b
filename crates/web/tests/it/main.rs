//! Integration tests of the control socket, over a real socket.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod bounds;
mod control;
mod document;
mod peer;
mod records;
