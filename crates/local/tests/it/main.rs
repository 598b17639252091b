//! The store and the server of one machine, from outside.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up should stop at that line")]
#![expect(clippy::print_stdout, reason = "a test that cannot run says so")]

mod brief;
mod bundles;
mod damaged;
mod deleted;
mod faults;
mod follow;
mod golden;
mod naive;
mod power;
mod retain;
mod segment;
mod server;
mod switch;
mod unsynced;
mod world;
