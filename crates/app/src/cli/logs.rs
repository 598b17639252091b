//! `midwatch logs`: what runs printed and agents said, from the files that runners wrote.

use std::io;
use std::path::Path;

use midwatch_api::control::{CollectedView, RunView, TaskView};
use midwatch_api::report::{EVENTS_FILE, STDERR_FILE, STDOUT_FILE, StreamEvent};
use midwatch_api::view::{LINE_VERSION, Progress, ProgressLine};
use midwatch_local::segment::SHOWN;

use super::Context;
use super::follow::{Interrupt, Told, finish, watch};
use crate::client::Client;
use crate::output::{Ink, Output, escape, lines, narrow};
use crate::problem::{Problem, exit};

/// Shows what a task's runs printed and what its agents said
///
/// With -f it follows the task to its end and ends with the same result line and exit code as
/// the run itself. Else the end of each file is shown, and the files are named.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  midwatch logs fix-login\n  midwatch logs -f fix-login\n  midwatch logs fix-login --run fix-login-check-4"
)]
pub(super) struct Logs {
    /// The task
    #[arg(value_name = "TASK")]
    pub(super) name: String,

    /// Follow it to its end
    #[arg(short, long)]
    follow: bool,

    /// Compare all that agents said with what was written down of it, not only what is shown
    #[arg(long, conflicts_with = "follow")]
    check: bool,

    /// Only this run, as `midwatch describe` names it
    #[arg(long, value_name = "RUN", conflicts_with = "follow")]
    run: Option<String>,
}

impl Logs {
    pub(super) async fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        let client = Client::new(&context.environment);
        if self.follow {
            return watch(context, &client, &self.name, Interrupt::leaves(), Told::All).await;
        }
        let task = client.get(&self.name).await?;
        let chosen = |run: &&RunView| self.run.as_deref().is_none_or(|name| name == run.run);
        let runs: Vec<&RunView> = task.runs.iter().filter(chosen).collect();
        if let (Some(name), true) = (&self.run, runs.is_empty()) {
            let all: Vec<&str> = task.runs.iter().map(|run| run.run.as_str()).collect();
            let fix = format!("runs: {}", all.join(", "));
            return Err(Problem::usage("--run", name, "is no run of this task", &fix));
        }
        let (there, mut gone): (Vec<&RunView>, Vec<&RunView>) =
            runs.into_iter().partition(|run| run.open || Path::new(&run.folder).is_dir());
        gone.retain(|run| went(run, task.collected.as_ref()));
        tell_gone(context, &task, &gone);
        if let (Some(name), true) = (&self.run, there.is_empty() && gone.is_empty()) {
            let why = "it was not run, because its result was known from an earlier task, or \
                       somebody removed its folder";
            context.output.say(&format!("{name} has no logs: {why}"));
        }
        for run in there {
            show(context, &self.name, run);
        }
        // Behind all that may be long, so that it is seen.
        for damage in client.damage(&self.name, self.check).await? {
            context.output.say(&format!("damaged: {damage}"));
        }
        if context.output.is_json() {
            finish(context, &task.result);
        }
        Ok(exit::FINE)
    }
}

/// Whether a run that has no folder had one: what was found of an earlier task never did.
fn went(run: &RunView, collected: Option<&CollectedView>) -> bool {
    match collected {
        Some(CollectedView { runs: Some(runs), .. }) => runs.contains(&run.run),
        Some(CollectedView { runs: None, .. }) => true,
        None => matches!(run.kind.as_str(), "Agent" | "Rescue"),
    }
}

/// That runs have no files any more, and since when.
fn tell_gone(context: &Context, task: &TaskView, gone: &[&RunView]) {
    if gone.is_empty() {
        return;
    }
    let at = task.collected.as_ref().map(|collected| collected.at_ms);
    let why = task.collected.as_ref().map(|collected| collected.why.as_str());
    if context.output.is_json() {
        for run in gone {
            context.output.json(&serde_json::json!({
                "type": "removed", "version": LINE_VERSION, "task": task.result.task, "seq": 0,
                "run": run.run, "atMs": at, "why": why,
            }));
        }
        return;
    }
    let runs = if gone.len() == 1 { "1 run has" } else { &format!("{} runs have", gone.len()) };
    let at = at.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    let said = match (at, why) {
        (Some(at), Some(why)) => format!("a clean-up removed them at {at:.0}, because {why}"),
        _ => "nobody wrote down why".to_owned(),
    };
    let text = format!("{runs} no logs any more: {said}; `midwatch describe` has what is known");
    context.output.say_marked(Ink::Notable, "removed:", &text);
}

