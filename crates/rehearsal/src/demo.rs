//! What `midwatch demo` rehearses: a small repository with a failing test, and a model that plans,
//! mends it wrongly, mends it right, and is asked by its reviewer for one change.
//!
//! ```text
//! base                 5 tests, 1 fails
//! implement            mends that one and breaks another: the check is red
//! repair               5 tests, all pass
//! review 1             asks for one more test
//! implement, review 2  6 tests, all pass; approved
//! ```

mod play;
pub mod sample;

pub use play::script;
pub use sample::Sample;

/// The goal that the sample stands for, as a person would say it.
pub const GOAL: &str = "make the tests pass";
