//! An order as a command of opencode. What is long stands in its configuration file.

use std::collections::BTreeMap;

use midwatch_core::agent::{AgentCommand, AgentOrder, CredentialKind, Session};
use serde_json::{Value, json};

use crate::adapter::{self, CommandError};

/// The variable that the configuration reads the key from: a name of our own, so that nothing
/// else in the sandbox takes it for a key.
const KEY: &str = "MIDWATCH_RUN_TOKEN";
/// The only provider that is enabled: the gateway.
const PROVIDER: &str = "midwatch";
/// How long one request may say nothing, in milliseconds. Its own default is to wait for ever.
const REQUEST_TIMEOUT_MS: u32 = 300_000;

pub(super) fn command(order: &AgentOrder) -> Result<AgentCommand, CommandError> {
    adapter::without_nul("the prompt", &order.prompt)?;
    let wire = Wire::of(order)?;
    let model = adapter::model(order)?;
    let session = adapter::session_id(&order.session)?;
    let named = format!("{PROVIDER}/{model}");
    let program = order.program.to_string_lossy();
    let mut argv = vec![&*program, "run", "--format", "json", "--model", &named];
    // Its stream says nothing of the tries after the first; its log on stderr does.
    argv.extend(["--print-logs", "--log-level", "ERROR"]);
    match order.session {
        // It makes the id of a new session itself.
        Session::Fresh { .. } => {}
        Session::Resume { .. } => argv.extend(["--session", session]),
    }
    let argv = argv.into_iter().map(str::to_owned).collect();

    let mut files = BTreeMap::new();
    let preamble = adapter::preamble(order);
    let instructions = if preamble.is_empty() {
        Vec::new()
    } else {
        let path = order.home.join(".midwatch/preamble.md");
        let told = path.to_string_lossy().into_owned();
        files.insert(path, preamble);
        vec![told]
    };
    let configuration = order.home.join(".midwatch/opencode.json");
    let env = environment(order, &configuration.to_string_lossy());
    files.insert(configuration, self::configuration(order, wire, model, &instructions).to_string());
    Ok(AgentCommand { argv, env, files, stdin: order.prompt.clone() })
}

/// How the gateway is spoken to: one of the clients that are built into opencode, so that none
/// is fetched from a registry.
#[derive(Debug, Clone, Copy)]
enum Wire {
    Anthropic,
    /// The one that `OpenAI` serves its codex models by, and no other.
    Responses,
    Chat,
    Gemini,
}

impl Wire {
    fn of(order: &AgentOrder) -> Result<Self, CommandError> {
        match order.credential {
            CredentialKind::AnthropicKey => Ok(Self::Anthropic),
            CredentialKind::OpenAiKey if order.model.as_deref().is_some_and(is_codex) => {
                Ok(Self::Responses)
            }
            CredentialKind::OpenAiKey => Ok(Self::Chat),
            CredentialKind::GeminiKey => Ok(Self::Gemini),
            // Anthropic lets its subscriptions be used by its own CLI only.
            CredentialKind::AnthropicSubscription
            | CredentialKind::AnthropicToken
            | CredentialKind::None => Err(adapter::credential_refused(order)),
        }
    }

    const fn package(self) -> &'static str {
        match self {
            Self::Anthropic => "@ai-sdk/anthropic",
            Self::Responses => "@ai-sdk/openai",
            Self::Chat => "@ai-sdk/openai-compatible",
            Self::Gemini => "@ai-sdk/google",
        }
    }

    /// What a conversation and an answer may hold, in tokens: what every current model of the
    /// kind takes. It shortens a conversation that comes near.
    fn limits(self) -> Value {
        match self {
            Self::Anthropic => json!({"context": 200_000, "output": 32_000}),
            Self::Gemini => json!({"context": 1_000_000, "output": 64_000}),
            Self::Responses | Self::Chat => json!({"context": 128_000, "output": 16_000}),
        }
    }
}

/// A name with a maker before it is another provider's.
fn is_codex(model: &str) -> bool {
    !model.contains('/') && (model.starts_with("codex-") || model.contains("-codex"))
}

