//! Stories of the program, told through its front door.

mod bad_inputs;
mod checks;
mod contract;
mod crash;
mod deps;
mod hostile;
mod house;
mod inputs;
mod logins;
