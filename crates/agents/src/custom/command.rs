//! A declared command with its placeholders filled in.

use std::collections::BTreeMap;

use midwatch_core::agent::{
    AgentCommand, AgentOrder, CredentialKind, CustomAgent, PromptBy, Session,
};

use crate::adapter::{self, ARGUMENT_LIMIT, CommandError};

pub(super) fn takes_session(custom: &CustomAgent) -> bool {
    custom.argv.iter().any(|word| word.contains("{session}"))
}

pub(super) fn command(order: &AgentOrder) -> Result<AgentCommand, CommandError> {
    let custom = order.custom.as_ref().ok_or(CommandError::NotDeclared)?;
    if custom.argv.first().is_none_or(String::is_empty) {
        return Err(CommandError::NotDeclared);
    }
    custom.argv.iter().try_for_each(|word| adapter::without_nul("the command", word))?;
    let prompt = whole_prompt(order);
    adapter::without_nul("the prompt", &prompt)?;
    let takes = |placeholder: &'static str| {
        let found = custom.argv.iter().any(|word| word.contains(placeholder));
        if found { Ok(()) } else { Err(CommandError::Placeholder(placeholder)) }
    };
    if takes("{model}").is_ok() {
        adapter::model(order)?;
    }
    let session = adapter::session_id(&order.session)?;
    match order.session {
        Session::Fresh { .. } => {}
        Session::Resume { .. } if takes_session(custom) => {}
        Session::Resume { .. } => return Err(CommandError::CannotResume),
    }
    let prompt_file = order.home.join(".midwatch/prompt.md");
    let mut command = AgentCommand { env: environment(order, custom), ..AgentCommand::default() };
    let mut argument = "";
    match custom.prompt_by {
        PromptBy::Stdin => command.stdin.clone_from(&prompt),
        PromptBy::File => {
            takes("{prompt_file}")?;
            command.files.insert(prompt_file.clone(), prompt.clone());
        }
        PromptBy::Argument => {
            takes("{prompt}")?;
            if prompt.len() > ARGUMENT_LIMIT {
                return Err(CommandError::PromptTooLong(prompt.len()));
            }
            argument = &prompt;
        }
    }
    let prompt_file = prompt_file.to_string_lossy();
    let values = [
        ("{prompt_file}", &*prompt_file),
        ("{prompt}", argument),
        ("{model}", order.model.as_deref().unwrap_or_default()),
        ("{session}", session),
    ];
    command.argv = custom.argv.iter().map(|word| fill(word, &values)).collect();
    Ok(command)
}

/// It has no system prompt that we know of: the standing instructions come first.
fn whole_prompt(order: &AgentOrder) -> String {
    match adapter::preamble(order) {
        preamble if preamble.is_empty() => order.prompt.clone(),
        preamble => format!("{preamble}\n\n{}", order.prompt),
    }
}

/// Replaces in one pass, so that a value that looks like a placeholder stays as it is.
fn fill(word: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = word;
    'next: while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        for (name, value) in values {
            if let Some(tail) = rest.strip_prefix(name) {
                out.push_str(value);
                rest = tail;
                continue 'next;
            }
        }
        out.push('{');
        rest = &rest[1..];
    }
    out.push_str(rest);
    out
}

/// The gateway by the names that most clients read, with the credential's kind deciding which.
/// What the profile declares comes on top, but never in the place of these.
fn environment(order: &AgentOrder, custom: &CustomAgent) -> BTreeMap<String, String> {
    let gateway = adapter::gateway(order);
    let ours = match order.credential {
        CredentialKind::AnthropicKey => {
            vec![
                ("ANTHROPIC_BASE_URL", gateway.to_owned()),
                ("ANTHROPIC_API_KEY", order.run_token.clone()),
            ]
        }
        CredentialKind::AnthropicSubscription => vec![
            ("ANTHROPIC_BASE_URL", gateway.to_owned()),
            ("CLAUDE_CODE_OAUTH_TOKEN", order.run_token.clone()),
        ],
        CredentialKind::AnthropicToken => vec![
            ("ANTHROPIC_BASE_URL", gateway.to_owned()),
            ("ANTHROPIC_AUTH_TOKEN", order.run_token.clone()),
        ],
        CredentialKind::OpenAiKey => vec![
            ("OPENAI_BASE_URL", format!("{gateway}/v1")),
            // The older name of the same.
            ("OPENAI_API_BASE", format!("{gateway}/v1")),
            ("OPENAI_API_KEY", order.run_token.clone()),
        ],
        CredentialKind::GeminiKey => vec![
            ("GOOGLE_GEMINI_BASE_URL", gateway.to_owned()),
            ("GEMINI_API_KEY", order.run_token.clone()),
        ],
        CredentialKind::None => Vec::new(),
    };
    let mut env = custom.env.clone();
    env.extend(ours.into_iter().map(|(name, value)| (name.to_owned(), value)));
    env
}

