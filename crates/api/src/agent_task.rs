//! `AgentTask`: a task as users write it, in its short form. What it leaves out is found on the
//! machine that it is applied on.

use std::path::PathBuf;

use midwatch_core::id::{BranchName, TaskName};
use midwatch_core::input::InvalidInput;
use serde::{Deserialize, Serialize};

use crate::repository::CheckSpec;
use crate::task::{Egress, Spoken};
use crate::{duration, paths};

/// The highest priority, and with a minus the lowest. Ten minutes of waiting count as one.
const PRIORITY_MAX: i32 = 1000;
/// The longest name of a model or a reference, in bytes.
const NAME_MAX: usize = 250;

/// A goal for one repository. Immutable once it was submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentTaskSpec {
    /// What a person asks, at most 256 KiB.
    pub goal: String,
    /// Where the work is done.
    pub repository: RepositoryTarget,
    /// The commit to start from: a branch, tag or id; default: where the repository stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The steps: `change` (default), `quick`, or an `AgentPipeline`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    /// Who works: an adapter's own name, or an `AgentProfile`; default `claude-code`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The model; default: the profile's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The commands that judge; default: those of the repository.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckSpec>,
    /// Judge nothing: the result is Unverified everywhere.
    #[serde(default, skip_serializing_if = "is_false")]
    pub no_check: bool,
    /// Accept exactly the tests that fail on the base.
    #[serde(default, skip_serializing_if = "is_false")]
    pub known_failures: bool,
    /// Installs dependencies; empty for none; default: that of the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<String>,
    /// The branch to leave the result in; default `midwatch/NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Push the verified branch to the remote.
    #[serde(default, skip_serializing_if = "is_false")]
    pub push: bool,
    /// What the sandbox may reach; default: the profile's, else `registries`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<Egress>,
    /// The longest that one agent run may take, such as `30m`; `10s` to `24h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Higher goes first, -1000 to 1000.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: i32,
}

/// A repository, named in one of three ways.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RepositoryTarget {
    /// An `https` or `ssh` URL, without credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A checkout on this machine, absolute: the result becomes a branch there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// An `AgentRepository`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(value: &i32) -> bool {
    *value == 0
}

impl AgentTaskSpec {
    /// The wall clock of an agent run in seconds.
    pub fn wall_seconds(&self) -> Result<Option<u64>, InvalidInput> {
        let timeout = self.timeout.as_deref();
        timeout.map(|text| duration::parse("spec.timeout", text)).transpose()
    }
}

/// Every rule that needs no machine and no other object.
pub fn check(spec: &AgentTaskSpec) -> Result<(), InvalidInput> {
    let bad = |field: &str, value: &str, rule: &str, fix: &str| {
        Err(InvalidInput::new(&format!("spec.{field}"), value, rule, fix))
    };
    Spoken::Goal.check(&spec.goal).map_err(|error| error.of("spec.goal"))?;
    check_target(&spec.repository)?;
    for (field, name) in [("pipeline", &spec.pipeline), ("agent", &spec.agent)] {
        if let Some(name) = name {
            TaskName::parse(name).map_err(|error| error.of(&format!("spec.{field}")))?;
        }
    }
    if let Some(base) = &spec.base
        && !is_name(base)
    {
        let rule = "is no name: visible ASCII letters, no '-' in front, at most 250";
        return bad("base", base, rule, "for example main");
    }
    if let Some(model) = &spec.model {
        check_model("spec.model", model)?;
    }
    if let Some(branch) = &spec.branch {
        BranchName::parse(branch).map_err(|error| error.of("spec.branch"))?;
    }
    crate::repository::check_commands(spec.setup.as_deref(), &spec.checks)?;
    if spec.no_check && !spec.checks.is_empty() {
        return bad("noCheck", "true", "cannot stand beside checks", "keep one of the two");
    }
    if spec.no_check && spec.push {
        return bad("push", "true", "cannot stand beside noCheck", "only verified work is pushed");
    }
    check_priority("spec.priority", spec.priority)?;
    spec.wall_seconds().map(drop)
}

