//! `AgentRepository`, and the same as `midwatch.yaml` in a repository's base commit.

use std::path::PathBuf;

use midwatch_core::input::InvalidInput;
use serde::{Deserialize, Serialize};

use crate::object::{Object, ReadError, read_object, read_yaml};

/// The kind's name.
pub const KIND: &str = "AgentRepository";

/// The file in a repository.
pub const FILE: &str = "midwatch.yaml";

/// How a repository is set up and checked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RepositorySpec {
    /// Installs dependencies; runs with the registries within reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<String>,
    /// The commands that judge a commit, each in a fresh sandbox with no network.
    #[serde(default)]
    pub checks: Vec<CheckSpec>,
}

/// A repository as an object: where it is, and how it is set up and checked. What stands here
/// goes before the base's own `midwatch.yaml`, and what a task says before both.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AgentRepositorySpec {
    /// An `https` or `ssh` URL, without credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A checkout on this machine, absolute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// The commit that tasks start from, unless they name one: a branch, tag or id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Installs dependencies; empty for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setup: Option<String>,
    /// The commands that judge a commit, each in a fresh sandbox with no network.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckSpec>,
}

/// Every rule of a repository object that needs nothing else.
pub fn check(spec: &AgentRepositorySpec) -> Result<(), InvalidInput> {
    let AgentRepositorySpec { url, path, base, setup, checks } = spec;
    match (url, path) {
        (Some(_), Some(_)) | (None, None) => {
            let rule = "and spec.path: exactly one of them is needed";
            return Err(InvalidInput::new("spec.url", "", rule, "say where the repository is"));
        }
        (None, Some(path)) => crate::paths::absolute("spec.path", path, "/home/me/project")?,
        (Some(_), None) => {}
    }
    if let Some(base) = base
        && (base.is_empty() || base.starts_with('-') || !base.chars().all(|c| c.is_ascii_graphic()))
    {
        let rule = "is no name of a commit";
        return Err(InvalidInput::new("spec.base", base, rule, "for example main"));
    }
    check_commands(setup.as_deref(), checks)
}

/// Commands that a shell can be given.
pub(crate) fn check_commands(
    setup: Option<&str>,
    checks: &[CheckSpec],
) -> Result<(), InvalidInput> {
    if let Some(command) = setup {
        check_setup("spec.setup", command)?;
    }
    for (number, CheckSpec { run }) in checks.iter().enumerate() {
        check_command(&format!("spec.checks[{number}].run"), run)?;
    }
    Ok(())
}

/// A command that judges.
pub fn check_command(field: &str, command: &str) -> Result<(), InvalidInput> {
    if command.trim().is_empty() {
        let fix = "give a command such as \"npm test\", or leave the check away";
        return Err(InvalidInput::new(field, "", "is empty", fix));
    }
    check_setup(field, command)
}

/// A command, or nothing: an empty setup says that there is none.
pub(crate) fn check_setup(field: &str, command: &str) -> Result<(), InvalidInput> {
    if command.contains('\0') {
        return Err(InvalidInput::new(field, "", "holds a NUL", "remove it"));
    }
    Ok(())
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CheckSpec {
    /// The command, for `sh -c`.
    pub run: String,
}

/// Reads `midwatch.yaml`: a whole object, or only its `spec`.
pub fn read_file(text: &str) -> Result<RepositorySpec, ReadError> {
    let whole = text.lines().any(|line| line.starts_with("kind:"));
    let spec = if whole {
        let object: Object<RepositorySpec> = read_object(FILE, KIND, text)?;
        object.spec
    } else {
        read_yaml(FILE, text)?
    };
    let RepositorySpec { setup, checks } = &spec;
    check_commands(setup.as_deref(), checks).map_err(|error| {
        // In the short form there is no `spec`.
        let field = error.field.trim_start_matches("spec.").to_owned();
        ReadError::Malformed { file: FILE.into(), detail: error.of(&field).to_string() }
    })?;
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_faults_named() {
        let short = read_file("setup: npm ci\nchecks:\n  - run: npm test\n").unwrap();
        let long = read_file(
            "apiVersion: midwatch.dev/v1alpha1\nkind: AgentRepository\nmetadata: {name: r}\nspec:\n  setup: npm ci\n  checks: [{run: npm test}]\n",
        );
        assert_eq!(short, long.unwrap());
        for (bad, word) in [
            ("cheks: []", "cheks"),
            ("setup: [1]", "setup"),
            ("setup: a\nsetup: b", "duplicate"),
            ("checks: [{run: true}, {run: ' '}]", "checks[1].run is empty"),
            ("setup: \"a\\0b\"", "NUL"),
            ("kind: Pod\napiVersion: v1\nmetadata: {name: x}\nspec: {}", "kind"),
        ] {
            let error = read_file(bad).unwrap_err().to_string();
            assert!(error.to_lowercase().contains(&word.to_lowercase()), "{bad}: {error}");
        }
    }
}
