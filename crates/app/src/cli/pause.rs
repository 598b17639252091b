//! `midwatch pause`: stops a task and keeps it.

use midwatch_api::control::{Command, PauseAll, PausedAll};

use super::decide::{hand_over, whoever};
use super::{Context, json_alone};
use crate::client::Client;
use crate::output::Ink;
use crate::problem::{Problem, exit};

/// Pauses a task, or all of them: agents are stopped, their work saved, until `midwatch resume`
///
/// With --all no task begins any more either, also after a restart: the switch to reach for.
/// Checks and setup that run already end first. Nothing is charged, and the conversation goes on
/// after the pause where the agent can do that.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  midwatch pause fix-login\n  midwatch pause --all")]
pub(crate) struct Pause {
    /// The task
    #[arg(value_name = "TASK", required_unless_present = "all")]
    pub(super) name: Option<String>,

    /// Everything, and whatever is submitted after it
    #[arg(long, conflicts_with = "name")]
    all: bool,
}

impl Pause {
    pub(super) async fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        let by = whoever(&context.environment);
        match self.name.filter(|_| !self.all) {
            Some(name) => hand_over(context, &name, &Command::Pause { by }, "being paused").await,
            None => switch_all(context, &PauseAll { paused: true, by }).await,
        }
    }
}

/// Turns the switch for everything, and says what it did.
pub(super) async fn switch_all(context: &Context, switch: &PauseAll) -> Result<u8, Problem> {
    let done = Client::new(&context.environment).pause_all(switch).await?;
    if context.output.is_json() {
        let PausedAll { paused_by: by, tasks, unstored } = &done;
        let line = serde_json::json!({
            "type": "paused", "pausedBy": by, "tasks": tasks, "unstored": unstored,
        });
        json_alone(context.output, &line);
        return Ok(exit::FINE);
    }
    let (word, rest) = match &done.paused_by {
        Some(_) => ("paused:", "nothing begins until `midwatch resume --all`"),
        None => ("resumed:", "tasks begin again as there is room"),
    };
    let count = done.tasks.len();
    context.output.say_marked(Ink::Good, word, &format!("{count} at work; {rest}"));
    if let Some(why) = &done.unstored {
        context.output.say_marked(Ink::Notable, "note:", why);
    }
    for task in done.tasks {
        context.output.tell(&task);
    }
    Ok(exit::FINE)
}
