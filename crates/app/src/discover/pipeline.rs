//! The wanted pipeline: one that ships, or a file of the user's.

use midwatch_api::object::{MAX_FILE_BYTES, Object, read_object};
use midwatch_api::pipeline::{KIND, PipelineSpec, is_shipped, shipped, shipped_names};

use super::names_file;
use super::nearest::known;
use crate::environment::Environment;
use crate::problem::Problem;

/// Whether a name is a file's, or of one that ships.
pub(crate) fn is_at_hand(name: &str) -> bool {
    names_file(name) || is_shipped(name)
}

/// A shipped name, or the path of a YAML file (with a `/` or ending in `.yaml`).
pub(crate) fn find(environment: &Environment, name: &str) -> Result<Object<PipelineSpec>, Problem> {
    let unreadable = |rule: &str| {
        Problem::usage("--pipeline", name, rule, "give a name or a YAML file of kind AgentPipeline")
    };
    if names_file(name) {
        let path = environment.folder().join(name);
        let metadata = std::fs::metadata(&path);
        let metadata =
            metadata.map_err(|error| unreadable(&format!("cannot be read ({error})")))?;
        if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES as u64 {
            return Err(unreadable("is no file of at most 1 MiB"));
        }
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|error| unreadable(&format!("cannot be read ({error})")))?;
        return read_object(name, KIND, &text)
            .map_err(|error| unreadable(&format!("cannot be used ({error})")));
    }
    match shipped(name) {
        Some(Ok(object)) => Ok(object),
        Some(Err(error)) => Err(Problem::internal(error.to_string())),
        None => {
            let names: Vec<String> = shipped_names().map(ToOwned::to_owned).collect();
            let fix = format!("{}; more can be applied", known(name, &names));
            Err(Problem::usage("--pipeline", name, "is unknown", &fix))
        }
    }
}
