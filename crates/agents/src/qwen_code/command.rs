//! An order as a command of qwen-code. What is long stands in its settings.

use std::collections::BTreeMap;

use midwatch_core::agent::{AgentCommand, AgentOrder, CredentialKind, Session};
use serde_json::{Value, json};

use crate::adapter::{self, CommandError};

/// Tries after the first of one request; it tries the whole of it again by itself.
const RETRIES: u32 = 0;
/// How long one request may say nothing, in milliseconds.
const REQUEST_TIMEOUT_MS: u32 = 300_000;
/// What bounds its tries and tells of them, see there.
const START: &str = include_str!("start.cjs");
/// Tools that may work unattended. In a folder that it does not trust all others are taken
/// away; searching the web at a third party is among them.
const ALLOWED: [&str; 6] =
    ["run_shell_command", "write_file", "edit", "notebook_edit", "todo_write", "web_fetch"];
/// Tools that write files. The shell stays, since it searches with it.
const WRITERS: [&str; 3] = ["write_file", "edit", "notebook_edit"];

pub(super) fn command(order: &AgentOrder) -> Result<AgentCommand, CommandError> {
    adapter::without_nul("the prompt", &order.prompt)?;
    match order.credential {
        CredentialKind::OpenAiKey => {}
        CredentialKind::AnthropicKey
        | CredentialKind::AnthropicSubscription
        | CredentialKind::AnthropicToken
        | CredentialKind::GeminiKey
        | CredentialKind::None => return Err(adapter::credential_refused(order)),
    }
    let model = adapter::model(order)?;
    let session = adapter::session_id(&order.session)?;
    let start = order.home.join(".midwatch/qwen.cjs");
    let (program, preload) = (order.program.to_string_lossy(), start.to_string_lossy());
    // As its first line would start it, with one file loaded before.
    let mut argv = vec!["/usr/bin/env", "node", "--require", &*preload, &*program];
    argv.extend(["--output-format", "stream-json", "--model", model]);
    argv.extend(["--auth-type", "openai", "--approval-mode", "default"]);
    argv.extend(match order.session {
        Session::Fresh { .. } => ["--session-id", session],
        Session::Resume { .. } => ["--resume", session],
    });
    let turns = order.max_turns.map(|turns| turns.to_string());
    if let Some(turns) = &turns {
        argv.extend(["--max-session-turns", turns]);
    }
    let argv = argv.into_iter().map(str::to_owned).collect();
    let settings = order.home.join(".midwatch/qwen.json");
    let env = environment(order, &settings.to_string_lossy());
    // Whoever does not trust the folder reads none of its settings, hooks and servers.
    let trust = json!({ order.workspace.to_string_lossy(): "DO_NOT_TRUST" });
    let mut files = BTreeMap::from([
        (settings, self::settings(order).to_string()),
        (order.home.join(".qwen/trustedFolders.json"), trust.to_string()),
        (start.clone(), START.to_owned()),
    ]);
    let preamble = adapter::preamble(order);
    if !preamble.is_empty() {
        files.insert(order.home.join(".qwen/QWEN.md"), preamble);
    }
    Ok(AgentCommand { argv, env, files, stdin: order.prompt.clone() })
}

/// Settings of the system's, which go before all others.
fn settings(order: &AgentOrder) -> Value {
    let allowed: Vec<_> =
        ALLOWED.into_iter().filter(|tool| !order.read_only || !WRITERS.contains(tool)).collect();
    let denied: &[&str] = if order.read_only { &WRITERS } else { &[] };
    json!({
        "security": {
            "auth": {"selectedType": "openai"},
            "folderTrust": {"enabled": true},
        },
        "general": {"enableAutoUpdate": false, "disableAutoUpdate": true},
        "privacy": {"usageStatisticsEnabled": false},
        "telemetry": {"enabled": false},
        "permissions": {"allow": allowed, "deny": denied},
        "model": {"generationConfig": {"maxRetries": RETRIES, "timeout": REQUEST_TIMEOUT_MS}},
        "tools": {"sandbox": false},
        "disableAllHooks": true,
    })
}

fn environment(order: &AgentOrder, settings: &str) -> BTreeMap<String, String> {
    let base_url = format!("{}/v1", adapter::gateway(order));
    let pairs = [
        ("OPENAI_API_KEY", order.run_token.as_str()),
        ("OPENAI_BASE_URL", &base_url),
        ("QWEN_CODE_SYSTEM_SETTINGS_PATH", settings),
        // It would start itself a second time, only for a larger heap.
        ("QWEN_CODE_NO_RELAUNCH", "true"),
        ("QWEN_SANDBOX", "false"),
        ("QWEN_TELEMETRY_ENABLED", "false"),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

#[cfg(test)]
mod tests {
    use midwatch_core::agent::AgentKind;

    use super::*;
    use crate::adapter::tests::order;

    #[test]
    fn the_command_holds_no_prompt_and_no_secret() {
        let order = order(AgentKind::QwenCode);
        let command = command(&order).unwrap();
        insta::assert_debug_snapshot!(command);
        let shown = format!("{:?} {:?}", command.argv, command.files);
        assert!(!shown.contains("Mend the bug") && !shown.contains(&order.run_token));
    }

    #[test]
    fn limits_resume_and_read_only_are_said() {
        let order = AgentOrder {
            session: Session::Resume { id: "s-1".into() },
            read_only: true,
            max_turns: Some(7),
            ..order(AgentKind::QwenCode)
        };
        let argv = command(&order).unwrap().argv.join(" ");
        assert!(argv.ends_with("--resume s-1 --max-session-turns 7"), "{argv}");
        let told = settings(&order);
        assert!(!told["permissions"]["allow"].to_string().contains("write_file"));
        assert!(told["permissions"]["deny"].to_string().contains("write_file"));
    }
}
