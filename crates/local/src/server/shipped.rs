//! Pipelines that ship: shown beside what was applied, and never changed.

use midwatch_api::control::{ObjectView, Refusal};
use midwatch_api::kind::{AnyObject, Kind};
use midwatch_api::pipeline;

use super::refusal::internal;

/// Whether an object ships.
pub(super) fn is(kind: Kind, name: &str) -> bool {
    match kind {
        Kind::Pipeline => pipeline::is_shipped(name),
        Kind::Task | Kind::Profile | Kind::Repository => false,
    }
}

/// All of them, the simplest first.
pub(super) fn all() -> Result<Vec<ObjectView>, Refusal> {
    pipeline::shipped_names().map(one).collect()
}

/// One of them.
pub(super) fn one(name: &str) -> Result<ObjectView, Refusal> {
    let object = pipeline::shipped(name).ok_or_else(|| internal(&"it does not ship"))?;
    let object = AnyObject::Pipeline(object.map_err(|error| internal(&error))?);
    Ok(ObjectView::shipped(object.to_wire().map_err(|error| internal(&error))?))
}

/// That it cannot be taken away.
pub(super) fn stays(name: &str) -> Refusal {
    Refusal {
        message: format!("{} '{name}' ships with Midwatch and is not deleted", Kind::Pipeline),
        hint: Some("who does not name it does not use it".into()),
        exit: 2,
    }
}