fn check_target(target: &RepositoryTarget) -> Result<(), InvalidInput> {
    let RepositoryTarget { url, path, name } = target;
    let count =
        usize::from(url.is_some()) + usize::from(path.is_some()) + usize::from(name.is_some());
    if count != 1 {
        let rule = if count == 0 { "names no repository" } else { "names more than one" };
        let fix = "give one of url, path (a checkout on this machine) or name (an AgentRepository)";
        return Err(InvalidInput::new("spec.repository", "", rule, fix));
    }
    if let Some(name) = name {
        TaskName::parse(name).map_err(|error| error.of("spec.repository.name"))?;
    }
    if let Some(path) = path {
        paths::absolute("spec.repository.path", path, "/home/me/project")?;
    }
    Ok(())
}

/// A name that no program takes for a flag.
fn is_name(text: &str) -> bool {
    let fits = !text.is_empty() && text.len() <= NAME_MAX && !text.starts_with('-');
    fits && text.chars().all(|c| c.is_ascii_graphic())
}

/// The rule of a model's name.
pub fn check_model(field: &str, model: &str) -> Result<(), InvalidInput> {
    if is_name(model) {
        return Ok(());
    }
    let rule = "is no name of a model: visible ASCII letters, no '-' in front, at most 250";
    Err(InvalidInput::new(field, model, rule, "for example sonnet"))
}

/// The rule of priorities: waiting counts for something, whatever anybody gives.
pub(crate) fn check_priority(field: &str, priority: i32) -> Result<(), InvalidInput> {
    if (-PRIORITY_MAX..=PRIORITY_MAX).contains(&priority) {
        return Ok(());
    }
    let fix = "give a number in the range";
    Err(InvalidInput::new(field, &priority.to_string(), "is not -1000 to 1000", fix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(more: &str) -> Result<(), String> {
        let mut spec = serde_json::json!({"goal": "g", "repository": {"path": "/r"}});
        let more: serde_json::Value = serde_json::from_str(more).unwrap();
        for (key, value) in more.as_object().unwrap() {
            spec[key] = value.clone();
        }
        let spec: AgentTaskSpec = serde_json::from_value(spec).map_err(|e| e.to_string())?;
        check(&spec).map_err(|error| error.to_string())
    }

    #[test]
    fn faults_name_field_and_fix() {
        assert_eq!(spec("{}"), Ok(()));
        for (more, word) in [
            (r#"{"goal": "  "}"#, "spec.goal is required"),
            (r#"{"goal": "a\u0000b"}"#, "NUL at byte 1"),
            (r#"{"repository": {}}"#, "names no repository"),
            (r#"{"repository": {"path": "/r", "url": "https://x/y"}}"#, "more than one"),
            (r#"{"repository": {"path": "r"}}"#, "spec.repository.path"),
            (r#"{"repository": {"path": "/r/../etc"}}"#, "spec.repository.path"),
            (r#"{"repository": {"name": "A_B"}}"#, "for example a-b"),
            (r#"{"pipeline": "Quick"}"#, "spec.pipeline"),
            (r#"{"agent": "a/b"}"#, "spec.agent"),
            (r#"{"base": "--upload-pack=x"}"#, "spec.base"),
            (r#"{"model": ""}"#, "spec.model"),
            (r#"{"branch": "a..b"}"#, "spec.branch"),
            (r#"{"checks": [{"run": "x"}, {"run": " "}]}"#, "spec.checks[1].run is empty"),
            (r#"{"checks": [{"run": "x"}], "noCheck": true}"#, "spec.noCheck"),
            (r#"{"push": true, "noCheck": true}"#, "spec.push"),
            (r#"{"timeout": "soon"}"#, "30m"),
            (r#"{"priority": 1001}"#, "-1000 to 1000"),
        ] {
            let error = spec(more).unwrap_err();
            assert!(error.contains(word), "{more}: {error}");
        }
    }
}
