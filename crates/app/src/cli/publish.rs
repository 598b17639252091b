//! `midwatch publish`: a change that is held although its checks passed is handed over.

use midwatch_api::control::{Command, TaskView};
use midwatch_core::reason::HoldReason;

use super::Context;
use super::decide::whoever;
use crate::client::Client;
use crate::output::Ink;
use crate::problem::{Problem, exit};

/// Hands over a verified change that waits for approval
///
/// The same as `approve`, but only for a commit whose checks passed here: without evidence nothing
/// is published. It is of one commit, and refused when another has taken its place.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  midwatch diff fix-login\n  midwatch publish fix-login\n\nExit codes: 0 it is being handed over, or was already; 2 it cannot be."
)]
pub(super) struct Publish {
    /// The task
    #[arg(value_name = "TASK")]
    pub(super) name: String,

    /// The commit that you looked at, by the first digits of its id, 7 at least; without it, the one
    /// that waits when you ask
    #[arg(long, value_name = "COMMIT")]
    commit: Option<String>,
}

impl Publish {
    pub(super) async fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        let client = Client::new(&context.environment);
        let view = client.get(&self.name).await?;
        if view.result.state.as_deref() == Some("Done") {
            let branch = view.result.branch.as_deref().unwrap_or("its branch");
            let text = format!("{} has landed already: {branch}", self.name);
            return Ok(told(context, &view, &text));
        }
        let commit = publishable(&self.name, &view)?;
        let commit = self.commit.unwrap_or(commit);
        let by = whoever(&context.environment);
        client
            .command(&self.name, &Command::Approve { commit: Some(commit), plan: None, by })
            .await?;
        let view = client.get(&self.name).await?;
        let text = format!("{0} is being handed over; `midwatch wait {0}` follows it", self.name);
        Ok(told(context, &view, &text))
    }
}

fn told(context: &Context, view: &TaskView, text: &str) -> u8 {
    if context.output.is_json() {
        context.output.json(&view.result);
    } else {
        context.output.say_marked(Ink::Good, "ok:", text);
    }
    exit::FINE
}

/// The verified commit of a task that waits for somebody; or why there is none.
fn publishable(name: &str, view: &TaskView) -> Result<String, Problem> {
    let bad = |rule: &str, fix: &str| Err(Problem::usage("TASK", name, rule, fix));
    let result = &view.result;
    let state = result.state.as_deref().unwrap_or_default();
    let reason = result.reason.as_deref().unwrap_or_default();
    match (state, &result.commit) {
        ("Held", Some(commit)) if reason == HoldReason::Approval.as_str() && result.verified => {
            Ok(commit.clone())
        }
        ("Held", _) if reason == HoldReason::Approval.as_str() => bad(
            "has no verified commit yet, and nothing else is published",
            "`midwatch approve` answers what it waits for",
        ),
        ("Held", _) => bad(
            &format!("is held by {reason}, not for approval"),
            &format!("`midwatch explain {name}` says what it waits for"),
        ),
        ("Unverified", _) => bad(
            "was never checked, and only verified work is published",
            "run it again with a check",
        ),
        ("Queued" | "Running", _) => {
            bad("goes on, and is handed over by itself", &format!("`midwatch wait {name}`"))
        }
        _ => bad(
            &format!("ended {state}: there is nothing to hand over"),
            &format!(
                "`midwatch open {name}` shows what was saved, `midwatch retry {name}` tries again"
            ),
        ),
    }
}
