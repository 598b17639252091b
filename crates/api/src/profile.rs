//! `AgentProfile`: who works, and with what, as users write it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use midwatch_core as core;
use serde::{Deserialize, Serialize};

use core::agent::{AgentKind, CredentialKind};
use core::input::InvalidInput;

use crate::object::{Object, ReadError, read_object};
use crate::order::{CustomAgent, PromptBy};
use crate::task::{Egress, QuestionPolicy};

/// The kind's name.
pub const KIND: &str = "AgentProfile";

/// The longest standing instructions, in bytes.
const INSTRUCTIONS_MAX: usize = 64 << 10;

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

/// The most fallbacks of a profile.
const FALLBACKS: usize = 5;

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

/// Every rule that needs no machine.
pub(crate) fn check(spec: &ProfileSpec) -> Result<(), InvalidInput> {
    let bad = |field: &str, value: &str, rule: &str, fix: &str| {
        Err(InvalidInput::new(&format!("spec.{field}"), value, rule, fix))
    };
    if let Some(agent) = &spec.agent
        && AgentKind::parse(agent).is_none()
    {
        let known = AgentKind::ALL.map(AgentKind::as_str).join(", ");
        return bad("agent", agent, "is unknown", &format!("known: {known}"));
    }
    let custom = spec.adapter() == AgentKind::Custom;
    match &spec.custom {
        None if custom => {
            return bad("custom", "", "is required for a custom agent", "give custom.argv");
        }
        Some(_) if !custom => {
            return bad("custom", "", "is only for agent: custom", "leave it away");
        }
        Some(declared) => {
            check_custom(declared)?;
            check_env("spec.custom.env", &declared.env)?;
        }
        None => {}
    }
    if let Some(credential) = &spec.credential {
        let kind = &credential.kind;
        if CredentialKind::parse(kind).is_none() {
            let known = CredentialKind::ALL.map(CredentialKind::as_str).join(", ");
            return bad("credential.kind", kind, "is unknown", &format!("known: {known}"));
        }
        if credential.variable.as_deref().is_some_and(|name| !is_variable(name)) {
            // Somebody may have put the key itself there.
            return Err(InvalidInput::unshown(
                "spec.credential.variable",
                "is no name of a variable (capital letters, digits and '_')",
                "name the variable that holds the key, never the key",
            ));
        }
    }
    if spec.instructions.len() > INSTRUCTIONS_MAX {
        let rule = format!("has over {INSTRUCTIONS_MAX} bytes");
        return bad("instructions", "", &rule, "put them into a file of the repository");
    }
    for (number, chain) in spec.toolchains.iter().enumerate() {
        let ToolchainSpec { name, folder, path, env } = chain;
        let field = |rest: &str| format!("spec.toolchains[{number}].{rest}");
        let inner = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if name.is_empty() || name.starts_with('.') || !name.bytes().all(inner) {
            let fix = "use letters, digits, '.', '_', '-'";
            return Err(InvalidInput::new(&field("name"), name, "is no plain name", fix));
        }
        crate::agent_task::check_path(&field("folder"), folder)?;
        for part in path {
            let text = part.to_string_lossy();
            let up = part.components().any(|part| part == std::path::Component::ParentDir);
            if part.is_absolute() || up || text.contains(char::is_control) {
                let rule = "leaves the toolchain's folder";
                let fix = "give a path below it, such as bin";
                return Err(InvalidInput::new(&field("path"), &text, rule, fix));
            }
        }
        check_env(&field("env"), env)?;
    }
    if spec.fallback.len() > FALLBACKS {
        let (count, rule) = (spec.fallback.len().to_string(), "is more than 5");
        return bad("fallback", &count, rule, "keep those that are likely to work");
    }
    if spec.fallback.iter().any(|one| one.profile.is_none() && one.model.is_none()) {
        return bad("fallback", "", "names neither profile nor model", "give one of the two");
    }
    check_limits(&spec.limits)
}

/// How variables begin that are ours to set, or that make programs run others.
const RESERVED: [&str; 4] = ["LD_", "DYLD_", "GIT_", "MIDWATCH_"];
/// The same, whole.
const RESERVED_NAMES: [&str; 8] =
    ["BASH_ENV", "ENV", "HOME", "IFS", "SHELLOPTS", "PROMPT_COMMAND", "http_proxy", "https_proxy"];
