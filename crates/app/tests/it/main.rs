//! Stories of the program, told through its front door.

mod agents;
mod bad_inputs;
mod canary;
mod checks;
mod contract;
mod crash;
mod deps;
mod hostile;
mod house;
mod inputs;
mod logins;
