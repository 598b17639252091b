//! Which defences a run is built with.

use std::collections::BTreeSet;
use std::path::Path;

use midwatch_sandbox::probe::{self, LayerState};
use midwatch_sandbox::{Layer, Layers, landlock};

/// All of them; or, where an order says that some may be missing, those that this machine has.
/// Without such leave nothing is measured: a layer that is missing then fails the start.
pub(super) fn choose(dir: &Path, uid: u32, accepted: &[String]) -> Result<Layers, String> {
    if accepted.is_empty() {
        // init would refuse to start the command, but with a code that a command may have too.
        if landlock::kernel_abi() == 0 {
            return Err(
                "landlock: missing, the kernel does not have it or it is not enabled".into()
            );
        }
        return Ok(Layers::all());
    }
    let mut accepted: BTreeSet<Layer> = accepted
        .iter()
        .map(|name| {
            Layer::parse(name)
                .ok_or_else(|| format!("layer '{}' is not known", name.escape_default()))
        })
        .collect::<Result<_, _>>()?;
    // Nobody has to accept that: a copy takes its place, and defends as well.
    accepted.insert(Layer::Overlay);
    probe::require(&probe::probe(dir, uid), &accepted).map_err(|refused| refused.to_string())
}

/// What `doctor` shows of the sandbox: one state per layer, measured by using it. `dir` is an
/// existing folder on the file system that workspaces will be on.
pub fn probe(dir: &Path) -> Vec<LayerState> {
    let uid = super::ground::service_uid().unwrap_or(midwatch_sandbox::prelude::SERVICE_UID);
    probe::probe(dir, uid)
}
