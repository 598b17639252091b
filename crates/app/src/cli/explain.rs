//! `midwatch explain`: why a task waits and what its sandbox would be; what an object says, and
//! who uses it.

use midwatch_api::control::{Asked, ObjectView, PAGE_MAX, TaskView};
use midwatch_api::kind::Kind;
use midwatch_api::view::LINE_VERSION;
use serde_json::Value;

use super::Context;
use super::delete::{target, task_of};
use super::describe::{approved, kept, plan, rows, sandbox, sentence};
use crate::client::Client;
use crate::discover::agent;
use crate::problem::{Problem, exit};

/// Names of open tasks in the sentence; of more, their number.
const NAMED: usize = 5;

/// Says why a task waits or what it does, and what its sandbox may reach; or who uses an object
///
/// Of a profile, pipeline or repository that was applied, and of a pipeline that ships: what it
/// says, and which of the newest 1000 tasks were made with it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  midwatch explain fix-login\n  midwatch explain profile fast")]
pub(crate) struct Explain {
    /// A task; or a kind (task, profile, pipeline, repository) and a name
    #[arg(value_name = "[KIND] NAME", num_args = 1..=2, required = true)]
    words: Vec<String>,
}

impl Explain {
    pub(super) fn task(&self) -> Option<&str> {
        task_of(&self.words)
    }

    pub(super) async fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        let client = Client::new(&context.environment);
        match target(&self.words)? {
            (Kind::Task, name) => task(context, &client, name).await?,
            (kind @ (Kind::Profile | Kind::Pipeline | Kind::Repository), name) => {
                object(context, &client, kind, name).await?;
            }
        }
        Ok(exit::FINE)
    }
}

async fn task(context: &Context, client: &Client, name: &str) -> Result<(), Problem> {
    let (view, order) = (client.get(name).await?, client.order(name).await?);
    let sandbox = sandbox(&order);
    if context.output.is_json() {
        let lines: Vec<String> = sandbox.iter().map(|(k, v)| format!("{k}: {v}")).collect();
        context.output.json(&serde_json::json!({
            "type": "explain", "version": LINE_VERSION, "task": name, "seq": 0,
            "explain": view.explain, "waiting": view.waiting, "plan": view.plan,
            "toApprove": view.to_approve, "sandbox": lines,
        }));
        context.output.json(&view.result);
    } else {
        context.output.tell(&format!("{name} {}", sentence(&view)));
        plan(context.output, &view);
        let notes = view.result.notes.iter().map(|note| ("note", note.clone()));
        let said = kept(&view.result).chain(approved(&view.result)).chain(notes);
        let all: Vec<_> = said.chain(sandbox).collect();
        rows(context.output, &all);
    }
    Ok(())
}

async fn object(context: &Context, client: &Client, kind: Kind, name: &str) -> Result<(), Problem> {
    let view = client.object(kind, name).await?;
    let made = made_with(client, kind, name).await?;
    let sentence = format!("{}{}", used(&view, &made), shadow(context, kind, name));
    if context.output.is_json() {
        let used_by: Vec<&Option<String>> = made.iter().map(|task| &task.result.task).collect();
        context.output.json(&serde_json::json!({
            "type": "explain", "version": LINE_VERSION, "task": null, "seq": 0,
            "explain": sentence, "kind": kind, "name": name, "usedBy": used_by,
            "spec": view.object.spec, "shipped": view.shipped,
        }));
        context.output.json(&Problem::nothing());
    } else {
        context.output.tell(&sentence);
        rows(context.output, &said(&view));
    }
    Ok(())
}

/// Those of the newest tasks that were made with an object of that name.
async fn made_with(client: &Client, kind: Kind, name: &str) -> Result<Vec<TaskView>, Problem> {
    let asked = Asked { limit: PAGE_MAX, after: None, states: vec![] };
    let mut tasks = client.list(&asked).await?.tasks;
    match kind {
        Kind::Profile => tasks.retain(|task| task.agent == name),
        Kind::Pipeline => tasks.retain(|task| task.pipeline == name),
        // Only files name one: others say where they are run.
        Kind::Repository | Kind::Task => {
            let objects = client.objects(Kind::Task).await?;
            let naming: Vec<String> = objects
                .into_iter()
                .filter(|view| view.object.spec["repository"]["name"] == name)
                .map(|view| view.object.metadata.name)
                .collect();
            let names = |task: &TaskView| task.result.task.clone().unwrap_or_default();
            tasks.retain(|task| naming.contains(&names(task)));
        }
    }
    Ok(tasks)
}

/// Who uses it, in a sentence.
fn used(view: &ObjectView, made: &[TaskView]) -> String {
    let (kind, name) = (view.object.kind, &view.object.metadata.name);
    let open: Vec<&str> = made
        .iter()
        .filter(|task| task.ended_ms.is_none())
        .filter_map(|task| task.result.task.as_deref())
        .collect();
    let tasks = if made.len() == 1 { "1 task was" } else { &format!("{} tasks were", made.len()) };
    let open = match open.len() {
        0 => "none of them open".to_owned(),
        count @ 1..=NAMED => format!("{count} of them open ({})", open.join(", ")),
        count => format!("{count} of them open"),
    };
    let open = if made.is_empty() { String::new() } else { format!(", {open}") };
    let changes = if view.shipped {
        "It ships with Midwatch and is not changed."
    } else {
        "Each holds a copy: a change counts for those that are made after it."
    };
    format!("{kind} {name}: {tasks} made with it{open}. {changes}")
}

/// What is taken in its place, where something is.
fn shadow(context: &Context, kind: Kind, name: &str) -> String {
    match kind {
        Kind::Profile if agent::has_file(&context.environment, name) => {
            format!(
                " `midwatch run --profile {name}` takes the file of that name in {} instead.",
                context.environment.profiles_folder().display()
            )
        }
        Kind::Profile | Kind::Pipeline | Kind::Repository | Kind::Task => String::new(),
    }
}

/// What it says, a field a row.
fn said(view: &ObjectView) -> Vec<(&str, String)> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let fields = view.object.spec.as_object().into_iter().flatten();
    let given = fields.filter(|(_, value)| !is_empty(value));
    given.map(|(name, value)| (name.as_str(), text(value))).collect()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
