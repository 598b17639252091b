//! The machine of tasks under random events and faults.

#![expect(clippy::unwrap_used, reason = "a test ends where it is wrong")]

mod away;
mod beside;
mod choices;
mod controls;
mod fifty;
mod laws;
mod machine;
mod outage;
mod retries;
mod rules;
mod story;
mod talk;
mod waits;
mod walk;
mod world;
