//! The outside half, through its front door: an order in a folder, a process, a report.

mod agent;
mod check;
mod limits;
mod real;
mod setup;
mod stop;
mod world;