/// How keys begin that people have.
const KEYS: [&str; 7] = ["sk-", "ghp_", "gho_", "github_pat_", "glpat-", "AKIA", "xoxb-"];

/// Names that a process can have, that are not reserved, and no key in a value.
fn check_env(field: &str, env: &BTreeMap<String, String>) -> Result<(), InvalidInput> {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    for (name, value) in env {
        let begins = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        if !begins || !name.bytes().all(inner) {
            let rule = "is no name of a variable";
            let fix = "use letters, digits and '_', a letter in front";
            return Err(InvalidInput::new(field, name, rule, fix));
        }
        let reserved = RESERVED.iter().any(|prefix| name.starts_with(prefix));
        if reserved || RESERVED_NAMES.contains(&name.as_str()) {
            let rule = "is reserved: it is ours to set, or makes programs run others";
            return Err(InvalidInput::new(field, name, rule, "leave it away"));
        }
        let named = format!("{field}.{name}");
        if KEYS.iter().any(|key| value.trim_start().starts_with(key)) {
            let rule = "looks like a key, and the sandbox holds none";
            let fix = "name the variable that holds it in spec.credential.variable";
            return Err(InvalidInput::unshown(&named, rule, fix));
        }
        if value.contains('\0') {
            return Err(InvalidInput::unshown(&named, "holds a NUL", "remove it"));
        }
    }
    Ok(())
}

/// A command that can be started, and a prompt that has its place in it.
fn check_custom(declared: &CustomAgent) -> Result<(), InvalidInput> {
    // Somebody may have put a key into it: the words are not repeated.
    let bad = |rule: &str, fix: &str| Err(InvalidInput::unshown("spec.custom.argv", rule, fix));
    match declared.argv.first() {
        None => return bad("is empty", "give the command"),
        Some(first) if first.is_empty() => {
            return bad("begins with an empty word", "begin with the program");
        }
        Some(_) => {}
    }
    if declared.argv.iter().any(|word| word.contains('\0')) {
        return bad("holds a NUL", "remove it");
    }
    for (place, way) in [("{prompt}", PromptBy::Argument), ("{prompt_file}", PromptBy::File)] {
        let named = declared.argv.iter().any(|word| word.contains(place));
        if declared.prompt_by == way && !named {
            let rule = format!("has no {place}, and promptBy is {way:?}");
            let fix = format!("put {place} where the prompt goes, or leave promptBy away: stdin");
            return bad(&rule, &fix);
        }
        if declared.prompt_by != way && named {
            let rule = format!("has {place}, and promptBy is {:?}", declared.prompt_by);
            return bad(&rule, &format!("say promptBy: {way:?}"));
        }
    }
    Ok(())
}

/// Capital letters, so that a key that was put in the place of a name is none.
fn is_variable(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    name.bytes().all(inner) && !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty()
}

fn check_limits(limits: &LimitsSpec) -> Result<(), InvalidInput> {
    let LimitsSpec {
        wall_seconds,
        idle_seconds,
        memory_mib,
        pids,
        disk_mib,
        loop_rounds,
        no_change_seconds,
        max_turns,
        max_cost_cents,
    } = limits;
    let ranges = [
        ("wallSeconds", *wall_seconds, 10, 86_400),
        ("idleSeconds", *idle_seconds, 0, 86_400),
        ("memoryMib", *memory_mib, 64, 1 << 24),
        ("pids", *pids, 16, 100_000),
        ("diskMib", *disk_mib, 16, 1 << 24),
        ("loopRounds", loop_rounds.filter(|rounds| *rounds > 0).map(u64::from), 3, 1_000),
        ("noChangeSeconds", *no_change_seconds, 0, 86_400),
        ("maxTurns", max_turns.map(u64::from), 1, 10_000),
        ("maxCostCents", max_cost_cents.map(u64::from), 1, 1 << 24),
    ];
    for (field, value, least, most) in ranges {
        if let Some(value) = value
            && !(least..=most).contains(&value)
        {
            let rule = format!("is not {least} to {most}");
            let field = format!("spec.limits.{field}");
            let fix = "give a number in the range";
            return Err(InvalidInput::new(&field, &value.to_string(), &rule, fix));
        }
    }
    Ok(())
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
