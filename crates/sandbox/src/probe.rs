//! What this machine has, measured by using it: each layer is really put on a process.

mod measure;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use thiserror::Error;

use crate::layer::{Layer, Layers};

/// What was found of one layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It works.
    Present {
        /// A version, a mode.
        detail: String,
    },
    /// Something weaker takes its place by design; a run says so, and is not refused.
    Weaker {
        /// What takes its place, and why.
        why: String,
        /// How to get the real one.
        remedy: String,
    },
    /// It does not work, and runs are refused unless a person accepts that.
    Missing {
        /// What the machine said.
        why: String,
        /// How to get it.
        remedy: String,
    },
}

/// One row of what `doctor` shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerState {
    /// Which.
    pub layer: Layer,
    /// What of it.
    pub found: Found,
}

impl fmt::Display for LayerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layer = self.layer;
        match &self.found {
            Found::Present { detail } => write!(f, "{layer}: {detail}"),
            Found::Weaker { why, remedy } => write!(f, "{layer}: {why}; {remedy}"),
            Found::Missing { why, remedy } => write!(f, "{layer}: missing, {why}; {remedy}"),
        }
    }
}

/// Layers are missing and nobody accepted that. This machine's fault, not the task's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the sandbox is not complete here: {}", list(.0))]
pub struct Refused(pub Vec<LayerState>);

fn list(states: &[LayerState]) -> String {
    states.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")
}

/// Measures every layer. `dir` is an existing folder on the file system that workspaces will
/// be on; what is made in it is removed. `service_uid` is who root's sandboxes run as. Takes
/// some tens of milliseconds. May be called by a process with many threads.
pub fn probe(dir: &Path, service_uid: u32) -> Vec<LayerState> {
    let probe = measure::Measure::new(dir, service_uid);
    let state = |layer| LayerState { layer, found: probe.layer(layer) };
    Layer::ALL.into_iter().map(state).collect()
}

/// The layers that a sandbox here is built with, or what is missing. What is accepted but there
/// is used all the same.
pub fn require(states: &[LayerState], accepted: &BTreeSet<Layer>) -> Result<Layers, Refused> {
    let missing = |state: &&LayerState| match state.found {
        Found::Missing { .. } => true,
        Found::Present { .. } | Found::Weaker { .. } => false,
    };
    let missing: Vec<&LayerState> = states.iter().filter(missing).collect();
    let refused: Vec<LayerState> = missing
        .iter()
        .filter(|state| !(accepted.contains(&state.layer) && state.layer.may_be_missing()))
        .map(|state| (*state).clone())
        .collect();
    if refused.is_empty() {
        Ok(Layers::without(missing.iter().map(|state| state.layer)))
    } else {
        Err(Refused(refused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(missing: &[Layer]) -> Vec<LayerState> {
        let found = |layer| {
            if missing.contains(&layer) {
                Found::Missing { why: "x".into(), remedy: "y".into() }
            } else {
                Found::Present { detail: "z".into() }
            }
        };
        Layer::ALL.into_iter().map(|layer| LayerState { layer, found: found(layer) }).collect()
    }

    #[test]
    fn nothing_is_left_out_unasked() {
        let all = require(&states(&[]), &BTreeSet::from([Layer::Seccomp])).unwrap();
        assert!(all.has(Layer::Seccomp), "accepted, but there");
        let refused = require(&states(&[Layer::Seccomp]), &BTreeSet::new()).unwrap_err();
        assert_eq!(refused.to_string(), "the sandbox is not complete here: seccomp: missing, x; y");
        let accepted = BTreeSet::from([Layer::Seccomp]);
        let layers = require(&states(&[Layer::Seccomp]), &accepted).unwrap();
        assert_eq!(layers.missing().collect::<Vec<_>>(), [Layer::Seccomp]);
    }

    #[test]
    fn bubblewrap_cannot_be_gone_without() {
        let accepted = BTreeSet::from(Layer::ALL);
        assert!(require(&states(&[Layer::Bubblewrap]), &accepted).is_err());
    }
}
