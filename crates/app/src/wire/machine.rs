//! Whether what a new order names is there, and fit: the rules that need this machine, or a room
//! that the types of an order do not know. Those that need neither are the order's own.
//!
//! They are about mistakes and not about rights: the server reads and starts nothing that whoever
//! asks could not read and start without it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use midwatch_api::order::Toolchain;
use midwatch_api::task::{AgentRef, RepositoryRef, TaskOrder};
use midwatch_broker::{Registries, Upstream};
use midwatch_core::input::InvalidInput;
use midwatch_local::folder::StateFolder;
use midwatch_publish::Git;
use midwatch_publish::order::{Told, confirm};

use super::layers;
use crate::discover::{ca, repository};
use crate::environment::is_executable;
use crate::problem::Problem;

/// What was found to be so while orders that came together were looked at: checkouts, by path,
/// identity and base, and bundles.
#[derive(Debug, Default)]
pub(super) struct Confirmed {
    checkouts: BTreeSet<(PathBuf, String, String)>,
    bundles: BTreeSet<PathBuf>,
}

/// Refuses an order that names what is not there.
pub(super) fn check(
    git: &Git,
    folder: &StateFolder,
    order: &TaskOrder,
    confirmed: &mut Confirmed,
) -> Result<(), Problem> {
    order.check_new()?;
    layers::accepted(&order.accept_missing).map_err(|error| error.of("acceptMissing"))?;
    let registries = order.registries.iter().map(String::as_str);
    Registries::parse(registries).map_err(|error| error.of("registries"))?;
    worker("agent", &order.agent)?;
    for (number, other) in order.fallbacks.iter().enumerate() {
        worker(&format!("fallbacks[{number}]"), other)?;
    }
    for (number, Toolchain { folder, .. }) in order.toolchains.iter().enumerate() {
        if !folder.is_dir() {
            let field = format!("toolchains[{number}].folder");
            let (shown, rule) = (folder.to_string_lossy(), "is no folder on this machine");
            return Err(Problem::usage(&field, &shown, rule, "leave it away, or install it"));
        }
    }
    if let Some(bundle) = &order.ca_bundle
        && !confirmed.bundles.contains(bundle)
    {
        let unfit = |rule: String| {
            let shown = bundle.to_string_lossy();
            Problem::usage("caBundle", &shown, &rule, "name a bundle of PEM certificates")
        };
        ca::fit(bundle).map_err(unfit)?;
        confirmed.bundles.insert(bundle.clone());
    }
    match &order.repository {
        RepositoryRef::Checkout(checkout) => {
            let (path, identity) = (checkout.path.as_path(), checkout.identity.as_str());
            let triple = (path.to_owned(), identity.to_owned(), order.base.clone());
            if !confirmed.checkouts.contains(&triple) {
                let told = Told { path, identity, base: &order.base };
                confirm(git, told, &folder.mirror(identity)).map_err(repository::problem)?;
                confirmed.checkouts.insert(triple);
            }
            Ok(())
        }
        // The server that it is on is asked.
        RepositoryRef::Remote(_) => Ok(()),
    }
}

fn worker(field: &str, worker: &AgentRef) -> Result<(), InvalidInput> {
    if !is_executable(&worker.program) {
        let (field, shown) = (format!("{field}.program"), worker.program.to_string_lossy());
        let rule = "is no program that can be executed";
        return Err(InvalidInput::new(&field, &shown, rule, "install it, or name where it is"));
    }
    if let Some(url) = &worker.upstream {
        Upstream::parse(url).map_err(|error| error.of(&format!("{field}.upstream")))?;
    }
    Ok(())
}
