//! Whether what a new order names is there, and fit: the rules that need this machine, or a room
//! that the types of an order do not know. Those that need neither are the order's own.
//!
//! They are about mistakes and not about rights: the server reads and starts nothing that whoever
//! asks could not read and start without it.

use midwatch_api::kind::AnyObject;
use midwatch_api::order::Toolchain;
use midwatch_api::task::{AgentRef, RepositoryRef, TaskOrder};
use midwatch_broker::{Registries, Upstream};
use midwatch_core::input::InvalidInput;
use midwatch_local::folder::StateFolder;
use midwatch_publish::order::{Told, confirm};
use midwatch_publish::{Git, RepositoryUrl, UrlRules};

use super::layers;
use crate::discover::{agent, ca, repository};
use crate::environment::is_executable;
use crate::problem::Problem;

/// Refuses an order that names what is not there.
pub(super) fn check(git: &Git, folder: &StateFolder, order: &TaskOrder) -> Result<(), Problem> {
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
        && let Err(rule) = ca::fit(bundle)
    {
        let shown = bundle.to_string_lossy();
        return Err(Problem::usage("caBundle", &shown, rule, "name a bundle of PEM certificates"));
    }
    match &order.repository {
        RepositoryRef::Checkout(checkout) => {
            let (path, identity) = (checkout.path.as_path(), checkout.identity.as_str());
            let told = Told { path, identity, base: &order.base };
            confirm(git, told, &folder.mirror(identity)).map_err(repository::problem)
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

/// Refuses an object whose URLs and hosts are none, which only the rooms that use them know.
pub(crate) fn check_hosts(object: &AnyObject, rules: UrlRules) -> Result<(), InvalidInput> {
    let url = |field: &str, url: &Option<String>| -> Result<(), InvalidInput> {
        let Some(url) = url else { return Ok(()) };
        RepositoryUrl::parse(url, rules).map(drop).map_err(|error| error.of(field))
    };
    match object {
        AnyObject::Task(task) => url("spec.repository.url", &task.spec.repository.url),
        AnyObject::Repository(repository) => url("spec.url", &repository.spec.url),
        AnyObject::Profile(profile) => agent::check_hosts(&profile.spec),
        AnyObject::Pipeline(_) => Ok(()),
    }
}
