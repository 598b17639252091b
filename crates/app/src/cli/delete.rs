//! `midwatch delete`: a task that is over is forgotten, an object taken away.

use midwatch_api::control::{Command, Deleted, FollowFrom, Who};
use midwatch_api::kind::Kind;
use midwatch_api::view::LINE_VERSION;

use super::Context;
use super::decide::whoever;
use crate::client::Client;
use crate::output::Ink;
use crate::problem::{Problem, exit};

/// Forgets a task that is over, or takes an object away
///
/// Logs and transcripts of the task are removed. Its branch and what was saved of its work stay,
/// and it is said where. Tasks that were made with a profile, pipeline or repository go on.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  midwatch delete fix-login\n  midwatch delete fix-login --cancel\n  midwatch delete profile fast\n\nExit codes: 0 deleted, 2 there is none, or it is open."
)]
pub(crate) struct Delete {
    /// A task; or a kind (task, profile, pipeline, repository) and a name
    #[arg(value_name = "[KIND] NAME", num_args = 1..=2, required = true)]
    words: Vec<String>,

    /// Cancel the task first, and wait until its work is saved
    #[arg(long)]
    cancel: bool,
}

/// A kind and a name; one word alone is a task's.
pub(super) fn target(words: &[String]) -> Result<(Kind, &str), Problem> {
    match words {
        [name] => Ok((Kind::Task, name)),
        [kind, name] => {
            let kind = Kind::spoken(kind).ok_or_else(|| {
                let known = Kind::ALL.map(Kind::plural).join(", ");
                Problem::usage("KIND", kind, "is unknown", &format!("known: {known}"))
            })?;
            Ok((kind, name))
        }
        _ => Err(Problem::usage("NAME", "", "is required", "name what is meant")),
    }
}

/// The task that is meant, when it is one.
pub(super) fn task_of(words: &[String]) -> Option<&str> {
    match target(words) {
        Ok((Kind::Task, name)) => Some(name),
        Ok((Kind::Profile | Kind::Pipeline | Kind::Repository, _)) | Err(_) => None,
    }
}

impl Delete {
    pub(super) fn task(&self) -> Option<&str> {
        task_of(&self.words)
    }

    pub(super) async fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        let client = Client::new(&context.environment);
        let (kind, name) = target(&self.words)?;
        let deleted = match kind {
            Kind::Task => {
                let by = whoever(&context.environment);
                if self.cancel {
                    end(&client, name, &by).await?;
                }
                forget(&client, name, by.as_str()).await?
            }
            Kind::Profile | Kind::Pipeline | Kind::Repository => {
                client.delete_object(kind, name).await?
            }
        };
        tell(context, kind, &deleted);
        Ok(exit::FINE)
    }
}

/// Forgets a task. Asked again where a server died of it, the next one may not know the task any
/// more: one that was there is gone then, which is what was wanted.
async fn forget(client: &Client, name: &str, by: &str) -> Result<Deleted, Problem> {
    let was_there = client.get(name).await.is_ok();
    match client.delete_task(name, by).await {
        Err(problem) if was_there && problem.exit == exit::USAGE => {
            let is_gone = client.get(name).await.is_err_and(|problem| problem.exit == exit::USAGE);
            let kept =
                vec!["what was saved of its work; `midwatch gc` removes the rest".to_owned()];
            if is_gone { Ok(Deleted { name: name.to_owned(), kept }) } else { Err(problem) }
        }
        told => told,
    }
}

/// Ends what is open. Of a task that cannot be read there is no end to wait for: what goes on of
/// it is killed.
async fn end(client: &Client, name: &str, by: &Who) -> Result<(), Problem> {
    let view = client.get(name).await?;
    if view.result.state.is_none() {
        return client.kill(name).await.map(drop);
    }
    if view.ended_ms.is_none() { cancel(client, name, by).await } else { Ok(()) }
}

/// Cancels, and waits for the end: only what is over and saved is deleted.
async fn cancel(client: &Client, name: &str, by: &Who) -> Result<(), Problem> {
    match client.command(name, &Command::Cancel { by: by.clone() }).await {
        // It is being cancelled already, or was over meanwhile.
        Ok(()) => {}
        Err(problem) if problem.exit == exit::USAGE => {}
        Err(problem) => return Err(problem),
    }
    client.follow(name, FollowFrom::end(), |_| {}).await.map(drop)
}

fn tell(context: &Context, kind: Kind, deleted: &Deleted) {
    let Deleted { name, kept } = deleted;
    if context.output.is_json() {
        context.output.json(&serde_json::json!({
            "type": "deleted", "version": LINE_VERSION, "task": null, "seq": 0,
            "kind": kind, "name": name, "kept": kept,
        }));
        context.output.json(&Problem::nothing());
        return;
    }
    context.output.say_marked(Ink::Good, "deleted:", &format!("{kind} {name}"));
    for line in kept {
        context.output.say_marked(Ink::Notable, "kept:", line);
    }
}
