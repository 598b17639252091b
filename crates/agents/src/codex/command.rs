//! An order as a command of codex. What is long or secret stands in its configuration file.

use std::collections::BTreeMap;
use std::path::Path;

use midwatch_core::agent::{AgentCommand, AgentOrder, CredentialKind, Session};

use crate::adapter::{self, CommandError};

/// The variable that the provider below reads its key from. `OPENAI_API_KEY` is ignored by the
/// built-in provider, and a name of our own keeps the repository's tests from finding a key.
const KEY: &str = "MIDWATCH_RUN_TOKEN";

/// Tries after the first, of a request and of a stream.
const RETRIES: u32 = 2;
/// How long a stream may say nothing, in milliseconds.
const STREAM_IDLE_MS: u32 = 300_000;

pub(super) fn command(order: &AgentOrder) -> Result<AgentCommand, CommandError> {
    adapter::without_nul("the prompt", &order.prompt)?;
    if order.home.starts_with(Path::new("/tmp")) {
        return Err(CommandError::HomeBelowTmp);
    }
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
    let program = order.program.to_string_lossy();
    let workspace = order.workspace.to_string_lossy();
    let mut argv = vec![
        &*program,
        "exec",
        "--json",
        "--model",
        model,
        // Its own sandbox cannot be built inside ours, and the run would still end with 0.
        "--dangerously-bypass-approvals-and-sandbox",
        // The workspace's repository belongs to another uid than the agent expects.
        "--skip-git-repo-check",
        // Rules that the repository brings are the judged, not the judge.
        "--ignore-rules",
        "--cd",
        &*workspace,
    ];
    match order.session {
        // It makes the id of a new thread itself.
        Session::Fresh { .. } => {}
        Session::Resume { .. } => argv.extend(["resume", session]),
    }
    argv.push("-");
    let argv = argv.into_iter().map(str::to_owned).collect();
    let home = order.home.join(".codex");
    let env = [(KEY, order.run_token.clone()), ("CODEX_HOME", home.to_string_lossy().into_owned())];
    Ok(AgentCommand {
        argv,
        env: env.map(|(name, value)| (name.to_owned(), value)).into(),
        files: BTreeMap::from([(home.join("config.toml"), configuration(order))]),
        stdin: order.prompt.clone(),
    })
}

fn configuration(order: &AgentOrder) -> String {
    let preamble = match adapter::preamble(order) {
        text if text.is_empty() => String::new(),
        text => format!("developer_instructions = {}\n", quoted(&text)),
    };
    let base_url = quoted(&format!("{}/v1", adapter::gateway(order)));
    // project_doc_max_bytes: instruction files of the workspace are not read from where the
    // agent works. web_search: it would run at the provider, past every egress rule.
    format!(
        "{preamble}\
         model_provider = \"midwatch\"\n\
         project_doc_max_bytes = 0\n\
         web_search = \"disabled\"\n\
         check_for_update_on_startup = false\n\
         \n\
         [model_providers.midwatch]\n\
         name = \"midwatch\"\n\
         base_url = {base_url}\n\
         env_key = \"{KEY}\"\n\
         wire_api = \"responses\"\n\
         supports_websockets = false\n\
         request_max_retries = {RETRIES}\n\
         stream_max_retries = {RETRIES}\n\
         stream_idle_timeout_ms = {STREAM_IDLE_MS}\n\
         \n\
         [analytics]\n\
         enabled = false\n\
         \n\
         [shell_environment_policy]\n\
         exclude = [\"{KEY}\"]\n"
    )
}

/// A basic string of TOML: JSON's escapes are its own, save that it takes no raw DEL.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use midwatch_core::agent::AgentKind;

    use super::*;
    use crate::adapter::tests::order;

    #[test]
    fn the_command_holds_no_prompt_and_no_secret() {
        let order = order(AgentKind::Codex);
        let command = command(&order).unwrap();
        insta::assert_debug_snapshot!((&command.argv, &command.env, &command.stdin));
        insta::assert_snapshot!(command.files.values().next().unwrap());
        let shown = format!("{:?} {:?}", command.argv, command.files);
        assert!(!shown.contains("Mend the bug") && !shown.contains(&order.run_token));
    }

    #[test]
    fn a_thread_is_resumed_after_all_flags() {
        let order =
            AgentOrder { session: Session::Resume { id: "t-1".into() }, ..order(AgentKind::Codex) };
        let argv = command(&order).unwrap().argv;
        assert_eq!(argv[argv.len() - 3..], ["resume", "t-1", "-"]);
    }

    #[test]
    fn what_it_cannot_do_is_refused() {
        let good = order(AgentKind::Codex);
        let below_tmp = AgentOrder { home: "/tmp/home".into(), ..good.clone() };
        assert_eq!(command(&below_tmp), Err(CommandError::HomeBelowTmp));
        let key = AgentOrder { credential: CredentialKind::AnthropicKey, ..good.clone() };
        assert!(matches!(command(&key), Err(CommandError::Credential { .. })));
        let nul = AgentOrder { prompt: "a\0".into(), ..good };
        assert_eq!(command(&nul), Err(CommandError::Nul("the prompt")));
    }

    #[test]
    fn text_cannot_leave_its_string() {
        assert_eq!(quoted("a\"\n[x]\u{7f}\\"), r#""a\"\n[x]\u007f\\""#);
    }
}
