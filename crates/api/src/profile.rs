//! `AgentProfile`: who works, and with what, as users write it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use midwatch_core as core;
use serde::{Deserialize, Serialize};

use core::agent::AgentKind;
use core::input::InvalidInput;

use crate::object::{Object, ReadError, read_object};
use crate::order::CustomAgent;
use crate::task::{Egress, QuestionPolicy};

mod check;

pub(crate) use check::{check, check_custom, check_limits, check_range, check_toolchain};

/// The kind's name.
pub const KIND: &str = "AgentProfile";

/// Who works.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProfileSpec {
    /// The adapter: `claude-code` (default), `codex`, `opencode`, `gemini-cli`, `aider`,
    /// `qwen-code` or `custom`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The program: a name on PATH or an absolute path. Default: the adapter's own name, or the
    /// first word of `custom.argv`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The model; each adapter has a default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Standing instructions, at most 64 KiB.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub instructions: String,
    /// The provider's base URL, which may have a path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Where the credential is found; default: the usual places of the adapter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialSpec>,
    /// The declaration of a custom agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom: Option<CustomAgent>,
    /// What the sandbox may reach; `--egress` goes before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress: Option<Egress>,
    /// Registries beside those that the package clients are set to use: `host` or `host:port`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub registries: Vec<String>,
    /// Toolchains beside those that PATH names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub toolchains: Vec<ToolchainSpec>,
    /// What becomes of questions that the agent asks: `ask` holds the task until somebody answers,
    /// `proceed` (default) lets it decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub questions: Option<QuestionPolicy>,
    /// Who works when this agent cannot: its login or limit does not let it, or its model does not
    /// answer. At most 5, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<FallbackSpec>,
    /// What each run may use up.
    pub limits: LimitsSpec,
}

/// Another agent, or another model of the same one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FallbackSpec {
    /// A profile's or a built-in agent's name; default: this profile. Its own fallbacks are not
    /// looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The model; default: that profile's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// Where a credential is found. Never the credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CredentialSpec {
    /// `AnthropicKey`, `AnthropicSubscription`, `AnthropicToken`, `OpenAiKey`, `GeminiKey` or `None`.
    pub kind: String,
    /// The variable that holds it, in the environment of `midwatch run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
}

/// A toolchain outside the system folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolchainSpec {
    /// A plain name: letters, digits, `.`, `_`, `-`.
    pub name: String,
    /// The folder, absolute.
    pub folder: PathBuf,
    /// Folders for PATH, relative to it.
    #[serde(default)]
    pub path: Vec<PathBuf>,
    /// Variables; `{}` in a value stands for the folder as seen inside.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// What each run may use up; what is left out has its default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LimitsSpec {
    /// Wall clock in seconds, 10 to 86,400; default 3,600.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_seconds: Option<u64>,
    /// Seconds without progress, 0 for no limit; default 900.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_seconds: Option<u64>,
    /// Mebibytes of memory, at least 64; default 8,192.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// Processes and threads, 16 to 100,000; default 1,024.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<u64>,
    /// Mebibytes that workspace, home and temp may grow by, at least 16; default 20,480.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_mib: Option<u64>,
    /// How often the same call, or the same circle of up to four calls, may come to the same
    /// result before the run is stopped and begun anew, 3 to 1,000; 0 for no limit, default 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loop_rounds: Option<u32>,
    /// Seconds that an agent may work without changing anything, at most 86,400; 0 for no limit,
    /// default 2,700.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_change_seconds: Option<u64>,
    /// Turns of one agent run, 1 to 10,000; default: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_turns: Option<u32>,
    /// US cents of one agent run by the CLI's estimate, at least 1; default: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cost_cents: Option<u32>,
}

/// Reads a profile and checks every rule that needs no machine.
pub fn read(file: &str, text: &str) -> Result<Object<ProfileSpec>, ProfileError> {
    let object: Object<ProfileSpec> = read_object(file, KIND, text)?;
    check(&object.spec)?;
    Ok(object)
}

/// Why a profile cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// The file.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A rule.
    #[error(transparent)]
    Input(#[from] InvalidInput),
}

impl ProfileSpec {
    /// The adapter; `check` has looked at it.
    pub fn adapter(&self) -> AgentKind {
        let named = self.agent.as_deref().and_then(AgentKind::parse);
        named.unwrap_or(AgentKind::ClaudeCode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_spec(spec: &str) -> Result<ProfileSpec, String> {
        let text = format!(
            "apiVersion: midwatch.dev/v1alpha1\nkind: AgentProfile\nmetadata: {{name: p}}\nspec: {spec}\n"
        );
        read("p.yaml", &text).map(|object| object.spec).map_err(|error| error.to_string())
    }

    #[test]
    fn a_profile_has_defaults_and_a_custom_agent_its_declaration() {
        let spec = read_spec("{}").unwrap();
        assert_eq!((spec.adapter(), spec.model), (AgentKind::ClaudeCode, None));
        let spec = read_spec(
            "{agent: custom, custom: {argv: [my-agent, '{prompt_file}'], promptBy: File}}",
        );
        assert_eq!(spec.unwrap().custom.unwrap().argv[0], "my-agent");
    }

    #[test]
    fn faults_name_field_and_fix() {
        for (spec, word) in [
            ("{agent: cladue}", "claude-code"),
            ("{agent: custom}", "custom.argv"),
            ("{custom: {argv: [x]}}", "only for"),
            ("{agent: custom, custom: {argv: []}}", "empty"),
            ("{agent: custom, custom: {argv: ['', x]}}", "spec.custom.argv"),
            ("{agent: custom, custom: {argv: [x], promptBy: Argument}}", "has no {prompt},"),
            ("{agent: custom, custom: {argv: [x], promptBy: File}}", "has no {prompt_file}"),
            ("{agent: custom, custom: {argv: [x, '{prompt}']}}", "say promptBy: Argument"),
            ("{agent: custom, custom: {argv: [x, '{prompt_file}']}}", "say promptBy: File"),
            ("{agent: custom, custom: {argv: [x], env: {'A=B': c}}}", "no name of a variable"),
            ("{agent: custom, custom: {argv: [x], env: {LD_PRELOAD: /x}}}", "reserved"),
            ("{agent: custom, custom: {argv: [x], env: {A: ghp_canary}}}", "looks like a key"),
            ("{toolchains: [{name: x, folder: /o, path: [../../etc]}]}", "leaves the toolchain"),
            ("{toolchains: [{name: x, folder: rel}]}", "spec.toolchains[0].folder"),
            ("{modle: x}", "modle"),
            ("{model: [x]}", "model"),
            ("{credential: {kind: Key}}", "AnthropicKey"),
            ("{limits: {wallSeconds: 1}}", "86400"),
            ("{limits: {pids: -1}}", "pids"),
            ("{limits: {memoryMib: soon}}", "memoryMib"),
            ("{egress: open}", "egress"),
            ("{questions: maybe}", "questions"),
            ("{fallback: [{}]}", "spec.fallback"),
            ("{fallback: [{modle: x}]}", "modle"),
        ] {
            let error = read_spec(spec).unwrap_err();
            assert!(error.contains(word), "{spec}: {error}");
        }
    }
}
