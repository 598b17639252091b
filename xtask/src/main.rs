//! Generated files and repository rules.
fn main() {}
