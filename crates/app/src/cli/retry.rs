//! `midwatch retry`: the same order under a new name.

use midwatch_api::control::Secret;
use midwatch_api::task::{AgentRef, CredentialRef, TaskOrder};
use secrecy::ExposeSecret as _;

use super::numbered::numbered;
use super::{Context, beside};
use crate::client::Client;
use crate::discover::{Discovery, credential, proxy, server_login};
use crate::environment::Environment;
use crate::output::Ink;
use crate::problem::{Problem, exit};

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
        if let Some(name) = again(context, &client, order, numbered(&self.name, 'r')).await? {
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
    let environment = context.environment.clone();
    let (found, missing) = beside(move || renewed(&environment, order)).await??;
    for name in names {
        if client.get(&name).await.is_ok() {
            continue;
        }
        let submit = found.submit(&name);
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

/// The order with the login and the network as they are now, found as `run` finds them: a server
/// forgets a key with the last task that names it. Where there is no login now, the order keeps
/// the one that it had, and what is missing is told.
fn renewed(
    environment: &Environment,
    mut order: TaskOrder,
) -> Result<(Discovery, Option<Problem>), Problem> {
    let renew = |agent: &mut AgentRef| {
        let login = credential::again(environment, agent)?;
        login.kind.as_str().clone_into(&mut agent.credential_kind);
        agent.credential = login.reference;
        agent.upstream = login.upstream;
        Ok::<_, Problem>(login.secret)
    };
    let (secret, missing) = match renew(&mut order.agent) {
        Ok(secret) => (secret, None),
        Err(problem) => (None, Some(problem)),
    };
    let fallbacks = order.fallbacks.iter_mut();
    let fallback_secrets = fallbacks.map(|agent| renew(agent).ok().flatten()).collect();
    // The network that this machine is in now, which may be another than it was.
    let network = proxy::find(environment)?;
    order.proxy = network.as_ref().map(|found| found.reference.clone());
    let proxy = network.map(|found| found.secret);
    let login = server_login::again(environment, &order.repository);
    let (findings, taken) = (vec![], None);
    let found = Discovery { order, secret, fallback_secrets, proxy, login, findings, taken };
    Ok((found, missing))
}