fn show(context: &Context, task: &str, run: &RunView) {
    let folder = Path::new(&run.folder);
    if !context.output.is_json() {
        let output = context.output;
        let title = escape::line(&format!("--- {} ({}) {}", run.run, run.kind, run.folder));
        for part in narrow::code(&title, output.columns()) {
            output.tell_painted(&output.paint(Ink::Strong, &part));
        }
    }
    // An agent's own stdout is its protocol: its events say the same in words.
    let events = folder.join(EVENTS_FILE);
    let gone = midwatch_local::segment::gone(folder, EVENTS_FILE).unwrap_or_default();
    if run.kind == "Agent" && (events.exists() || !gone.is_empty()) {
        said(context, task, &run.run, &events);
    } else {
        printed(context, task, &run.run, "stdout", &folder.join(STDOUT_FILE));
    }
    printed(context, task, &run.run, "stderr", &folder.join(STDERR_FILE));
}

fn said(context: &Context, task: &str, run: &str, path: &Path) {
    let text = match end_of(path) {
        Ok(text) => text,
        Err(error) => return missing(context, path, &error),
    };
    // Where not all is shown, the first line says so, and the next may be cut off; the last line
    // may still be written.
    let whole_from = if text.starts_with('[') { 2 } else { 0 };
    let whole_lines = whole_from..text.bytes().filter(|byte| *byte == b'\n').count();
    let mut unreadable = 0;
    for (number, line) in text.lines().enumerate() {
        let Ok(event) = serde_json::from_str::<StreamEvent>(line) else {
            unreadable += usize::from(whole_lines.contains(&number));
            continue;
        };
        let line = ProgressLine {
            version: LINE_VERSION,
            task: task.to_owned(),
            seq: 0,
            at_ms: 0,
            progress: Progress::Agent { run: run.to_owned(), line: 0, event },
        };
        if context.output.is_json() {
            context.output.json(&line);
        } else if let Some(text) = whole(&line) {
            let text = narrow::words(&escape::text(&text), context.output.columns());
            context.output.tell_painted(&text);
        } else if let Some(text) = lines::line(&line) {
            one_line(context.output, &text);
        }
    }
    if unreadable > 0 {
        context.output.say(&format!("{}: {unreadable} lines cannot be read", path.display()));
    }
}

/// A tool's call, or something as short: one line, however narrow the terminal is.
fn one_line(output: Output, text: &str) {
    let most = output.columns().unwrap_or(usize::MAX);
    output.tell_painted(&output.paint(Ink::Faint, &escape::shortened(text, most)));
}

/// Text of an agent in full: here is the place for it.
fn whole(line: &ProgressLine) -> Option<String> {
    match &line.progress {
        Progress::Agent { event: StreamEvent::Text { text }, .. } => Some(text.clone()),
        _ => None,
    }
}

fn printed(context: &Context, task: &str, run: &str, stream: &str, path: &Path) {
    match end_of(path) {
        Ok(text) if text.is_empty() => {}
        Ok(text) if context.output.is_json() => context.output.json(&serde_json::json!({
            "type": "log", "version": LINE_VERSION, "task": task, "seq": 0,
            "run": run, "stream": stream, "text": text,
        })),
        Ok(text) => {
            let columns = context.output.columns();
            for line in text.trim_end_matches('\n').lines() {
                for part in narrow::code(&escape::line(line), columns) {
                    context.output.tell_painted(&part);
                }
            }
        }
        Err(error) => missing(context, path, &error),
    }
}

fn missing(context: &Context, path: &Path, error: &io::Error) {
    // A run that has printed nothing yet has no file.
    if error.kind() != io::ErrorKind::NotFound {
        context.output.say(&format!("{}: {error}", path.display()));
    }
}

fn end_of(path: &Path) -> io::Result<String> {
    let folder = path.parent().unwrap_or(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (bytes, before) = midwatch_local::segment::end_of(folder, &name, SHOWN)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(match before {
        0 => text.into_owned(),
        left => format!("[{left} bytes before this are in {}]\n{text}", path.display()),
    })
}
