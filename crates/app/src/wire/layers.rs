//! Whether this machine can hold a sandbox together, asked when the server starts and again when
//! something was missing.

use std::path::Path;

use midwatch_api::control::Refusal;
use midwatch_core::input::InvalidInput;
use midwatch_runner::{Found, LayerState};

use crate::problem::exit;

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
    let missing = missing(&midwatch_runner::probe(folder), accepted);
    if missing.is_empty() {
        return Ok(());
    }
    Err(Refusal {
        message: format!("the sandbox is not complete here: {}", missing.join(" | ")),
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
