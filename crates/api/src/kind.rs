//! The kinds of objects, and an object of any of them.

use midwatch_core::input::InvalidInput;
use midwatch_core::pipeline::Pipeline;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::agent_task::{self, AgentTaskSpec};
use crate::metadata;
use crate::object::{API_VERSION, Metadata, Object};
use crate::pipeline::PipelineSpec;
use crate::profile::{self, ProfileSpec};
use crate::repository::{self, AgentRepositorySpec};

/// What can stand in a file.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
pub enum Kind {
    /// A goal for one repository.
    #[serde(rename = "AgentTask")]
    Task,
    /// Who works, and with what.
    #[serde(rename = "AgentProfile")]
    Profile,
    /// A named list of steps.
    #[serde(rename = "AgentPipeline")]
    Pipeline,
    /// Where work lands.
    #[serde(rename = "AgentRepository")]
    Repository,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Task, Self::Profile, Self::Pipeline, Self::Repository];

    /// The name in a file and on every wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Task => "AgentTask",
            Self::Profile => profile::KIND,
            Self::Pipeline => crate::pipeline::KIND,
            Self::Repository => repository::KIND,
        }
    }

    /// Several of them, as people say it.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Task => "tasks",
            Self::Profile => "profiles",
            Self::Pipeline => "pipelines",
            Self::Repository => "repositories",
        }
    }

    /// Reads a name made by [`Kind::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Reads what people call it: `profile`, `profiles`, `AgentProfile`.
    pub fn spoken(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let bare = lower.strip_prefix("agent").unwrap_or(&lower);
        let bare = if bare == "repository" { "repositories" } else { bare };
        Self::ALL.into_iter().find(|kind| {
            let plural = kind.plural();
            bare == plural || plural.strip_suffix('s') == Some(bare)
        })
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An object of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "few at a time, and read far more than moved")]
pub enum AnyObject {
    /// A goal for one repository.
    Task(Object<AgentTaskSpec>),
    /// Who works, and with what.
    Profile(Object<ProfileSpec>),
    /// A named list of steps.
    Pipeline(Object<PipelineSpec>),
    /// Where work lands.
    Repository(Object<AgentRepositorySpec>),
}

impl AnyObject {
    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Task(_) => Kind::Task,
            Self::Profile(_) => Kind::Profile,
            Self::Pipeline(_) => Kind::Pipeline,
            Self::Repository(_) => Kind::Repository,
        }
    }

    /// Name, labels and annotations.
    pub const fn metadata(&self) -> &Metadata {
        match self {
            Self::Task(object) => &object.metadata,
            Self::Profile(object) => &object.metadata,
            Self::Pipeline(object) => &object.metadata,
            Self::Repository(object) => &object.metadata,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.metadata().name
    }

    /// Every rule that needs nothing but the object.
    pub fn check(&self) -> Result<(), InvalidInput> {
        metadata::check(self.metadata())?;
        match self {
            Self::Task(object) => agent_task::check(&object.spec),
            Self::Profile(object) => profile::check(&object.spec),
            Self::Pipeline(object) => {
                crate::pipeline::check_name(&object.metadata.name)?;
                Pipeline::try_from(object).map(drop)
            }
            Self::Repository(object) => repository::check(&object.spec),
        }
    }

    /// As it is stored and compared: what is left out and what has its default are the same.
    pub fn to_wire(&self) -> Result<WireObject, serde_json::Error> {
        let spec = match self {
            Self::Task(object) => serde_json::to_value(&object.spec),
            Self::Profile(object) => serde_json::to_value(&object.spec),
            Self::Pipeline(object) => serde_json::to_value(&object.spec),
            Self::Repository(object) => serde_json::to_value(&object.spec),
        }?;
        Ok(WireObject { kind: self.kind(), metadata: self.metadata().clone(), spec })
    }
}

/// An object over HTTP and in a row: its spec is read when its kind is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WireObject {
    /// The kind.
    pub kind: Kind,
    /// Name, labels and annotations.
    pub metadata: Metadata,
    /// What is wanted, by the schema of the kind.
    pub spec: Value,
}

impl TryFrom<WireObject> for AnyObject {
    type Error = InvalidInput;

    /// Reads the spec by its kind's schema, and checks every rule.
    fn try_from(wire: WireObject) -> Result<Self, InvalidInput> {
        let WireObject { kind, metadata, spec } = wire;
        let object = match kind {
            Kind::Task => Self::Task(of(kind, metadata, spec)?),
            Kind::Profile => Self::Profile(of(kind, metadata, spec)?),
            Kind::Pipeline => Self::Pipeline(of(kind, metadata, spec)?),
            Kind::Repository => Self::Repository(of(kind, metadata, spec)?),
        };
        object.check()?;
        Ok(object)
    }
}

fn of<S: for<'de> Deserialize<'de>>(
    kind: Kind,
    metadata: Metadata,
    spec: Value,
) -> Result<Object<S>, InvalidInput> {
    let spec = serde_json::from_value(spec).map_err(|error| {
        // The reader names the field; a value of the spec may be long.
        let said: String = error.to_string().chars().take(200).collect();
        let rule = format!("cannot be read ({said})");
        InvalidInput::unshown("spec", &rule, "see docs/reference/schemas")
    })?;
    let (api_version, kind) = (API_VERSION.to_owned(), kind.as_str().to_owned());
    Ok(Object { api_version, kind, metadata, spec })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_said_in_several_ways() {
        for (said, kind) in [
            ("tasks", Kind::Task),
            ("profile", Kind::Profile),
            ("AgentPipeline", Kind::Pipeline),
            ("repository", Kind::Repository),
            ("repositories", Kind::Repository),
        ] {
            assert_eq!(Kind::spoken(said), Some(kind), "{said}");
        }
        for none in ["", "s", "runs", "fix-login", "agent", "reposi"] {
            assert_eq!(Kind::spoken(none), None, "{none}");
        }
    }

    #[test]
    fn a_wire_object_is_checked_as_a_file_is() {
        let wire = |kind, spec: Value| WireObject {
            kind,
            metadata: Metadata { name: "x".into(), ..Metadata::default() },
            spec,
        };
        let profile = wire(Kind::Profile, serde_json::json!({"agent": "codex"}));
        let object = AnyObject::try_from(profile.clone()).unwrap();
        assert_eq!(AnyObject::try_from(object.to_wire().unwrap()).unwrap(), object);
        for (kind, spec, word) in [
            (Kind::Profile, serde_json::json!({"agent": "cladue"}), "spec.agent"),
            (Kind::Profile, serde_json::json!({"agnet": "codex"}), "agnet"),
            (Kind::Task, serde_json::json!({"goal": " ", "repository": {"url": "x"}}), "goal"),
            (Kind::Pipeline, serde_json::json!({"steps": []}), "steps"),
            (Kind::Repository, serde_json::json!({}), "spec.url"),
        ] {
            let error = AnyObject::try_from(wire(kind, spec)).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
