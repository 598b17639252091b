//! The binary: arguments, configuration, wiring. Decides nothing.
fn main() {}
