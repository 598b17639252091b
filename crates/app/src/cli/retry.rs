//! `midwatch retry`: the same order under a new name.

use midwatch_api::control::{Secret, Submit};
use midwatch_api::task::{AgentRef, CredentialRef, TaskOrder};
use secrecy::{ExposeSecret as _, SecretString};

use super::Context;
use crate::client::Client;
use crate::discover::{credential, proxy, server_login};
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
        if order.agent.rehearsal {
            return Err(Problem::usage(
                "TASK",
                &self.name,
                "was a rehearsal, and its model is gone",
                "`midwatch demo` begins another",
            ));
        }
        if let Some(name) = again(context, &client, order, names(&self.name)).await? {
            tell(context, &client, &name, "retried:").await?;
            return Ok(exit::FINE);
        }
        Err(Problem::usage("TASK", &self.name, "was retried too often", "submit the goal anew"))
    }
}

/// Submits an order of before again, with the login and the network of now, under the first of
/// the names that is free; none when all are taken.
pub(super) async fn again(
    context: &Context,
    client: &Client,
    order: TaskOrder,
    names: impl Iterator<Item = String>,
) -> Result<Option<String>, Problem> {
    let (mut order, secret, missing) = with_login(&context.environment, order);
    // The network that this machine is in now, which may be another than it was.
    let network = proxy::find(&context.environment)?;
    order.proxy = network.as_ref().map(|found| found.reference.clone());
    let network = network.map(|found| found.secret);
    let login = server_login::again(&context.environment, &order.repository);
    for name in names {
        if client.get(&name).await.is_ok() {
            continue;
        }
        let submit = Submit {
            name: Some(name.clone()),
            order,
            secret: secret.map(|secret| secret.expose_secret().to_owned()),
            proxy: network.map(|secret| secret.expose_secret().to_owned()),
            login: login.map(|login| login.handed_over()),
        };
        match (client.submit(&submit).await, missing) {
            (Ok(_), _) => {}
            // Without a login of now, the kept one was tried; it is gone, so what is missing
            // is the login.
            (Err(problem), Some(missing)) if problem.exit == exit::CANNOT => {
                return Err(missing);
            }
            (Err(problem), _) => return Err(problem),
        }
        return Ok(Some(name));
    }
    Ok(None)
}

/// Says what a submitted task is called.
pub(super) async fn tell(
    context: &Context,
    client: &Client,
    name: &str,
    word: &str,
) -> Result<(), Problem> {
    if context.output.is_json() {
        context.output.json(&client.get(name).await?.result);
    } else {
        let text = format!("`midwatch wait {name}` follows it");
        context.output.say_marked(Ink::Good, word, &text);
        context.output.tell(name);
    }
    Ok(())
}

/// The key that is in the environment now, for an agent whose key came from there.
pub(super) fn key_of_now(environment: &Environment, agent: &AgentRef) -> Option<Secret> {
    let CredentialRef::Stored { .. } = agent.credential else { return None };
    let found = credential::again(environment, agent).ok()?;
    found.secret.map(|secret| Secret(secret.expose_secret().to_owned()))
}

/// The order with the login as it is now, found as `run` finds it: a server forgets a key with
/// the last task that names it. Where there is none now, the order as it was, and what is missing.
fn with_login(
    environment: &Environment,
    mut order: TaskOrder,
) -> (TaskOrder, Option<SecretString>, Option<Problem>) {
    let login = match credential::again(environment, &order.agent) {
        Ok(login) => login,
        Err(problem) => return (order, None, Some(problem)),
    };
    login.kind.as_str().clone_into(&mut order.agent.credential_kind);
    order.agent.credential = login.reference;
    order.agent.upstream = login.upstream;
    (order, login.secret, None)
}

/// The names that a retry may get, in order. Names have 63 characters at most.
fn names(of: &str) -> impl Iterator<Item = String> {
    let stem = stem(of);
    (2..MOST).map(move |number| {
        let suffix = format!("-r{number}");
        let kept: String = stem.chars().take(63 - suffix.len()).collect();
        format!("{}{suffix}", kept.trim_end_matches('-'))
    })
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
