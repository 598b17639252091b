//! `midwatch get`: the tasks, or one.

use midwatch_api::control::TaskView;
use midwatch_api::view::LINE_VERSION;

use super::Context;
use crate::client::Client;
use crate::output::{Ink, Output, escape, quantity};
use crate::problem::{Problem, exit};

/// The longest goal in a list, in characters.
const GOAL: usize = 50;

/// Lists tasks, newest first, or shows one
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  midwatch get\n  midwatch get fix-login --output json\n\nExit codes: 0 found, 2 no such task."
)]
pub(crate) struct Get {
    /// One task; all without it
    #[arg(value_name = "TASK")]
    pub(super) name: Option<String>,

    /// How many at most
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

impl Get {
    pub(super) async fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        let client = Client::new(&context.environment);
        let tasks = match &self.name {
            Some(name) => vec![client.get(name).await?],
            None => client.list(self.limit).await?,
        };
        let output = context.output;
        if output.is_json() {
            for task in &tasks {
                json(output, task);
            }
            // The list itself has no state; its last line is there for those who wait for it.
            match (&self.name, tasks.first()) {
                (Some(_), Some(task)) => output.json(&task.result),
                (Some(_) | None, _) => output.json(&Problem::nothing()),
            }
        } else if tasks.is_empty() {
            output.say("There are no tasks yet. Begin one with `midwatch run \"<goal>\"`.");
        } else {
            table(output, &tasks);
        }
        Ok(exit::FINE)
    }
}

/// A task as a line of type `task`, with all that is known.
pub(super) fn json(output: Output, task: &TaskView) {
    output.json(&serde_json::json!({
        "type": "task", "version": LINE_VERSION, "task": task.result.task, "seq": 0,
        "state": task.result.state, "goal": task.goal, "agent": task.agent,
        "pipeline": task.pipeline, "repository": task.repository, "explain": task.explain,
        "submittedMs": task.submitted_ms, "endedMs": task.ended_ms, "runs": task.runs,
        "result": task.result,
    }));
}

fn table(output: Output, tasks: &[TaskView]) {
    let name = |task: &TaskView| task.result.task.clone().unwrap_or_default();
    let width = tasks.iter().map(|task| name(task).len()).max().unwrap_or(0);
    for task in tasks {
        let state = task.result.state.as_deref().unwrap_or("?");
        let note = match (&task.result.reason, task.result.verified, task.result.rehearsal) {
            (Some(reason), _, _) => escape::line(reason),
            (None, true, true) => "verified (rehearsal)".to_owned(),
            (None, true, false) => "verified".to_owned(),
            (None, false, _) => String::new(),
        };
        let took = task
            .ended_ms
            .map_or_else(String::new, |ended| quantity::duration(ended - task.submitted_ms));
        output.tell_painted(&format!(
            "{:width$}  {}  {:<22} {:>7}  {}",
            escape::line(&name(task)),
            output.paint(ink(state), &format!("{state:<10}")),
            note,
            took,
            output.paint(Ink::Faint, &escape::shortened(&task.goal, GOAL)),
        ));
    }
}

/// The colour of a state.
pub(super) fn ink(state: &str) -> Ink {
    match state {
        "Done" | "Answered" | "NoChange" => Ink::Good,
        "Failed" => Ink::Bad,
        "Held" | "Unverified" => Ink::Notable,
        "Running" => Ink::Strong,
        _ => Ink::Faint,
    }
}
