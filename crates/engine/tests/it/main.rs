//! The engine over a store and a world in memory.

#![expect(clippy::unwrap_used, reason = "a test ends where it is wrong")]

mod crash;
mod faults;
mod people;
mod play;
mod queue;
mod scenarios;
mod script;
mod world;
