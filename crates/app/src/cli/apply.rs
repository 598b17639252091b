//! `midwatch apply`: what files describe is made: all of it, or nothing.
//!
//! ```text
//! files ─► documents ─► rules, names, places ─► what is found for each task ─► one request
//! ```

use std::path::PathBuf;

use midwatch_api::control::{Applied, AppliedObject, Apply as Request, ApplyTask, Submit};
use midwatch_api::document::{Document, Fault, unique};
use midwatch_api::kind::{AnyObject, Kind};
use midwatch_api::view::LINE_VERSION;

use super::{Context, beside};
use crate::client::Client;
use crate::discover::{self, Discovery};
use crate::output::Ink;
use crate::problem::{Problem, exit};

mod fields;
mod files;
mod resolve;

/// Makes what files describe: tasks, profiles, pipelines, repositories
///
/// Every object of every file is checked before anything is stored, and then all are stored at
/// once. Applied again, what is the same is left alone. A task is never changed: give what you
/// want instead another name.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  midwatch apply -f tonight.yaml\n  midwatch apply -f profiles/ -f tasks.yaml\n  midwatch apply -f - --dry-run < tasks.yaml\n\nExit codes: 0 stored, 2 something is wrong in a file, 6 this machine cannot run a task of it;\nwith 2 and 6 nothing was stored."
)]
pub(super) struct Apply {
    /// A file, a folder with files that end in .yaml or .yml, or - for standard input; may be
    /// given more than once
    #[arg(short = 'f', long = "file", value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

impl Apply {
    pub(super) async fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        let environment = context.environment.clone();
        let paths = self.files;
        let documents = beside(move || files::read(&environment, &paths)).await??;
        unique(&documents).map_err(|faults| refused(&faults))?;
        let client = Client::new(&context.environment);
        let request = request(context, &client, documents, self.dry_run).await?;
        let applied = client.apply(&request).await.map_err(fields::named)?;
        tell(context, &applied, self.dry_run);
        Ok(exit::FINE)
    }
}

/// Faults of files as one refusal.
fn refused(faults: &[Fault]) -> Problem {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    Problem::wrong(lines.join("\n")).with_hint("nothing was stored; mend it and apply again")
}

/// Everything that is needed for all of it, or every reason why not.
async fn request(
    context: &Context,
    client: &Client,
    documents: Vec<Document>,
    dry_run: bool,
) -> Result<Request, Problem> {
    let internal = |error: serde_json::Error| Problem::internal(error.to_string());
    let mut faults = resolve::hosts(&context.environment, &documents)?;
    let wanted = resolve::tasks(context, client, &documents, &mut faults).await?;
    if !faults.is_empty() {
        return Err(refused(&faults));
    }
    let (mut objects, mut tasks) = (Vec::new(), Vec::new());
    let mut problems: Vec<(String, Problem)> = Vec::new();
    let mut wanted = wanted.into_iter();
    for document in &documents {
        let object = document.object.to_wire().map_err(internal)?;
        if document.object.kind() != Kind::Task {
            objects.push(object);
            continue;
        }
        let Some(resolve::Resolved { environment, wanted: Some(wanted) }) = wanted.next() else {
            // It is there already, just so.
            tasks.push(ApplyTask { object, submit: None });
            continue;
        };
        let name = wanted.name.as_str().to_owned();
        let found = beside(move || discover::order(&environment, &wanted)).await?;
        match found.and_then(|found| submit(&name, found)) {
            Ok(submit) => tasks.push(ApplyTask { object, submit: Some(submit) }),
            Err(problem) => problems.push((document.place(), fields::named(problem))),
        }
    }
    match told(problems) {
        Some(problem) => Err(problem),
        None => Ok(Request { objects, tasks, dry_run }),
    }
}

/// What is handed over, unless its branch cannot be set.
fn submit(name: &str, mut found: Discovery) -> Result<Submit, Problem> {
    found.taken.take().map_or_else(|| Ok(found.submit(name)), Err)
}

/// What stands in the way of tasks, each with its place. The first one's code is the answer.
fn told(problems: Vec<(String, Problem)>) -> Option<Problem> {
    let place = |(place, problem): &(String, Problem)| format!("{place}: {}", problem.message);
    let message = problems.iter().map(place).collect::<Vec<_>>().join("\n");
    let (_, first) = problems.into_iter().next()?;
    Some(Problem { message, ..first })
}

fn tell(context: &Context, applied: &Applied, dry_run: bool) {
    let output = context.output;
    for AppliedObject { kind, name, change } in &applied.changes {
        let change = change.as_str();
        if output.is_json() {
            output.json(&serde_json::json!({
                "type": "applied", "version": LINE_VERSION, "task": task(*kind, name), "seq": 0,
                "kind": kind, "name": name, "change": change, "dryRun": dry_run,
            }));
        } else {
            let would = if dry_run { " (dry run)" } else { "" };
            output.tell(&format!("{kind} {name} {change}{would}"));
        }
    }
    if output.is_json() {
        output.json(&Problem::nothing());
    } else if applied.changes.is_empty() {
        output.say_marked(Ink::Notable, "nothing:", "the files hold no object");
    }
}

fn task(kind: Kind, name: &str) -> Option<&str> {
    match kind {
        Kind::Task => Some(name),
        Kind::Profile | Kind::Pipeline | Kind::Repository => None,
    }
}

/// An object of a kind among documents.
fn among<'a>(documents: &'a [Document], kind: Kind, name: &str) -> Option<&'a AnyObject> {
    let objects = documents.iter().map(|document| &document.object);
    objects.into_iter().find(|object| object.kind() == kind && object.name() == name)
}
