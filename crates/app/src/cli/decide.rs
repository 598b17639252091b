//! What people decide about a task: approve, reject, resume, cancel.

use midwatch_api::control::{Command, PauseAll, Submit, ToApprove, Who};
use midwatch_api::task::TaskOrder;
use midwatch_api::view::DecidedOn;

use super::pause::switch_all;
use super::{Context, beside, retry};
use crate::client::Client;
use crate::discover::server_login;
use crate::environment::Environment;
use crate::output::{Ink, approvals};
use crate::problem::{Problem, exit};

/// Lets a held plan or change through
///
/// The approval is of one plan or one commit, and is refused when another has taken its place. Name
/// the one that you looked at, as `midwatch explain` does; without a name it is the one that waits
/// when you ask, which is told. An approval that names nothing is refused by the server.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  midwatch explain fix-login\n  midwatch approve fix-login --plan 0123456789ab\n  midwatch approve fix-login"
)]
pub(super) struct Approve {
    /// The task
    #[arg(value_name = "TASK")]
    pub(super) name: String,

    /// The commit that you looked at, by the first digits of its id, 7 at least
    #[arg(long, value_name = "COMMIT")]
    commit: Option<String>,

    /// The plan that you looked at, by the first digits of its digest, 7 at least
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
        let (commit, plan) = match (self.commit, self.plan) {
            (None, None) => at_hand(context, &self.name).await?,
            named => named,
        };
        let said = |of, id: &Option<String>| id.as_deref().map(|id| approvals::about(of, id));
        let what = said(DecidedOn::Plan, &plan).or_else(|| said(DecidedOn::Commit, &commit));
        let what = what.unwrap_or_default();
        let by = whoever(&context.environment);
        let command = Command::Approve { commit, plan, by };
        hand_over(context, &self.name, &command, &format!("approved: {what}")).await
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
        let code = hand_over(context, &self.name, &command, "being cancelled").await;
        // Of a task that cannot be read nothing can be decided, and what goes on of it is killed.
        if self.now && code.as_ref().map_or_else(|no| no.exit == exit::USAGE, |_| true) {
            let killed = Client::new(&context.environment).kill(&self.name).await?;
            for run in killed {
                context.output.say(&format!("killed {run}"));
            }
        }
        code
    }
}

/// The commit or plan that waits for an approval now, which is told before it is approved. Nothing
/// where nothing waits: the server says how the task stands.
async fn at_hand(
    context: &Context,
    name: &str,
) -> Result<(Option<String>, Option<String>), Problem> {
    let Some(ToApprove { of, id }) = Client::new(&context.environment).get(name).await?.to_approve
    else {
        return Ok((None, None));
    };
    let what = format!("{} {id}", of.noun());
    context.output.say_marked(Ink::Notable, "approves:", &what);
    Ok(match of {
        DecidedOn::Plan => (None, Some(id)),
        DecidedOn::Commit => (Some(id), None),
        // Questions are answered, and never wait here.
        DecidedOn::Question => (None, None),
    })
}

/// Who decides, as far as this machine knows.
pub(super) fn whoever(environment: &Environment) -> Who {
    let name = environment.text("USER").or_else(|| environment.text("LOGNAME"));
    let uid = rustix::process::geteuid().as_raw();
    let by = name.map_or_else(|| format!("uid {uid}"), |name| format!("{name} (uid {uid})"));
    Who::from(by.as_str())
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
