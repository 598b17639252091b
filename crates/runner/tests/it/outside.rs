//! The outside half, through its front door: an order in a folder, a process, a report.
#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "what could not run must not look as if it had")]

mod agent;
mod base;
mod check;
mod clock;
mod limits;
mod place;
mod real;
mod setup;
mod stop;
mod world;
