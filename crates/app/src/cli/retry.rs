//! `midwatch retry`: the same order under a new name.

use midwatch_api::control::Submit;
use midwatch_api::task::CredentialRef;
use midwatch_core::agent::CredentialKind;

use super::Context;
use crate::client::Client;
use crate::environment::Environment;
use crate::output::Ink;
use crate::problem::{Problem, exit};

/// How many retries of one task get a name.
const MOST: u32 = 1000;

/// Runs a task's order again, as a new task on the same base
///
/// What ended stays as it is: the new task is called NAME-r2, NAME-r3 and so on.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  midwatch retry fix-login\n  midwatch wait fix-login-r2")]
pub(crate) struct Retry {
    /// The task
    #[arg(value_name = "TASK")]
    pub(super) name: String,
}

impl Retry {
    pub(super) async fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        let client = Client::new(&context.environment);
        let order = client.order(&self.name).await?;
        let view = client.get(&self.name).await?;
        if view.ended_ms.is_none() {
            let state = view.result.state.unwrap_or_default();
            return Err(Problem::usage(
                "TASK",
                &self.name,
                &format!("is not over: it is {state}"),
                "cancel it first, or `midwatch resume` it when it is held",
            ));
        }
        let stem = stem(&self.name);
        for number in 2..MOST {
            let suffix = format!("-r{number}");
            // Names have 63 characters at most.
            let kept: String = stem.chars().take(63 - suffix.len()).collect();
            let name = format!("{}{suffix}", kept.trim_end_matches('-'));
            if client.get(&name).await.is_ok() {
                continue;
            }
            let secret = match &order.agent.credential {
                CredentialRef::Stored { .. } => {
                    variable(&context.environment, &order.agent.credential_kind)
                }
                CredentialRef::None
                | CredentialRef::ClaudeLogin { .. }
                | CredentialRef::CodexLogin { .. } => None,
            };
            let submit = Submit { name: Some(name.clone()), order, secret };
            client.submit(&submit).await?;
            if context.output.is_json() {
                context.output.json(&client.get(&name).await?.result);
            } else {
                context.output.say_marked(
                    Ink::Good,
                    "retried:",
                    &format!("`midwatch wait {name}` follows it"),
                );
                context.output.tell(&name);
            }
            return Ok(exit::FINE);
        }
        Err(Problem::usage("TASK", &self.name, "was retried too often", "submit the goal anew"))
    }
}

/// The key as it is now: a server forgets it with the last task that names it.
fn variable(environment: &Environment, kind: &str) -> Option<String> {
    let names: &[&str] = match CredentialKind::parse(kind)? {
        CredentialKind::AnthropicKey => &["ANTHROPIC_API_KEY"],
        CredentialKind::AnthropicSubscription => &["CLAUDE_CODE_OAUTH_TOKEN"],
        CredentialKind::OpenAiKey => &["CODEX_API_KEY", "OPENAI_API_KEY"],
        CredentialKind::None => &[],
    };
    names.iter().find_map(|name| environment.text(name)).map(|text| text.trim().to_owned())
}

/// The name without the mark of an earlier retry.
fn stem(name: &str) -> &str {
    match name.rsplit_once("-r") {
        Some((stem, number))
            if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) =>
        {
            stem
        }
        Some(_) | None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::stem;

    #[test]
    fn retries_of_retries_count_on() {
        assert_eq!(stem("fix-login"), "fix-login");
        assert_eq!(stem("fix-login-r2"), "fix-login");
        assert_eq!(stem("make-it-run"), "make-it-run");
    }
}
