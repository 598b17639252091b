//! `midwatch explain`: why a task waits and what its sandbox would be; what an object says, and
//! who uses it.

use midwatch_api::control::{Asked, ObjectView, PAGE_MAX, TaskView};
use midwatch_api::kind::Kind;
use midwatch_api::task::TaskOrder;
use midwatch_api::view::{LINE_VERSION, ResultLine};
use serde_json::Value;

use super::Context;
use super::delete::{target, task_of};
use super::describe::{approved, kept, plan, rows, sandbox, sentence};
use super::watch::{Row, watch};
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
#[command(
    after_help = "Examples:\n  midwatch explain fix-login\n  midwatch explain fix-login --watch\n  midwatch explain profile fast"
)]
pub(crate) struct Explain {
    /// A task; or a kind (task, profile, pipeline, repository) and a name
    #[arg(value_name = "[KIND] NAME", num_args = 1..=2, required = true)]
    words: Vec<String>,

    /// Say it again whenever it has changed, until Ctrl-C
    #[arg(short, long)]
    watch: bool,
}

/// All that is known.
#[derive(Debug)]
enum Known {
    Task(Box<TaskView>, Box<TaskOrder>),
    /// An object, tasks that were made with it, and both in a sentence.
    Object(Box<ObjectView>, Vec<TaskView>, String),
}

impl Explain {
    pub(super) fn task(&self) -> Option<&str> {
        task_of(&self.words)
    }

    pub(super) async fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        let client = Client::new(&context.environment);
        let (kind, name) = target(&self.words)?;
        if self.watch {
            let ask = async || {
                let known = ask(context, &client, kind, name).await?;
                let mark = known.mark(context.output.is_json());
                Ok(vec![Row { name: name.to_owned(), mark, shown: known }])
            };
            return watch(context, ask, |changed| {
                for known in changed {
                    known.tell(context);
                }
            })
            .await;
        }
        let known = ask(context, &client, kind, name).await?;
        known.tell(context);
        if context.output.is_json() {
            match &known {
                Known::Task(view, _) => context.output.json(&view.result),
                Known::Object(..) => context.output.json(&Problem::nothing()),
            }
        }
        Ok(exit::FINE)
    }
}

async fn ask(context: &Context, client: &Client, kind: Kind, name: &str) -> Result<Known, Problem> {
    match kind {
        Kind::Task => {
            let (view, order) = (client.get(name).await?, client.order(name).await?);
            Ok(Known::Task(Box::new(view), Box::new(order)))
        }
        Kind::Profile | Kind::Pipeline | Kind::Repository => {
            let view = client.object(kind, name).await?;
            let made = made_with(client, kind, name).await?;
            let sentence = format!("{}{}", used(&view, &made), shadow(context, kind, name));
            Ok(Known::Object(Box::new(view), made, sentence))
        }
    }
}

impl Known {
    fn tell(&self, context: &Context) {
        let output = context.output;
        if output.is_json() {
            return output.json(&self.line());
        }
        match self {
            Self::Task(view, order) => {
                let name = view.result.task.as_deref().unwrap_or_default();
                output.tell(&format!("{name} {}", sentence(view)));
                plan(output, view);
                let all: Vec<_> = beside(&view.result).chain(sandbox(order)).collect();
                rows(output, &all);
            }
            Self::Object(view, _, sentence) => {
                output.tell(sentence);
                rows(output, &said(view));
            }
        }
    }

    /// All that is shown: text says more of a task than the line.
    fn mark(&self, is_json: bool) -> String {
        let line = self.line();
        match self {
            Self::Task(view, _) if !is_json => {
                format!("{line} {:?}", beside(&view.result).collect::<Vec<_>>())
            }
            Self::Task(..) | Self::Object(..) => line.to_string(),
        }
    }

    /// As a line of type `explain`.
    fn line(&self) -> Value {
        match self {
            Self::Task(view, order) => {
                let sandbox = sandbox(order);
                let lines: Vec<String> = sandbox.iter().map(|(k, v)| format!("{k}: {v}")).collect();
                serde_json::json!({
                    "type": "explain", "version": LINE_VERSION, "task": view.result.task, "seq": 0,
                    "explain": view.explain, "waiting": view.waiting, "plan": view.plan,
                    "toApprove": view.to_approve, "sandbox": lines,
                })
            }
            Self::Object(view, made, sentence) => {
                let used_by: Vec<&Option<String>> =
                    made.iter().map(|task| &task.result.task).collect();
                serde_json::json!({
                    "type": "explain", "version": LINE_VERSION, "task": null, "seq": 0,
                    "explain": sentence, "kind": view.object.kind,
                    "name": view.object.metadata.name, "usedBy": used_by,
                    "spec": view.object.spec, "shipped": view.shipped,
                })
            }
        }
    }
}

/// What a task leaves and who let it through, beside why it waits.
fn beside(result: &ResultLine) -> impl Iterator<Item = (&'static str, String)> {
    let notes = result.notes.iter().map(|note| ("note", note.clone()));
    kept(result).chain(approved(result)).chain(notes)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn order() -> TaskOrder {
        let pipeline = midwatch_api::pipeline::shipped("quick").unwrap().unwrap();
        let order = json!({
            "goal": "g", "repository": {"identity": "/r/.git", "path": "/r"},
            "base": "a".repeat(40), "includeDirty": false, "push": false, "pipeline": pipeline,
            "agent": {
                "adapter": "custom", "profile": "custom", "program": "/bin/true",
                "instructions": "", "credentialKind": "None", "credential": {"from": "None"},
                "rehearsal": false,
            },
            "checks": ["true"], "checksFrom": "", "noCheck": false, "knownFailures": false,
            "egress": "none", "registries": [], "toolchains": [], "workspacePath": [],
            "clientEnv": {}, "checkEnv": {}, "clientFiles": {},
            "limits": midwatch_api::order::Limits::default(), "acceptMissing": [], "priority": 0,
        });
        serde_json::from_value(order).unwrap()
    }

    fn known(notes: Vec<String>) -> Known {
        let view = TaskView {
            result: ResultLine { notes, ..ResultLine::unknown(Some("t")) },
            goal: "g".into(),
            agent: "custom".into(),
            pipeline: "quick".into(),
            repository: "/r".into(),
            submitted_ms: 0,
            ended_ms: None,
            explain: "waits".into(),
            waiting: None,
            needs_login: vec![],
            plan: None,
            to_approve: None,
            runs: vec![],
            collected: None,
        };
        Known::Task(Box::new(view), Box::new(order()))
    }

    #[test]
    fn what_only_the_text_says_is_a_change_of_the_text_alone() {
        let (before, after) = (known(vec![]), known(vec!["a file is left out".into()]));
        assert_ne!(before.mark(false), after.mark(false));
        assert_eq!(before.mark(true), after.mark(true), "its line is the same");
        assert_eq!(after.mark(false), known(vec!["a file is left out".into()]).mark(false));
    }
}