fn configuration(order: &AgentOrder, wire: Wire, model: &str, instructions: &[String]) -> Value {
    let version = match wire {
        Wire::Anthropic | Wire::Responses | Wire::Chat => "v1",
        Wire::Gemini => "v1beta",
    };
    let base_url = format!("{}/{version}", adapter::gateway(order));
    // Nobody could answer a question, and searches would run at a third party.
    let mut permission =
        json!({"*": "allow", "question": "deny", "websearch": "deny", "codesearch": "deny"});
    if order.read_only {
        // All tools that change files; the shell stays, since it searches with it.
        permission["edit"] = "deny".into();
    }
    let mut all = json!({
        "model": format!("{PROVIDER}/{model}"),
        "small_model": format!("{PROVIDER}/{model}"),
        "enabled_providers": [PROVIDER],
        "provider": {PROVIDER: {
            "name": PROVIDER,
            "npm": wire.package(),
            "options": {
                "baseURL": base_url,
                "apiKey": format!("{{env:{KEY}}}"),
                "timeout": REQUEST_TIMEOUT_MS,
            },
            "models": {model: {
                "name": model,
                "tool_call": true,
                "temperature": false,
                "limit": wire.limits(),
            }},
        }},
        "permission": permission,
        "instructions": instructions,
        "autoupdate": false,
        "share": "disabled",
        // The workspace is saved by us; its own copies would be in the home.
        "snapshot": false,
    });
    if let Some(turns) = order.max_turns {
        all["agent"] = json!({"build": {"steps": turns}});
    }
    all
}

fn environment(order: &AgentOrder, configuration: &str) -> BTreeMap<String, String> {
    let pairs = [
        (KEY, order.run_token.as_str()),
        ("OPENCODE_CONFIG", configuration),
        // The repository's own settings, agents and commands are the judged, not the judge.
        ("OPENCODE_DISABLE_PROJECT_CONFIG", "1"),
        ("OPENCODE_DISABLE_CLAUDE_CODE", "1"),
        ("OPENCODE_DISABLE_EXTERNAL_SKILLS", "1"),
        ("OPENCODE_PURE", "1"),
        ("OPENCODE_DISABLE_DEFAULT_PLUGINS", "1"),
        // Nothing is fetched beside the model.
        ("OPENCODE_DISABLE_MODELS_FETCH", "1"),
        ("OPENCODE_DISABLE_LSP_DOWNLOAD", "1"),
        ("OPENCODE_DISABLE_AUTOUPDATE", "1"),
        ("OPENCODE_DISABLE_SHARE", "1"),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

#[cfg(test)]
mod tests {
    use midwatch_core::agent::AgentKind;

    use super::*;
    use crate::adapter::tests::order;

    fn read(command: &AgentCommand) -> Value {
        let (_, text) =
            command.files.iter().find(|(path, _)| path.ends_with("opencode.json")).unwrap();
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_command_holds_no_prompt_and_no_secret() {
        let order = order(AgentKind::OpenCode);
        let command = command(&order).unwrap();
        insta::assert_debug_snapshot!((&command.argv, &command.env, &command.stdin));
        insta::assert_snapshot!(serde_json::to_string_pretty(&read(&command)).unwrap());
        let shown = format!("{:?} {:?}", command.argv, command.files);
        assert!(!shown.contains("Mend the bug") && !shown.contains(&order.run_token));
    }

    #[test]
    fn each_credential_has_its_client() {
        let client = |credential, model: &str| {
            let order =
                AgentOrder { credential, model: Some(model.into()), ..order(AgentKind::OpenCode) };
            command(&order).map(|command| read(&command)["provider"][PROVIDER]["npm"].clone())
        };
        let openai = CredentialKind::OpenAiKey;
        assert_eq!(client(CredentialKind::AnthropicKey, "m").unwrap(), "@ai-sdk/anthropic");
        assert_eq!(client(openai, "gpt-5-codex").unwrap(), "@ai-sdk/openai");
        assert_eq!(client(openai, "z/m-codex").unwrap(), "@ai-sdk/openai-compatible");
        assert_eq!(client(CredentialKind::GeminiKey, "gemini-x").unwrap(), "@ai-sdk/google");
        for kind in [CredentialKind::AnthropicSubscription, CredentialKind::None] {
            assert!(matches!(client(kind, "m"), Err(CommandError::Credential { .. })));
        }
    }

    #[test]
    fn limits_resume_and_read_only_are_said() {
        let order = AgentOrder {
            session: Session::Resume { id: "ses_1".into() },
            read_only: true,
            max_turns: Some(7),
            ..order(AgentKind::OpenCode)
        };
        let command = command(&order).unwrap();
        assert!(command.argv.join(" ").ends_with("--session ses_1"));
        let told = read(&command);
        assert_eq!(told["permission"]["edit"], "deny");
        assert_eq!(told["agent"]["build"]["steps"], 7);
    }
}
