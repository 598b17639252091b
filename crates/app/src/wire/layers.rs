//! Whether this machine can hold a sandbox together, asked with a server's first task and again
//! for as long as something is missing.

use std::path::Path;
use std::sync::OnceLock;

use midwatch_api::control::Refusal;
use midwatch_core::input::InvalidInput;
use midwatch_runner::{Found, LayerState};

use crate::problem::exit;

/// Set once every layer was found. Asking takes tens of milliseconds of each submission, and
/// tells nothing new: a runner refuses by itself where a layer has gone since.
static COMPLETE: OnceLock<()> = OnceLock::new();

/// Names that `--accept-missing` takes.
const ACCEPTABLE: [&str; 4] = ["landlock", "seccomp", "cgroup", "overlay"];

/// Layers that are missing and that nobody accepted.
fn missing(states: &[LayerState], accepted: &[String]) -> Vec<String> {
    states
        .iter()
        .filter(|state| match state.found {
            Found::Missing { .. } => {
                let name = state.layer.as_str();
                !(state.layer.may_be_missing() && accepted.iter().any(|layer| layer == name))
            }
            Found::Present { .. } | Found::Weaker { .. } => false,
        })
        .map(ToString::to_string)
        .collect()
}

/// Refuses where a layer is missing.
pub(crate) fn check(folder: &Path, accepted: &[String]) -> Result<(), Refusal> {
    if COMPLETE.get().is_some() {
        return Ok(());
    }
    let states = midwatch_runner::probe(folder);
    let refused = missing(&states, accepted);
    if refused.is_empty() {
        if missing(&states, &[]).is_empty() {
            COMPLETE.get_or_init(|| ());
        }
        return Ok(());
    }
    Err(Refusal {
        message: format!("the sandbox is not complete here: {}", refused.join(" | ")),
        hint: Some(
            "`midwatch doctor` shows every layer; --accept-missing LAYER goes without one".into(),
        ),
        exit: exit::CANNOT,
    })
}

/// Checks the names given to `--accept-missing`.
pub(crate) fn accepted(names: &[String]) -> Result<Vec<String>, InvalidInput> {
    for name in names {
        if !ACCEPTABLE.contains(&name.as_str()) {
            let fix = format!("one of {}", ACCEPTABLE.join(", "));
            return Err(InvalidInput::new(
                "--accept-missing",
                name,
                "is no layer that can be gone without",
                &fix,
            ));
        }
    }
    let mut names = names.to_vec();
    names.sort();
    names.dedup();
    Ok(names)
}
