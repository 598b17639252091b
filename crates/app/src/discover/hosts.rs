//! URLs and hosts of objects, which only the rooms that use them know.

use midwatch_api::kind::AnyObject;
use midwatch_core::input::InvalidInput;
use midwatch_publish::{RepositoryUrl, UrlRules};

use super::agent;

/// Refuses an object whose URLs and hosts are none.
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
