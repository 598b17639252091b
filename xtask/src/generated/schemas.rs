//! JSON schemas of what people and agents write.

use anyhow::Result;
use midwatch_api::agent_task::AgentTaskSpec;
use midwatch_api::object::Object;
use midwatch_api::order::CustomAgent;
use midwatch_api::pipeline::PipelineSpec;
use midwatch_api::profile::ProfileSpec;
use midwatch_api::report::Output;
use midwatch_api::repository::{AgentRepositorySpec, RepositorySpec};
use schemars::{Schema, schema_for};

use crate::generated::Generated;

/// Every schema by the name of its file. A type that users write in a file gets a line here.
fn schemas() -> Vec<(&'static str, Schema)> {
    vec![
        ("agent-pipeline", schema_for!(Object<PipelineSpec>)),
        ("agent-profile", schema_for!(Object<ProfileSpec>)),
        ("agent-repository", schema_for!(Object<AgentRepositorySpec>)),
        ("agent-task", schema_for!(Object<AgentTaskSpec>)),
        ("custom-agent", schema_for!(CustomAgent)),
        ("midwatch-yaml", schema_for!(RepositorySpec)),
        ("output", schema_for!(Output)),
    ]
}

/// The files.
pub fn files() -> Result<Vec<Generated>> {
    let file = |(name, schema): (&str, Schema)| {
        let text = serde_json::to_string_pretty(&schema)? + "\n";
        Ok(Generated { path: format!("docs/reference/schemas/{name}.json"), text })
    };
    schemas().into_iter().map(file).collect()
}
