//! What can go wrong on one machine, done to the real program: a row of docs/FAULTS.md each, with
//! what is seen when the fault, or what holds against it, is not there.

mod away;
mod beside;
mod cancel;
mod clock;
mod damage;
mod database;
mod disk;
mod fence;
mod flaky;
pub(crate) mod gate;
mod gateway;
mod ground;
mod kept;
mod limits;
mod lock;
mod login;
mod sandbox;
mod snapshot;
mod socket;
mod target;

use std::time::Duration;

/// The longest that anything here may take; machines under load take long.
const PATIENCE: Duration = Duration::from_mins(2);

/// Waits for a condition.
#[track_caller]
fn until(what: &str, condition: impl FnMut() -> bool) {
    assert!(crate::house::until(PATIENCE, condition), "waited in vain for {what}");
}
