//! Every land action against real repositories: done twice, and looked for after a crash.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up should stop at that line")]

mod actions;
mod away;
mod files;
mod mirror_gone;
mod order;
mod saved;
mod server;
mod world;
