//! The store and the server of one machine, from outside.

mod brief;
mod faults;
mod golden;
mod retain;
mod segment;
mod world;
