//! An order as a command of Claude Code.

use std::collections::BTreeMap;

use midwatch_core::agent::{AgentCommand, AgentOrder, CredentialKind, Session};

use crate::adapter::{self, CommandError};

/// Tries after the first. The CLI's default of 10 is three silent minutes on a bad key; the
/// pause between tries is ours to keep.
const RETRIES: &str = "2";
/// How long one request may take until its first byte, in milliseconds; the CLI's default is
/// ten minutes, and it is waited out at every retry.
const REQUEST_TIMEOUT_MS: &str = "300000";
/// Tools that take the work out of the workspace, outlive the run, or search the web at the
/// provider, past every egress rule. Fetching goes through our proxy, so that one stays.
const NEVER: &str =
    "EnterWorktree,ExitWorktree,CronCreate,CronDelete,CronList,ScheduleWakeup,WebSearch";
/// Tools that write files. The shell stays, since this version searches with it.
const WRITERS: &str = ",Write,Edit,NotebookEdit";

pub(super) fn command(order: &AgentOrder) -> Result<AgentCommand, CommandError> {
    adapter::without_nul("the prompt", &order.prompt)?;
    let model = adapter::model(order)?;
    let session = adapter::session_id(&order.session)?;
    let mut argv: Vec<String> = Vec::new();
    let mut add = |words: &[&str]| argv.extend(words.iter().map(|word| (*word).to_owned()));
    add(&[&order.program.to_string_lossy(), "-p", "--output-format", "stream-json", "--verbose"]);
    match order.session {
        Session::Fresh { .. } => add(&["--session-id", session]),
        Session::Resume { .. } => add(&["--resume", session]),
    }
    add(&["--model", model, "--dangerously-skip-permissions"]);
    // The repository's own settings, hooks and MCP servers are the judged, not the judge.
    add(&["--setting-sources", "user", "--strict-mcp-config"]);
    let writers = if order.read_only { WRITERS } else { "" };
    add(&[&format!("--disallowedTools={NEVER}{writers}")]);
    if let Some(turns) = order.max_turns {
        add(&["--max-turns", &turns.to_string()]);
    }
    if let Some(cents) = order.max_cost_cents {
        add(&["--max-budget-usd", &format!("{}.{:02}", cents / 100, cents % 100)]);
    }
    let mut files = BTreeMap::new();
    let preamble = adapter::preamble(order);
    if !preamble.is_empty() {
        // Not remembered by a session: given at every start.
        let path = order.home.join(".midwatch/preamble.md");
        add(&["--append-system-prompt-file", &path.to_string_lossy()]);
        files.insert(path, preamble);
    }
    Ok(AgentCommand { argv, env: environment(order)?, files, stdin: order.prompt.clone() })
}

fn environment(order: &AgentOrder) -> Result<BTreeMap<String, String>, CommandError> {
    // Exactly one of the three: with a key and a token, it sends both headers.
    let credential = match order.credential {
        CredentialKind::AnthropicKey => "ANTHROPIC_API_KEY",
        CredentialKind::AnthropicSubscription => "CLAUDE_CODE_OAUTH_TOKEN",
        CredentialKind::AnthropicToken => "ANTHROPIC_AUTH_TOKEN",
        CredentialKind::OpenAiKey | CredentialKind::GeminiKey | CredentialKind::None => {
            return Err(adapter::credential_refused(order));
        }
    };
    let temporary = order.home.join(".tmp");
    let pairs = [
        (credential, order.run_token.as_str()),
        ("ANTHROPIC_BASE_URL", adapter::gateway(order)),
        ("CLAUDE_CODE_MAX_RETRIES", RETRIES),
        ("API_TIMEOUT_MS", REQUEST_TIMEOUT_MS),
        // Also its updater, its error reports and its titles.
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
        // Its default below /tmp fails every shell call where /tmp is read-only, with exit 0.
        ("CLAUDE_CODE_TMPDIR", &temporary.to_string_lossy()),
    ];
    Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
}

#[cfg(test)]
mod tests {
    use midwatch_core::agent::AgentKind;

    use super::*;
    use crate::adapter::tests::order;

    #[test]
    fn the_command_holds_no_prompt_and_no_secret() {
        let order = order(AgentKind::ClaudeCode);
        let command = command(&order).unwrap();
        insta::assert_debug_snapshot!(command);
        let argv = command.argv.join(" ");
        assert!(!argv.contains("Mend the bug") && !argv.contains(&order.run_token));
    }

    #[test]
    fn the_credential_follows_its_kind_and_has_no_rival() {
        for (kind, name, rival) in [
            (CredentialKind::AnthropicKey, "ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"),
            (CredentialKind::AnthropicSubscription, "CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY"),
            (CredentialKind::AnthropicToken, "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"),
        ] {
            let order = AgentOrder { credential: kind, ..order(AgentKind::ClaudeCode) };
            let env = command(&order).unwrap().env;
            assert_eq!((env.get(name), env.get(rival)), (Some(&order.run_token), None));
        }
        let order =
            AgentOrder { credential: CredentialKind::OpenAiKey, ..order(AgentKind::ClaudeCode) };
        assert!(matches!(command(&order), Err(CommandError::Credential { .. })));
    }

    #[test]
    fn limits_resume_and_read_only_are_said() {
        let order = AgentOrder {
            session: Session::Resume { id: "abc-1".into() },
            read_only: true,
            max_turns: Some(7),
            max_cost_cents: Some(250),
            preamble: String::new(),
            ..order(AgentKind::ClaudeCode)
        };
        let command = command(&order).unwrap();
        let argv = command.argv.join(" ");
        for part in ["--resume abc-1", "--max-turns 7", "--max-budget-usd 2.50", ",Write,Edit,"] {
            assert!(argv.contains(part), "{part} in {argv}");
        }
        assert!(command.files.values().any(|text| text == adapter::READ_ONLY));
    }

    #[test]
    fn what_would_be_taken_for_an_option_is_refused() {
        let mut order = order(AgentKind::ClaudeCode);
        order.model = Some("--help".into());
        assert_eq!(command(&order), Err(CommandError::Model("--help".into())));
        order.model = None;
        assert_eq!(command(&order), Err(CommandError::ModelMissing("claude-code")));
        order.model = Some("claude-x".into());
        order.session = Session::Resume { id: "--help".into() };
        assert_eq!(command(&order), Err(CommandError::Session("--help".into())));
    }
}
