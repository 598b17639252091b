//! Stories of the program, told through its front door.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up should stop at that line")]

mod admission;
mod agents;
mod approve;
mod asks;
mod bad_inputs;
mod canary;
mod checks;
mod contract;
mod crash;
mod deps;
mod doctor;
mod faults;
mod follow;
mod get;
mod hostile;
mod house;
mod inputs;
mod logins;
mod morning;
mod network;
mod night;
mod objects;
mod orders;
mod phone;
mod remotes;
mod runs;
mod shells;
mod talk;
mod units;
