//! The inside half without a sandbox: the same code on temporary folders, with real git.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails by a panic")]

mod beside;
mod checkout;
mod checkpoint;
mod closed;
mod commit;
mod forward;
mod hostile;
mod nested;
mod rescue;
mod self_test;
mod world;
