//! `midwatch message`: says something to an agent, while it works or after.

use midwatch_api::control::Command;
use midwatch_api::task::{FollowsRef, Spoken};

use super::decide::{hand_over, whoever};
use super::numbered::numbered;
use super::{Context, goal, retry};
use crate::client::Client;
use crate::problem::{Problem, exit};

/// Says something to the agent of a task
///
/// A task that goes on hears it when its step ends; one that is held with a question or a change
/// goes on with it at once. What is over stays as it is: a follow-up called NAME-f2, NAME-f3 and
/// so on goes on from its work, with commits on top of the same branch and in the same
/// conversation. Where there are follow-ups, the newest is meant.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  midwatch message fix-login \"keep the old name as an alias\"\n  midwatch message fix-login --file review.md"
)]
pub(crate) struct Message {
    /// The task
    #[arg(value_name = "TASK")]
    pub(super) name: String,

    /// What to say
    #[arg(value_name = "TEXT")]
    text: Option<std::ffi::OsString>,

    /// Read it from a file, - for standard input
    #[arg(long, value_name = "FILE")]
    file: Option<std::path::PathBuf>,
}

impl Message {
    pub(super) async fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        let (words, file) = (self.text.as_deref(), self.file.as_deref());
        let text = goal::read(Spoken::Message, &context.environment, words, file)?;
        let client = Client::new(&context.environment);
        let mut over = client.get(&self.name).await?.ended_ms.is_some();
        let name = if over { newest(&client, &self.name).await } else { self.name.clone() };
        if name != self.name {
            over = client.get(&name).await?.ended_ms.is_some();
        }
        if !over {
            let command = Command::Message { text, by: whoever(&context.environment) };
            return hand_over(context, &name, &command, "told").await;
        }
        let mut order = client.order(&name).await?;
        order.goal = text;
        order.follows = Some(Box::new(FollowsRef::of(&name)));
        let Some(name) = retry::again(context, &client, order, numbered(&self.name, 'f')).await?
        else {
            let fix = "submit the goal anew";
            return Err(Problem::usage("TASK", &self.name, "has too many follow-ups", fix));
        };
        retry::tell(context, &client, &name, "goes on:").await?;
        Ok(exit::FINE)
    }
}

/// The newest follow-up of a task, else the task itself: only the newest's branch is as it left it.
async fn newest(client: &Client, name: &str) -> String {
    let mut newest = name.to_owned();
    for next in numbered(name, 'f') {
        let follows = client.order(&next).await.ok().and_then(|order| order.follows);
        match follows {
            Some(follows) if follows.chain.contains(&newest) => newest = next,
            // An earlier one of the chain.
            Some(_) => {}
            None => break,
        }
    }
    newest
}
