//! Who works: a profile of the user's, or an adapter under its own name.

use std::path::{Path, PathBuf};

use midwatch_api::agent_task::check_model;
use midwatch_api::object::MAX_FILE_BYTES;
use midwatch_api::profile::{ProfileSpec, read};
use midwatch_broker::{Registries, Upstream};
use midwatch_core::agent::{AgentKind, CredentialKind};
use midwatch_core::input::InvalidInput;

use super::credential::{Login, OPENROUTER};
use super::nearest::known;
use super::{Finding, names_file};
use crate::environment::Environment;
use crate::problem::Problem;

/// Who was chosen.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    /// The profile's name.
    pub(crate) name: String,
    /// What it says.
    pub(crate) spec: ProfileSpec,
}

impl Chosen {
    /// The adapter.
    pub(crate) fn kind(&self) -> AgentKind {
        self.spec.adapter()
    }
}

/// The model of an adapter, where neither flag nor profile names one. Passed explicitly always:
/// the CLI's own default depends on the credential (measured, claude-code 2.1.197).
const fn default_model(kind: AgentKind) -> Option<&'static str> {
    match kind {
        AgentKind::ClaudeCode => Some("sonnet"),
        AgentKind::Codex => Some("gpt-5-codex"),
        AgentKind::GeminiCli => Some("gemini-2.5-pro"),
        // By the credential, see `model_for`.
        AgentKind::OpenCode | AgentKind::Aider | AgentKind::QwenCode | AgentKind::Custom => None,
    }
}

/// The model of an adapter that works with several providers, where neither flag nor profile
/// names one.
pub(super) fn model_for(kind: AgentKind, login: &Login) -> Option<&'static str> {
    match kind {
        AgentKind::OpenCode | AgentKind::Aider | AgentKind::QwenCode => {}
        // They have one of their own, or none.
        AgentKind::ClaudeCode | AgentKind::Codex | AgentKind::GeminiCli | AgentKind::Custom => {
            return None;
        }
    }
    let openrouter = login.upstream.as_deref() == Some(OPENROUTER);
    match login.kind {
        CredentialKind::AnthropicKey
        | CredentialKind::AnthropicSubscription
        | CredentialKind::AnthropicToken => Some("claude-sonnet-4-5"),
        CredentialKind::GeminiKey => Some("gemini-2.5-pro"),
        CredentialKind::OpenAiKey if kind == AgentKind::QwenCode && openrouter => {
            Some("qwen/qwen3-coder")
        }
        CredentialKind::OpenAiKey if openrouter => Some("anthropic/claude-sonnet-4.5"),
        CredentialKind::OpenAiKey if kind == AgentKind::OpenCode => Some("gpt-5-codex"),
        CredentialKind::OpenAiKey => Some("gpt-5"),
        CredentialKind::None => None,
    }
}

/// Finds the profile that flags name; without any, Claude Code.
pub(crate) fn choose(
    environment: &Environment,
    agent: Option<&str>,
    profile: Option<&str>,
) -> Result<Chosen, Problem> {
    let chosen = match (profile, agent) {
        (Some(profile), _) => named(environment, "--profile", profile)?,
        (None, Some(agent)) => named(environment, "--agent", agent)?,
        (None, None) => named(environment, "--agent", AgentKind::ClaudeCode.as_str())?,
    };
    agrees(&chosen, agent, profile)?;
    Ok(chosen)
}

/// The name to look for among stored profiles before the flags are followed: one that no file of
/// the user's has. A built-in agent that `--agent` names is meant as it is.
pub(crate) fn stored_name<'a>(
    environment: &Environment,
    agent: Option<&'a str>,
    profile: Option<&'a str>,
) -> Option<&'a str> {
    let built_in = |name: &&str| AgentKind::built_in().any(|kind| kind.as_str() == *name);
    let name = profile.or_else(|| agent.filter(|name| !built_in(name)))?;
    (!names_file(name) && !has_file(environment, name)).then_some(name)
}

/// Says that a profile is an object.
pub(super) fn stored_finding(chosen: &Chosen) -> Finding {
    Finding::new("profile", format!("AgentProfile {}, as it was applied", chosen.name))
}

/// Whether the user has a profile of this name in a file.
pub(crate) fn has_file(environment: &Environment, name: &str) -> bool {
    let files = files(&environment.profiles_folder());
    files.iter().any(|file| file.file_stem().is_some_and(|stem| stem == name))
}

/// Refuses two flags that name different agents.
pub(super) fn agrees(
    chosen: &Chosen,
    agent: Option<&str>,
    profile: Option<&str>,
) -> Result<(), Problem> {
    if let (Some(_), Some(agent)) = (profile, agent)
        && agent != chosen.kind().as_str()
        && agent != chosen.name
    {
        let rule = format!(
            "is not the agent of profile {}, which is {}",
            chosen.name,
            chosen.kind().as_str()
        );
        return Err(Problem::usage("--agent", agent, &rule, "leave one of the two away"));
    }
    Ok(())
}

