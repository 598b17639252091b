//! What people decide about a task: approve, reject, resume, cancel.

use midwatch_api::control::{Command, PauseAll, Submit};
use midwatch_api::task::TaskOrder;

use super::pause::switch_all;
use super::{Context, beside, retry};
use crate::client::Client;
use crate::discover::server_login;
use crate::environment::Environment;
use crate::output::Ink;
use crate::problem::{Problem, exit};

/// Lets a held change through
///
/// The approval is bound to the commit that you looked at: when the task has moved on, it is
/// refused.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  midwatch diff fix-login\n  midwatch approve fix-login")]
pub(super) struct Approve {
    /// The task
    #[arg(value_name = "TASK")]
    pub(super) name: String,

    /// The full id of the commit that you looked at; without it, the one at hand
    #[arg(long, value_name = "COMMIT")]
    commit: Option<String>,

    /// The first digits of the plan that you looked at, 8 at least; without it, the one at hand
    #[arg(long, value_name = "DIGEST", conflicts_with = "commit")]
    plan: Option<String>,
}

/// Sends a held change back with what to do instead, or ends the task
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  midwatch reject fix-login --feedback \"keep the public API as it is\"\n  midwatch reject fix-login"
)]
pub(super) struct Reject {
    /// The task
    #[arg(value_name = "TASK")]
    pub(super) name: String,

    /// What to do instead; without it the task ends, and its work is kept
    #[arg(long, value_name = "TEXT", default_value = "")]
    feedback: String,
}

/// Lets a held or paused task go on now: after a login, or before its limit resets
///
/// Where the task's key came from the environment, the key that is there now takes its place. All
/// tasks that wait for the same login go on with it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  midwatch resume fix-login\n  midwatch resume --all")]
pub(super) struct Resume {
    /// The task
    #[arg(value_name = "TASK", required_unless_present = "all")]
    pub(super) name: Option<String>,

    /// Everything that is paused, and whatever waits to begin
    #[arg(long, conflicts_with = "name")]
    all: bool,
}

/// Stops a task and saves what it did
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  midwatch cancel fix-login\n  midwatch cancel fix-login --now")]
pub(super) struct Cancel {
    /// The task
    #[arg(value_name = "TASK")]
    pub(super) name: String,

    /// Kill its runs at once instead of letting them finish what they are saving; what is in
    /// the workspace is saved all the same
    #[arg(long)]
    now: bool,
}

impl Approve {
    pub(super) async fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        let by = whoever(&context.environment);
        let command = Command::Approve { commit: self.commit, plan: self.plan, by };
        hand_over(context, &self.name, &command, "approved").await
    }
}

impl Reject {
    pub(super) async fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        let by = whoever(&context.environment);
        let command = Command::Reject { feedback: self.feedback, by };
        hand_over(context, &self.name, &command, "rejected").await
    }
}

impl Resume {
    pub(super) async fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        let by = whoever(&context.environment);
        let Some(name) = self.name.filter(|_| !self.all) else {
            return switch_all(context, &PauseAll { paused: false, by }).await;
        };
        let client = Client::new(&context.environment);
        let order = client.order(&name).await?;
        // A key that was rejected is replaced by the one that is in the environment now, also where
        // another agent's reset is what the task waits for.
        let rejected = client.get(&name).await?.needs_login;
        let mut keys = (0..).zip(order.workers()).map(|(at, agent)| {
            rejected.contains(&at).then(|| retry::key_of_now(&context.environment, agent)).flatten()
        });
        let (secret, fallback_secrets) = (keys.next().flatten(), keys.collect());
        renew_login(context, &client, &name, order).await?;
        hand_over(context, &name, &Command::Resume { by, secret, fallback_secrets }, "resumed")
            .await
    }
}

impl Cancel {
    pub(super) async fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        let command = Command::Cancel { by: whoever(&context.environment) };
        let code = hand_over(context, &self.name, &command, "being cancelled").await?;
        if self.now {
            let killed = Client::new(&context.environment).kill(&self.name).await?;
            for run in killed {
                context.output.say(&format!("killed {run}"));
            }
        }
        Ok(code)
    }
}

/// Who decides, as far as this machine knows.
pub(super) fn whoever(environment: &Environment) -> String {
    let name = environment.text("USER").or_else(|| environment.text("LOGNAME"));
    let uid = rustix::process::geteuid().as_raw();
    name.map_or_else(|| format!("uid {uid}"), |name| format!("{name} (uid {uid})"))
}

/// Hands the login at the repository's server over anew: a task may be held because the one that
/// it came with is not good any more.
async fn renew_login(
    context: &Context,
    client: &Client,
    name: &str,
    order: TaskOrder,
) -> Result<(), Problem> {
    let environment = context.environment.clone();
    let repository = order.repository.clone();
    let found = beside(move || server_login::again(&environment, &repository)).await?;
    if let Some(login) = found {
        // The same order under the same name attaches, and what it brings is kept.
        let (name, login) = (Some(name.to_owned()), Some(login.handed_over()));
        let (secret, fallback_secrets, proxy) = (None, vec![], None);
        let submit = Submit { name, order, secret, fallback_secrets, proxy, login };
        client.submit(&submit).await?;
    }
    Ok(())
}

pub(super) async fn hand_over(
    context: &Context,
    name: &str,
    command: &Command,
    done: &str,
) -> Result<u8, Problem> {
    let client = Client::new(&context.environment);
    client.command(name, command).await?;
    let view = client.get(name).await?;
    if context.output.is_json() {
        context.output.json(&view.result);
    } else {
        context.output.say_marked(Ink::Good, "ok:", &format!("{name} is {done}"));
        context.output.say(&format!("`midwatch wait {name}` follows it"));
    }
    Ok(exit::FINE)
}
