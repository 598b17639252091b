//! The login that an agent works with: where users have it, by its kind. The value itself is
//! read only when it stands in the environment, and goes to the server alone.

use std::path::PathBuf;
use std::time::SystemTime;

use midwatch_api::profile::{CredentialSpec, ProfileSpec};
use midwatch_api::task::{AgentRef, CredentialRef};
use midwatch_broker::{CredentialError, CredentialSource, LoginKind, Upstream};
use midwatch_core::agent::{AgentKind, CredentialKind};
use secrecy::SecretString;

use super::agent::Chosen;
use super::{Finding, Rehearsal};
use crate::environment::Environment;
use crate::problem::Problem;

/// A login that was found.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    /// Its kind.
    pub(crate) kind: CredentialKind,
    /// Where it is. A key of the environment has no id before the server has kept it.
    pub(crate) reference: CredentialRef,
    /// The key, when it stands in the environment.
    pub(crate) secret: Option<SecretString>,
    /// The provider's base URL, when it is not the usual one.
    pub(crate) upstream: Option<String>,
    /// Where it was found, for people.
    pub(crate) from: String,
}

/// A variable with a credential in it, and its kind.
type Variable = (&'static str, CredentialKind);

/// In the order of the CLIs themselves, so that nobody is surprised (measured, claude-code
/// 2.1.197, codex 0.169.0). Claude Code shows a token and a key together; of the two the token is
/// taken, which nobody sets but for a gateway that wants it.
const ANTHROPIC: [Variable; 3] = [
    (TOKEN, CredentialKind::AnthropicToken),
    ("ANTHROPIC_API_KEY", CredentialKind::AnthropicKey),
    ("CLAUDE_CODE_OAUTH_TOKEN", CredentialKind::AnthropicSubscription),
];
const TOKEN: &str = "ANTHROPIC_AUTH_TOKEN";
const OPENAI: [Variable; 2] =
    [("CODEX_API_KEY", CredentialKind::OpenAiKey), ("OPENAI_API_KEY", CredentialKind::OpenAiKey)];
/// Of agents that work with several providers, in the order that we ask them.
const ANY: [Variable; 4] = [
    ("ANTHROPIC_API_KEY", CredentialKind::AnthropicKey),
    ("OPENAI_API_KEY", CredentialKind::OpenAiKey),
    (OPENROUTER_KEY, CredentialKind::OpenAiKey),
    ("GEMINI_API_KEY", CredentialKind::GeminiKey),
];
const OPENROUTER_KEY: &str = "OPENROUTER_API_KEY";
/// Where keys of `OpenRouter` work; it speaks as OpenAI does.
pub(super) const OPENROUTER: &str = "https://openrouter.ai/api/v1";

impl Login {
    pub(super) fn finding(&self, chosen: &Chosen) -> Finding {
        let at = self.upstream.as_deref().map(|url| format!(", at {url}")).unwrap_or_default();
        let kind = self.kind.as_str();
        let text = match self.kind {
            CredentialKind::None => format!("none: {} asks for none{at}", chosen.name),
            CredentialKind::AnthropicKey
            | CredentialKind::AnthropicSubscription
            | CredentialKind::AnthropicToken
            | CredentialKind::OpenAiKey
            | CredentialKind::GeminiKey => format!("{kind} from {}{at}", self.from),
        };
        Finding::new("login", text)
    }
}

/// The rehearsal's key, which works at the rehearsal only.
pub(super) fn rehearsal(rehearsal: &Rehearsal) -> Login {
    Login {
        kind: CredentialKind::AnthropicKey,
        reference: CredentialRef::Stored { id: String::new(), variable: None },
        secret: Some(rehearsal.key.clone()),
        upstream: Some(rehearsal.url.clone()),
        from: "the rehearsal".into(),
    }
}

/// Finds the login of an agent.
pub(crate) fn find(environment: &Environment, chosen: &Chosen) -> Result<Login, Problem> {
    let mut login = match (&chosen.spec.credential, chosen.kind()) {
        (Some(spec), _) => declared(environment, chosen, spec)?,
        (None, AgentKind::ClaudeCode) => claude(environment)?,
        (None, AgentKind::Codex) => codex(environment)?,
        (None, AgentKind::OpenCode) => any(environment, &ANY, chosen)?,
        (None, AgentKind::GeminiCli) => any(environment, &ANY[3..], chosen)?,
        (None, AgentKind::Aider) => any(environment, &ANY[..3], chosen)?,
        (None, AgentKind::QwenCode) => any(environment, &ANY[1..3], chosen)?,
        (None, AgentKind::Custom) => none(),
    };
    let variable = match login.kind {
        CredentialKind::AnthropicKey
        | CredentialKind::AnthropicSubscription
        | CredentialKind::AnthropicToken => "ANTHROPIC_BASE_URL",
        // Its own name for it goes before.
        CredentialKind::OpenAiKey
            if chosen.kind() == AgentKind::Aider
                && environment.text("OPENAI_API_BASE").is_some() =>
        {
            "OPENAI_API_BASE"
        }
        CredentialKind::OpenAiKey => "OPENAI_BASE_URL",
        CredentialKind::GeminiKey => "GOOGLE_GEMINI_BASE_URL",
        CredentialKind::None => return Ok(login),
    };
    let named = chosen.spec.base_url.as_deref().map(|url| ("spec.baseUrl", url));
    // A key of another provider never goes where a variable leads OpenAI's.
    let usual = || environment.text(variable).map(|url| (variable, url));
    let named = named.or_else(|| if login.from == OPENROUTER_KEY { None } else { usual() });
    if let Some((name, url)) = named {
        Upstream::parse(url).map_err(|error| error.of(name))?;
        login.upstream = Some(url.to_owned());
    }
    Ok(login)
}

/// Finds the login of an agent again, for another task with its order: in the variable where it
/// was, else in the usual places. What is found may be of another kind than before.
pub(crate) fn again(environment: &Environment, agent: &AgentRef) -> Result<Login, Problem> {
    let variable = match &agent.credential {
        CredentialRef::Stored { variable, .. } => variable.clone(),
        CredentialRef::None
        | CredentialRef::ClaudeLogin { .. }
        | CredentialRef::CodexLogin { .. } => None,
    };
    let adapter = AgentKind::parse(&agent.adapter);
    let usual =
        |name: &String| ANTHROPIC.iter().chain(&OPENAI).chain(&ANY).any(|(known, _)| known == name);
    // A custom agent has no usual places, and a variable of the user's own is none.
    let credential = match (adapter, &variable) {
        (Some(AgentKind::Custom), variable) => Some(variable.clone()),
        (_, Some(name)) if !usual(name) => Some(Some(name.clone())),
        (_, _) => None,
    };
    let credential =
        credential.map(|variable| CredentialSpec { kind: agent.credential_kind.clone(), variable });
    let spec =
        ProfileSpec { agent: Some(agent.adapter.clone()), credential, ..ProfileSpec::default() };
    let mut login = find(environment, &Chosen { name: agent.profile.clone(), spec })?;
    if login.upstream.is_none() && login.kind.as_str() == agent.credential_kind {
        login.upstream.clone_from(&agent.upstream);
    }
    Ok(login)
}

fn none() -> Login {
    Login {
        kind: CredentialKind::None,
        reference: CredentialRef::None,
        secret: None,
        upstream: None,
        from: String::new(),
    }
}

fn claude(environment: &Environment) -> Result<Login, Problem> {
    if let Some(login) = variables(environment, &ANTHROPIC)? {
        return Ok(login);
    }
    let folder = environment.path("CLAUDE_CONFIG_DIR");
    let folder = folder.unwrap_or_else(|| environment.home().join(".claude"));
    file(
        folder.join(".credentials.json"),
        CredentialSource::ClaudeLoginFile,
        |path| CredentialRef::ClaudeLogin { path },
        "run `claude` and /login, or `claude setup-token` and set CLAUDE_CODE_OAUTH_TOKEN, or set ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN",
    )
}

fn codex(environment: &Environment) -> Result<Login, Problem> {
    if let Some(login) = variables(environment, &OPENAI)? {
        return Ok(login);
    }
    let folder = environment.path("CODEX_HOME");
    let folder = folder.unwrap_or_else(|| environment.home().join(".codex"));
    file(
        folder.join("auth.json"),
        CredentialSource::CodexLoginFile,
        |path| CredentialRef::CodexLogin { path },
        "run `codex login`, or set OPENAI_API_KEY",
    )
}

/// Keys of several providers. Login files of such agents are not read.
fn any(environment: &Environment, known: &[Variable], chosen: &Chosen) -> Result<Login, Problem> {
    if let Some(login) = variables(environment, known)? {
        return Ok(login);
    }
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    Err(Problem::login(
        format!("{} has no key", chosen.name),
        format!("set one of {}", names.join(", ")),
    ))
}

/// What a profile says, with the usual places where it names only a kind.
fn declared(
    environment: &Environment,
    chosen: &Chosen,
    spec: &CredentialSpec,
) -> Result<Login, Problem> {
    let kind = CredentialKind::parse(&spec.kind);
    let kind =
        kind.ok_or_else(|| Problem::internal("a credential kind that was read is unknown"))?;
    if kind == CredentialKind::None {
        return Ok(none());
    }
    if let Some(name) = &spec.variable {
        return match environment.text(name) {
            Some(text) => key(kind, name, text),
            None => Err(Problem::login(
                format!(
                    "{} wants its key in {}, which is not set",
                    chosen.name,
                    midwatch_core::input::shown(name)
                ),
                "set it, or change spec.credential of the profile",
            )),
        };
    }
    let variables_of = ANTHROPIC.iter().chain(&OPENAI).chain(&ANY).filter(|(_, of)| *of == kind);
    for (name, _) in variables_of {
        if let Some(text) = environment.text(name) {
            return key(kind, name, text);
        }
    }
    match kind {
        CredentialKind::AnthropicSubscription => claude(environment),
        CredentialKind::AnthropicToken => {
            Err(Problem::login(format!("there is no {TOKEN}"), "set it"))
        }
        CredentialKind::OpenAiKey => codex(environment),
        CredentialKind::GeminiKey => any(environment, &ANY[3..], chosen),
        CredentialKind::AnthropicKey | CredentialKind::None => {
            Err(Problem::login("there is no ANTHROPIC_API_KEY", "set it"))
        }
    }
}

fn variables(environment: &Environment, known: &[Variable]) -> Result<Option<Login>, Problem> {
    for (name, kind) in known {
        if let Some(text) = environment.text(name) {
            return key(*kind, name, text).map(Some);
        }
    }
    Ok(None)
}

fn key(kind: CredentialKind, name: &str, text: &str) -> Result<Login, Problem> {
    let secret = SecretString::from(text.trim());
    let source = match kind {
        CredentialKind::AnthropicKey => CredentialSource::AnthropicKey(secret.clone()),
        CredentialKind::AnthropicSubscription => {
            CredentialSource::AnthropicSubscription(secret.clone())
        }
        CredentialKind::AnthropicToken => CredentialSource::AnthropicToken(secret.clone()),
        CredentialKind::OpenAiKey => CredentialSource::OpenAiKey(secret.clone()),
        CredentialKind::GeminiKey => CredentialSource::GeminiKey(secret.clone()),
        CredentialKind::None => return Ok(none()),
    };
    source.facts(SystemTime::now()).map_err(|error| {
        Problem::login(
            format!("{name}: {error}"),
            format!("set {name} again, without spaces or line breaks"),
        )
    })?;
    Ok(Login {
        kind,
        reference: CredentialRef::Stored { id: String::new(), variable: Some(name.to_owned()) },
        secret: Some(secret),
        // Its keys work nowhere else.
        upstream: (name == OPENROUTER_KEY).then(|| OPENROUTER.to_owned()),
        from: name.to_owned(),
    })
}

/// The CLI's own login file, which stays where it is.
fn file(
    path: PathBuf,
    source: impl Fn(PathBuf) -> CredentialSource,
    reference: impl Fn(PathBuf) -> CredentialRef,
    login: &str,
) -> Result<Login, Problem> {
    let facts = source(path.clone()).facts(SystemTime::now()).map_err(|error| match error {
        CredentialError::Missing { .. } => Problem::login(
            format!("nobody is logged in: no key is set and there is no {}", path.display()),
            login,
        ),
        CredentialError::Expired { at, .. } => {
            let at = jiff::Timestamp::from_second(at)
                .map_or_else(|_| at.to_string(), |at| at.to_string());
            Problem::login(format!("the login in {} expired at {at}", path.display()), login)
        }
        error @ (CredentialError::Unreadable { .. }
        | CredentialError::NotUnderstood { .. }
        | CredentialError::Malformed) => Problem::login(error.to_string(), login),
    })?;
    let (kind, upstream) = match facts.kind {
        LoginKind::AnthropicKey => (CredentialKind::AnthropicKey, None),
        LoginKind::AnthropicSubscription => (CredentialKind::AnthropicSubscription, None),
        LoginKind::AnthropicToken => (CredentialKind::AnthropicToken, None),
        LoginKind::OpenAiKey => (CredentialKind::OpenAiKey, None),
        LoginKind::GeminiKey => (CredentialKind::GeminiKey, None),
        LoginKind::ChatGpt => (CredentialKind::OpenAiKey, Some(Upstream::CHATGPT.to_owned())),
    };
    let from = path.display().to_string();
    Ok(Login { kind, reference: reference(path), secret: None, upstream, from })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::tests::environment;

    fn chosen(agent: &str) -> Chosen {
        let spec = ProfileSpec { agent: Some(agent.into()), ..ProfileSpec::default() };
        Chosen { name: agent.into(), spec }
    }

    #[test]
    fn logins_are_found_in_the_order_of_the_clis() {
        let home = tempfile::tempdir().unwrap();
        let find = |agent, variables: &[(&str, &str)]| {
            find(&environment(home.path(), variables), &chosen(agent))
        };
        let kind = |agent, variables: &[(&str, &str)]| find(agent, variables).unwrap().kind;
        let (api, token) = (("ANTHROPIC_API_KEY", "sk-a"), ("CLAUDE_CODE_OAUTH_TOKEN", "sk-o"));
        assert_eq!(kind("claude-code", &[api, token]), CredentialKind::AnthropicKey);
        assert_eq!(kind("claude-code", &[token]), CredentialKind::AnthropicSubscription);
        let gateway = ("ANTHROPIC_AUTH_TOKEN", "t");
        assert_eq!(kind("claude-code", &[api, gateway, token]), CredentialKind::AnthropicToken);
        let codex = find("codex", &[("OPENAI_API_KEY", "b"), ("CODEX_API_KEY", "a")]).unwrap();
        assert_eq!(codex.from, "CODEX_API_KEY");
        let (openai, router) = (("OPENAI_API_KEY", "b"), ("OPENROUTER_API_KEY", "r"));
        let gemini = ("GEMINI_API_KEY", "g");
        assert_eq!(kind("opencode", &[openai, api]), CredentialKind::AnthropicKey);
        assert_eq!(kind("aider", &[openai, gemini]), CredentialKind::OpenAiKey);
        assert_eq!(kind("gemini-cli", &[openai, gemini]), CredentialKind::GeminiKey);
        // A key of another provider goes there alone, wherever OpenAI's would go.
        let elsewhere = ("OPENAI_BASE_URL", "https://llm.example.com/v1");
        let routed = find("qwen-code", &[router, elsewhere]).unwrap();
        assert_eq!(routed.upstream.as_deref(), Some(OPENROUTER));
        for agent in ["claude-code", "codex", "opencode", "gemini-cli", "aider", "qwen-code"] {
            let problem = find(agent, &[]).unwrap_err();
            assert_eq!((problem.exit, problem.reason), (6, Some("NeedsLogin")));
        }
        let problem = find("claude-code", &[("ANTHROPIC_API_KEY", "a b canary")]).unwrap_err();
        assert!(problem.exit == 6 && !problem.message.contains("canary"), "{problem:?}");
    }

    #[test]
    fn login_files_say_when_they_expired() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".claude");
        std::fs::create_dir_all(&folder).unwrap();
        let write = |expires: u64| {
            let text = format!(
                r#"{{"claudeAiOauth":{{"accessToken":"sk-ant-oat01-x","expiresAt":{expires}}}}}"#
            );
            std::fs::write(folder.join(".credentials.json"), text).unwrap();
        };
        let environment = environment(home.path(), &[]);
        write(4_102_444_800_000);
        let login = find(&environment, &chosen("claude-code")).unwrap();
        assert_eq!(login.kind, CredentialKind::AnthropicSubscription);
        assert!(
            login.secret.is_none() && matches!(login.reference, CredentialRef::ClaudeLogin { .. })
        );
        write(1000);
        let problem = find(&environment, &chosen("claude-code")).unwrap_err();
        assert!(problem.message.contains("1970-01-01") && problem.exit == 6, "{problem:?}");
        assert!(problem.hint.unwrap().contains("/login"));
    }

    #[test]
    fn base_urls_may_have_a_path_and_must_be_safe() {
        let home = tempfile::tempdir().unwrap();
        let find = |url: &str| {
            let variables = [("ANTHROPIC_API_KEY", "k"), ("ANTHROPIC_BASE_URL", url)];
            find(&environment(home.path(), &variables), &chosen("claude-code"))
        };
        let login = find("https://llm.example.com/anthropic").unwrap();
        assert_eq!(login.upstream.as_deref(), Some("https://llm.example.com/anthropic"));
        for bad in ["http://llm.example.com", "ftp://x", "https://u:p@x", "x"] {
            let problem = find(bad).unwrap_err();
            assert!(
                problem.exit == 2 && problem.message.contains("ANTHROPIC_BASE_URL"),
                "{problem:?}"
            );
        }
    }
}