#[cfg(test)]
mod tests {
    use midwatch_core::agent::AgentKind;

    use super::*;
    use crate::adapter::tests::order;

    fn custom(argv: &[&str], prompt_by: PromptBy) -> AgentOrder {
        AgentOrder {
            custom: Some(CustomAgent {
                argv: argv.iter().map(|word| (*word).to_owned()).collect(),
                prompt_by,
                env: BTreeMap::from([("COLOUR".to_owned(), "no".to_owned())]),
                mapping: None,
            }),
            ..order(AgentKind::Custom)
        }
    }

    #[test]
    fn placeholders_are_filled_once() {
        let mut order =
            custom(&["my-agent", "--model={model}", "{prompt}", "{x}{"], PromptBy::Argument);
        order.prompt = "say {model}".into();
        order.preamble = String::new();
        let command = command(&order).unwrap();
        assert_eq!(command.argv, ["my-agent", "--model=model-1", "say {model}", "{x}{"]);
        assert_eq!((command.stdin.as_str(), command.files.len()), ("", 0));
        assert_eq!(command.env["COLOUR"], "no");
    }

    #[test]
    fn the_prompt_goes_by_file_or_stdin_and_not_by_argv() {
        let by_file = command(&custom(&["a", "{prompt_file}"], PromptBy::File)).unwrap();
        assert_eq!(by_file.argv[1], "/home/agent/.midwatch/prompt.md");
        assert!(by_file.files.values().next().unwrap().ends_with("Mend the bug."));
        let by_stdin = command(&custom(&["a"], PromptBy::Stdin)).unwrap();
        assert!(by_stdin.stdin.ends_with("Mend the bug.") && by_stdin.files.is_empty());
    }

    #[test]
    fn a_declaration_that_cannot_work_is_refused() {
        let refused = |order: &AgentOrder| command(order).unwrap_err();
        assert_eq!(refused(&order(AgentKind::Custom)), CommandError::NotDeclared);
        assert_eq!(refused(&custom(&[], PromptBy::Stdin)), CommandError::NotDeclared);
        assert_eq!(
            refused(&custom(&["a"], PromptBy::File)),
            CommandError::Placeholder("{prompt_file}")
        );
        assert_eq!(refused(&custom(&["a\0"], PromptBy::Stdin)), CommandError::Nul("the command"));
        let mut order = custom(&["a", "{prompt}"], PromptBy::Argument);
        order.prompt = "x".repeat(ARGUMENT_LIMIT);
        assert!(matches!(refused(&order), CommandError::PromptTooLong(_)));
        order.prompt = "x".into();
        order.session = Session::Resume { id: "s".into() };
        assert_eq!(refused(&order), CommandError::CannotResume);
    }

    #[test]
    fn a_profile_cannot_take_the_place_of_the_gateway() {
        let mut order = custom(&["a"], PromptBy::Stdin);
        order.credential = CredentialKind::OpenAiKey;
        let declared = order.custom.as_mut().unwrap();
        declared.env.insert("OPENAI_BASE_URL".into(), "http://elsewhere".into());
        let env = command(&order).unwrap().env;
        assert_eq!(env["OPENAI_BASE_URL"], "http://127.0.0.1:8787/v1");
        assert_eq!(env["OPENAI_API_KEY"], order.run_token);
    }
}
