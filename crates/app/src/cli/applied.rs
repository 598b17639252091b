//! Objects that were applied and that a task names: its profile, its pipeline, and the profiles
//! that its profile falls back on.

use midwatch_api::kind::{AnyObject, Kind};
use midwatch_api::object::Object;
use midwatch_api::pipeline::PipelineSpec;

use crate::client::Client;
use crate::discover::agent::{self, Chosen};
use crate::discover::pipeline;
use crate::environment::Environment;
use crate::problem::Problem;

/// A profile that was applied.
pub(super) async fn profile(client: &Client, name: &str) -> Result<Option<Chosen>, Problem> {
    let Some(view) = client.stored(Kind::Profile, name).await? else { return Ok(None) };
    of(AnyObject::try_from(view.object)?)
}

/// The profile that an object is.
pub(super) fn of(object: AnyObject) -> Result<Option<Chosen>, Problem> {
    match object {
        AnyObject::Profile(found) => {
            agent::check_hosts(&found.spec)?;
            Ok(Some(Chosen { name: found.metadata.name, spec: found.spec }))
        }
        AnyObject::Task(_) | AnyObject::Pipeline(_) | AnyObject::Repository(_) => Ok(None),
    }
}

/// The pipeline that a flag names, where it is one that was applied.
pub(super) async fn named_pipeline(
    client: &Client,
    name: &str,
) -> Result<Option<Object<PipelineSpec>>, Problem> {
    if pipeline::is_at_hand(name) {
        return Ok(None);
    }
    let Some(view) = client.stored(Kind::Pipeline, name).await? else { return Ok(None) };
    match AnyObject::try_from(view.object)? {
        AnyObject::Pipeline(found) => Ok(Some(found)),
        AnyObject::Task(_) | AnyObject::Profile(_) | AnyObject::Repository(_) => Ok(None),
    }
}

/// Those fallbacks of a profile that are objects. `find` looks for one by name; a file of the
/// user's goes before it.
pub(super) async fn fallbacks(
    environment: &Environment,
    chosen: &Chosen,
    find: impl AsyncFn(&str) -> Result<Option<Chosen>, Problem>,
) -> Result<Vec<Chosen>, Problem> {
    let mut found = Vec::new();
    for wanted in &chosen.spec.fallback {
        if let Some(name) = agent::stored_name(environment, None, wanted.profile.as_deref()) {
            found.extend(find(name).await?);
        }
    }
    Ok(found)
}
