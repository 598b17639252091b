//! An order as a command of aider.

use std::collections::BTreeMap;

use midwatch_core::agent::{AgentCommand, AgentOrder, CredentialKind, Session};

use crate::adapter::{self, CommandError};

/// What starts it: a file of ours beside the interpreter, see there.
const START: &str = include_str!("start.py");
/// The interpreter of its virtual environment stands beside its program. Where that is a link
/// out of the sandbox, whoever made the sandbox names the real one. `-I`: the repository may hold
/// a module named as one of Python's, here or where its own PYTHONPATH points, and none of them
/// is to run in place of what aider is made of. What our variables would say is said by `-u -B`.
const SHELL: &str = r#"exec "${MIDWATCH_AIDER_PYTHON:-$0}" -I -u -B "$@""#;
/// The same for its version; what it would import is named by whoever made the sandbox.
const VERSION: &str = r#"exec "${MIDWATCH_AIDER_PYTHON:-$0}" -I -B -c 'import os, site; place = os.environ.get("MIDWATCH_AIDER_SITE"); place and site.addsitedir(place); import aider; print("aider", aider.__version__)'"#;
/// How long one request may say nothing, in seconds.
const REQUEST_TIMEOUT: &str = "300";

pub(super) fn version_args(order: &AgentOrder) -> Vec<String> {
    vec!["-c".to_owned(), VERSION.to_owned(), python(order)]
}

fn python(order: &AgentOrder) -> String {
    order.program.with_file_name("python").to_string_lossy().into_owned()
}

pub(super) fn command(order: &AgentOrder) -> Result<AgentCommand, CommandError> {
    adapter::without_nul("the prompt", &order.prompt)?;
    let provider = match order.credential {
        CredentialKind::OpenAiKey => "openai",
        CredentialKind::AnthropicKey => "anthropic",
        CredentialKind::AnthropicSubscription
        | CredentialKind::AnthropicToken
        | CredentialKind::GeminiKey
        | CredentialKind::None => return Err(adapter::credential_refused(order)),
    };
    let model = adapter::model(order)?;
    let session = adapter::session_id(&order.session)?;
    let ours = order.home.join(".midwatch");
    let of_session = |end: &str| ours.join(format!("aider-{session}.{end}"));
    let start = ours.join("start.py");
    let prompt = ours.join("prompt.md");
    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let mut argv = vec!["/bin/sh".to_owned(), "-c".to_owned(), SHELL.to_owned(), python(order)];
    argv.push(text(&start));
    // Also for its summaries, where its own choice would be another model.
    for flag in ["--model", "--weak-model"] {
        argv.extend([flag.to_owned(), format!("{provider}/{model}")]);
    }
    for (flag, path) in [
        ("--message-file", prompt.clone()),
        ("--chat-history-file", of_session("md")),
        ("--input-history-file", of_session("history")),
        ("--llm-history-file", of_session("llm")),
    ] {
        argv.extend([flag.to_owned(), text(&path)]);
    }
    let flags = [
        "--timeout",
        REQUEST_TIMEOUT,
        "--yes-always",
        "--no-check-update",
        "--no-show-release-notes",
        "--no-show-model-warnings",
        "--analytics-disable",
        "--no-pretty",
        "--no-fancy-input",
        "--no-detect-urls",
        "--no-suggest-shell-commands",
        // The repository stays as it is but for the change, which is committed by us.
        "--no-gitignore",
        "--no-auto-commits",
        "--no-dirty-commits",
        // The checks are run elsewhere, by us.
        "--no-auto-lint",
        "--no-auto-test",
    ];
    argv.extend(flags.map(str::to_owned));
    match order.session {
        Session::Fresh { .. } => {}
        Session::Resume { .. } => argv.push("--restore-chat-history".to_owned()),
    }
    if order.read_only {
        argv.extend(["--chat-mode".to_owned(), "ask".to_owned()]);
    }
    let mut files = BTreeMap::from([(start, START.to_owned()), (prompt, order.prompt.clone())]);
    let preamble = adapter::preamble(order);
    if !preamble.is_empty() {
        let path = ours.join("preamble.md");
        argv.extend(["--read".to_owned(), text(&path)]);
        files.insert(path, preamble);
    }
    Ok(AgentCommand { argv, env: environment(order), files, stdin: String::new() })
}

fn environment(order: &AgentOrder) -> BTreeMap<String, String> {
    let gateway = adapter::gateway(order);
    let openai = order.credential == CredentialKind::OpenAiKey;
    let (key, base, url) = if openai {
        ("OPENAI_API_KEY", "OPENAI_API_BASE", format!("{gateway}/v1"))
    } else {
        ("ANTHROPIC_API_KEY", "ANTHROPIC_API_BASE", gateway.to_owned())
    };
    let pairs = [
        (key, order.run_token.as_str()),
        (base, &url),
        // Its list of prices comes with it; the newest one is not fetched.
        ("LITELLM_LOCAL_MODEL_COST_MAP", "True"),
        // It wraps what it says at 80 columns, the errors too, and takes both or neither.
        ("COLUMNS", "1000"),
        ("LINES", "25"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("PYTHONUNBUFFERED", "1"),
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
        let order = order(AgentKind::Aider);
        let command = command(&order).unwrap();
        insta::assert_debug_snapshot!((&command.argv, &command.env, &command.stdin));
        let argv = command.argv.join(" ");
        assert!(!argv.contains("Mend the bug") && !argv.contains(&order.run_token));
        let files: Vec<_> = command.files.keys().collect();
        assert!(files.iter().all(|path| path.starts_with("/home/agent/.midwatch")), "{files:?}");
    }

    #[test]
    fn each_credential_has_its_variables_and_no_rival() {
        let env = |credential| {
            let order = AgentOrder { credential, ..order(AgentKind::Aider) };
            command(&order).map(|command| command.env)
        };
        let openai = env(CredentialKind::OpenAiKey).unwrap();
        let anthropic = env(CredentialKind::AnthropicKey).unwrap();
        assert_eq!(openai["OPENAI_API_BASE"], "http://127.0.0.1:8787/v1");
        assert_eq!(anthropic["ANTHROPIC_API_BASE"], "http://127.0.0.1:8787");
        assert!(!openai.contains_key("ANTHROPIC_API_KEY"));
        assert!(!anthropic.contains_key("OPENAI_API_KEY"));
        assert!(matches!(env(CredentialKind::GeminiKey), Err(CommandError::Credential { .. })));
    }

    #[test]
    fn resume_and_read_only_are_said() {
        let order = AgentOrder {
            session: Session::Resume { id: "s-1".into() },
            read_only: true,
            ..order(AgentKind::Aider)
        };
        let argv = command(&order).unwrap().argv.join(" ");
        for part in ["--restore-chat-history", "aider-s-1.md", "--chat-mode ask"] {
            assert!(argv.contains(part), "{part} in {argv}");
        }
    }
}