/// A profile by name or path; a user's own goes before a built-in of the same name.
fn named(environment: &Environment, flag: &str, name: &str) -> Result<Chosen, Problem> {
    if names_file(name) {
        return from_file(flag, &environment.folder().join(name));
    }
    let files = files(&environment.profiles_folder());
    for file in &files {
        if file.file_stem().is_some_and(|stem| stem == name) {
            return from_file(flag, file);
        }
    }
    let built_in = AgentKind::built_in().find(|kind| kind.as_str() == name);
    if let Some(kind) = built_in {
        let spec = ProfileSpec { agent: Some(kind.as_str().into()), ..ProfileSpec::default() };
        return Ok(Chosen { name: name.into(), spec });
    }
    let names = names(environment);
    let folder = environment.profiles_folder();
    let known = known(name, &names);
    let fix = format!("{known}; profiles are files in {}, or were applied", folder.display());
    Err(Problem::usage(flag, name, "is unknown", &fix))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    files.retain(|file| file.extension().is_some_and(|end| end == "yaml" || end == "yml"));
    files.sort();
    files
}

fn from_file(flag: &str, path: &Path) -> Result<Chosen, Problem> {
    let shown = path.to_string_lossy();
    let bad = |rule: &str| {
        Problem::usage(
            flag,
            &shown,
            rule,
            "give a YAML file of kind AgentProfile, see docs/reference",
        )
    };
    let metadata = std::fs::metadata(path);
    let metadata = metadata.map_err(|error| bad(&format!("cannot be read ({error})")))?;
    if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES as u64 {
        return Err(bad("is no file of at most 1 MiB"));
    }
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| bad(&format!("cannot be read ({error})")))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let object = read(&name, &text).map_err(|error| bad(&format!("cannot be used ({error})")))?;
    check_hosts(&object.spec)?;
    Ok(Chosen { name: object.metadata.name, spec: object.spec })
}

/// The rules of a profile that only the broker knows.
pub(crate) fn check_hosts(spec: &ProfileSpec) -> Result<(), InvalidInput> {
    if let Some(url) = &spec.base_url {
        Upstream::parse(url).map_err(|error| error.of("spec.baseUrl"))?;
    }
    let registries = spec.registries.iter().map(String::as_str);
    Registries::parse(registries).map_err(|error| error.of("spec.registries"))?;
    Ok(())
}

/// Names that are known without any object: adapters, and files of the user's.
pub(crate) fn names(environment: &Environment) -> Vec<String> {
    let mut names: Vec<String> =
        AgentKind::built_in().map(|kind| kind.as_str().to_owned()).collect();
    let files = files(&environment.profiles_folder());
    names.extend(files.iter().filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned())));
    names
}

/// The model to pass, by flag, profile or default.
pub(super) fn model(chosen: &Chosen, flag: Option<&str>) -> Result<Option<String>, Problem> {
    let named = flag.or(chosen.spec.model.as_deref());
    let Some(model) = named.or(default_model(chosen.kind())) else {
        let argv = chosen.spec.custom.iter().flat_map(|custom| &custom.argv);
        if argv.into_iter().any(|word| word.contains("{model}")) {
            let rule = "is needed: spec.custom.argv names {model}";
            return Err(Problem::usage("--model", "", rule, "pass it, or set spec.model"));
        }
        return Ok(None);
    };
    check_model("--model", model)?;
    Ok(Some(model.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::tests::environment;

    #[test]
    fn names_are_profiles_first_and_adapters_second() {
        let home = tempfile::tempdir().unwrap();
        let environment = environment(home.path(), &[]);
        let folder = environment.profiles_folder();
        std::fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, spec: &str| {
            let text = format!(
                "apiVersion: midwatch.dev/v1alpha1\nkind: AgentProfile\nmetadata: {{name: {name}}}\nspec: {spec}\n"
            );
            std::fs::write(folder.join(format!("{name}.yaml")), text).unwrap();
        };
        write("mine", "{agent: codex, model: m-1}");
        write("broken", "{agnet: x}");
        write("wild", "{registries: ['*.com']}");
        write("plain", "{baseUrl: 'http://llm.example.com'}");
        write("leak", "{credential: {kind: AnthropicKey, variable: sk-canary}}");
        let choose = |agent, profile| choose(&environment, agent, profile);
        assert_eq!(choose(None, None).unwrap().kind(), AgentKind::ClaudeCode);
        let mine = choose(Some("mine"), None).unwrap();
        assert_eq!(
            (mine.kind(), model(&mine, None).unwrap().as_deref()),
            (AgentKind::Codex, Some("m-1"))
        );
        assert_eq!(model(&mine, Some("m-2")).unwrap().as_deref(), Some("m-2"));
        assert!(choose(Some("codex"), Some("mine")).is_ok());
        for (agent, profile, word) in [
            (Some("cladue-code"), None, "did you mean claude-code"),
            (Some("claude-code"), Some("mine"), "is not the agent"),
            (None, Some("broken"), "agnet"),
            (None, Some("wild"), "spec.registries"),
            (None, Some("plain"), "spec.baseUrl"),
            (None, Some("leak"), "spec.credential.variable"),
            (None, Some("/nowhere/p.yaml"), "cannot be read"),
            (None, Some("custom"), "unknown"),
        ] {
            let problem = choose(agent, profile).unwrap_err();
            assert!(problem.exit == 2 && problem.message.contains(word), "{problem:?}");
            assert!(!problem.message.contains("canary"), "{problem:?}");
        }
        write("models", "{agent: custom, custom: {argv: [x, '--model={model}']}}");
        let models = choose(None, Some("models")).unwrap();
        assert_eq!(model(&models, Some("m-1")).unwrap().as_deref(), Some("m-1"));
        let problem = model(&models, None).unwrap_err();
        assert!(problem.exit == 2 && problem.message.contains("{model}"), "{problem:?}");
        for bad in ["--help", "", "a b", "m\u{202e}"] {
            assert!(model(&mine, Some(bad)).is_err(), "{bad}");
        }
    }
}
