//! Carries out one order: the outside half, init, the inside half.
//!
//! One program in four roles, told apart by its first argument, always before any thread or
//! runtime exists: see [`dispatch`].

use std::ffi::OsString;
use std::path::Path;

mod agents;
pub mod inside;
pub mod inside_order;
mod outside;

pub use agents::{AgentFacts, agents};
pub use midwatch_sandbox::cgroup::sweep as sweep_groups;
pub use midwatch_sandbox::probe::{Found, LayerState};
pub use outside::{REPORTED, UNREPORTED, probe, run};

/// Takes the words of a process's argv, its own name first, and does what a runner's, an
/// init's or an inside half's call asks for. None when the call is for somebody else.
///
/// - `runner FOLDER`: the outside half, see [`run`]
/// - `init ..`: pid 1 of a sandbox, started by bubblewrap
/// - `inside ORDER`: the inside half, started by init
pub fn dispatch(words: &[OsString]) -> Option<i32> {
    let role = words.get(1)?.to_str()?;
    match (role, &words[2..]) {
        ("init", rest) => Some(midwatch_sandbox::init::run(rest).into()),
        ("inside", [order]) => Some(inside::main(Path::new(order))),
        ("runner", [folder]) if !folder.to_string_lossy().starts_with('-') => {
            Some(run(Path::new(folder)))
        }
        _ => None,
    }
}
