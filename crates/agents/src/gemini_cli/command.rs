//! An order as a command of gemini-cli. What is long stands in its settings.

use std::collections::BTreeMap;

use midwatch_core::agent::{AgentCommand, AgentOrder, CredentialKind, Session};
use serde_json::{Value, json};

use crate::adapter::{self, CommandError};

/// Attempts in all, where its default is ten. The pause between them is ours to keep.
const ATTEMPTS: u32 = 3;
/// What keeps the repository's settings from it, see there.
const START: &str = include_str!("start.cjs");
/// The file of instructions that it reads from its own folder. By this name, so that none of
/// the repository's own (`GEMINI.md`) is read with it.
const INSTRUCTIONS: &str = "midwatch-preamble.md";

pub(super) fn command(order: &AgentOrder) -> Result<AgentCommand, CommandError> {
    adapter::without_nul("the prompt", &order.prompt)?;
    match order.credential {
        CredentialKind::GeminiKey => {}
        CredentialKind::AnthropicKey
        | CredentialKind::AnthropicSubscription
        | CredentialKind::AnthropicToken
        | CredentialKind::OpenAiKey
        | CredentialKind::None => return Err(adapter::credential_refused(order)),
    }
    let model = adapter::model(order)?;
    let session = adapter::session_id(&order.session)?;
    let own = order.home.join(".gemini");
    let start = order.home.join(".midwatch/gemini.cjs");
    let (program, preload) = (order.program.to_string_lossy(), start.to_string_lossy());
    // As its first line would start it, with one file loaded before.
    let mut argv = vec!["/usr/bin/env", "node", "--require", &*preload, &*program];
    argv.extend(["--output-format", "stream-json", "--model", model, "--approval-mode", "yolo"]);
    argv.extend(match order.session {
        Session::Fresh { .. } => ["--session-id", session],
        Session::Resume { .. } => ["--resume", session],
    });
    let argv = argv.into_iter().map(str::to_owned).collect();
    let mut files = BTreeMap::from([
        (own.join("settings.json"), settings(order).to_string()),
        (start.clone(), START.to_owned()),
        (start.with_file_name("prompt.md"), order.prompt.clone()),
        (own.join("policies/midwatch.toml"), policy(order)),
    ]);
    let preamble = adapter::preamble(order);
    if !preamble.is_empty() {
        files.insert(own.join(INSTRUCTIONS), preamble);
    }
    Ok(AgentCommand { argv, env: environment(order), files, stdin: String::new() })
}

/// Everything is allowed but a search, which would run at the provider, past every egress rule,
/// and what is not to be used.
fn policy(order: &AgentOrder) -> String {
    let mut denied = vec!["google_web_search"];
    if order.read_only {
        // The shell stays, since it searches with it.
        denied.extend(["write_file", "replace"]);
    }
    let denied = Value::from(denied);
    format!("[[rule]]\ntoolName = {denied}\ndecision = \"deny\"\npriority = 900\n")
}

fn settings(order: &AgentOrder) -> Value {
    let mut all = json!({
        "security": {
            "auth": {"selectedType": "gemini-api-key", "enforcedType": "gemini-api-key"},
            "folderTrust": {"enabled": false},
        },
        "general": {
            "maxAttempts": ATTEMPTS,
            "enableAutoUpdate": false,
            "enableAutoUpdateNotification": false,
            "checkpointing": {"enabled": false},
        },
        "privacy": {"usageStatisticsEnabled": false},
        "telemetry": {"enabled": false},
        // What a repository could bring along that runs programs.
        "hooksConfig": {"enabled": false},
        "mcp": {"allowed": ["none"], "serverCommand": ""},
        "admin": {
            "mcp": {"enabled": false},
            "extensions": {"enabled": false},
            "skills": {"enabled": false},
        },
        "skills": {"enabled": false},
        "advanced": {"ignoreLocalEnv": true},
        "tools": {
            "sandbox": false,
            "discoveryCommand": "",
            "callCommand": "",
        },
        "context": {"fileName": INSTRUCTIONS, "loadMemoryFromIncludeDirectories": false},
        "ide": {"enabled": false},
    });
    if let Some(turns) = order.max_turns {
        all["model"] = json!({"maxSessionTurns": turns});
    }
    all
}

fn environment(order: &AgentOrder) -> BTreeMap<String, String> {
    let pairs = [
        ("GEMINI_API_KEY", order.run_token.as_str()),
        ("GOOGLE_GEMINI_BASE_URL", adapter::gateway(order)),
        ("GEMINI_CLI_TRUST_WORKSPACE", "true"),
        // It would start itself a second time, only for a larger heap.
        ("GEMINI_CLI_NO_RELAUNCH", "true"),
        ("GEMINI_SANDBOX", "false"),
        ("GEMINI_TELEMETRY_ENABLED", "false"),
        ("NO_BROWSER", "true"),
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
            command.files.iter().find(|(path, _)| path.ends_with("settings.json")).unwrap();
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_command_holds_no_prompt_and_no_secret() {
        let order = order(AgentKind::GeminiCli);
        let command = command(&order).unwrap();
        insta::assert_debug_snapshot!((&command.argv, &command.env, &command.stdin));
        insta::assert_snapshot!(serde_json::to_string_pretty(&read(&command)).unwrap());
        let shown = format!("{:?}", command.argv);
        assert!(!shown.contains("Mend the bug") && !shown.contains(&order.run_token));
        assert!(!format!("{:?}", command.files).contains(&order.run_token));
    }

    #[test]
    fn its_version_is_asked_as_it_is_started() {
        let order = order(AgentKind::GeminiCli);
        let argv = command(&order).unwrap().argv;
        let asked = adapter::node_version_args(&order);
        assert_eq!((&argv[0], &argv[1]), (&"/usr/bin/env".to_owned(), &asked[0]));
        assert_eq!(asked[1..], ["/opt/agents/bin/agent", "--version"]);
    }

    #[test]
    fn limits_resume_and_read_only_are_said() {
        let order = AgentOrder {
            session: Session::Resume { id: "s-1".into() },
            read_only: true,
            max_turns: Some(7),
            ..order(AgentKind::GeminiCli)
        };
        let command = command(&order).unwrap();
        assert!(command.argv.join(" ").ends_with("--resume s-1"));
        let told = read(&command);
        assert_eq!(told["model"]["maxSessionTurns"], 7);
        assert!(policy(&order).contains("write_file"));
    }

    #[test]
    fn only_its_own_key_is_taken() {
        let order =
            AgentOrder { credential: CredentialKind::OpenAiKey, ..order(AgentKind::GeminiCli) };
        assert!(matches!(command(&order), Err(CommandError::Credential { .. })));
    }
}
