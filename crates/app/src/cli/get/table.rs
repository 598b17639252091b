//! Tasks and runs as aligned columns; on a narrow terminal as two lines each.

use midwatch_api::control::{Cursor, RunView, TaskView, WaitingView};
use midwatch_api::view::LINE_VERSION;

use crate::output::{Ink, Output, escape, quantity};

/// The longest goal in a list, in characters.
const GOAL: usize = 50;
/// The least columns of what is noted beside the state.
const NOTE: usize = 22;
/// Columns below which a task takes two lines: a phone's.
const NARROW: usize = 80;

/// A place in the list.
pub(super) fn cursor(task: &TaskView) -> Cursor {
    let name = task.result.task.clone().unwrap_or_default();
    Cursor { submitted_ms: task.submitted_ms, name }
}

/// Says that there is nothing to show, and why that may be.
pub(super) fn nothing(output: Output, states: &[String]) {
    if states.is_empty() {
        output.say("There are no tasks here. Begin one with `midwatch run \"<goal>\"`.");
    } else {
        let states: Vec<String> = states.iter().map(|state| escape::line(state)).collect();
        output.say(&format!("No task is {}. `midwatch get` shows all.", states.join(" or ")));
    }
}

/// The tasks, one a line.
pub(super) fn tasks(output: Output, tasks: &[TaskView]) {
    if tasks.is_empty() {
        return;
    }
    let name = |task: &TaskView| task.result.task.clone().unwrap_or_default();
    let width = tasks.iter().map(|task| name(task).len()).max().unwrap_or(0);
    let now = jiff::Timestamp::now().as_millisecond();
    let narrow = output.columns().is_some_and(|columns| columns < NARROW);
    let room = output.columns().unwrap_or(NARROW).saturating_sub(13);
    // On a phone a reason stands alone where its place would be cut off: `explain` has both.
    let fits = |note: String, task: &TaskView| match &task.waiting {
        Some(waiting) if narrow && note.chars().count() > room => escape::line(&waiting.reason),
        Some(_) | None => note,
    };
    let notes: Vec<String> = tasks.iter().map(|task| fits(note(task, now), task)).collect();
    let noted = notes.iter().map(|note| note.chars().count()).max().unwrap_or(0).max(NOTE);
    for (task, note) in tasks.iter().zip(notes) {
        let state = task.shown_state().unwrap_or("?");
        let painted = output.paint(ink(state), &format!("{state:<10}"));
        let took = took(task);
        let age = quantity::age(now.saturating_sub(task.submitted_ms));
        if narrow {
            output.tell_painted(&format!("{} {age}", escape::line(&name(task))));
            let said = if note.is_empty() { escape::shortened(&task.goal, room) } else { note };
            output.tell_painted(&format!("  {painted} {}", escape::shortened(&said, room)));
            continue;
        }
        output.tell_painted(&format!(
            "{:width$}  {painted}  {note:<noted$} {took:>7}  {age:>4}  {}",
            escape::line(&name(task)),
            output.paint(Ink::Faint, &escape::shortened(&task.goal, GOAL)),
        ));
    }
}

fn note(task: &TaskView, now: i64) -> String {
    if let Some(waiting) = &task.waiting {
        return waits(waiting, now);
    }
    match (&task.result.reason, task.result.verified, task.result.rehearsal) {
        (Some(reason), _, _) => escape::line(reason),
        (None, true, true) => "verified (rehearsal)".to_owned(),
        (None, true, false) => "verified".to_owned(),
        (None, false, _) => String::new(),
    }
}

/// Why it waits, and its place or for how long.
fn waits(waiting: &WaitingView, now: i64) -> String {
    let reason = escape::line(&waiting.reason);
    match (waiting.position, waiting.of, waiting.until_ms) {
        (Some(position), Some(of), _) => format!("{reason}, place {position} of {of}"),
        (_, _, Some(until)) => format!("{reason} {}", quantity::age(until.saturating_sub(now))),
        (_, _, None) => reason,
    }
}

fn took(task: &TaskView) -> String {
    task.ended_ms.map_or_else(String::new, |ended| quantity::duration(ended - task.submitted_ms))
}

/// Runs with the names of their tasks, one a line.
pub(super) fn runs(output: Output, runs: &[(String, RunView)]) {
    if output.is_json() {
        for (task, run) in runs {
            output.json(&serde_json::json!({
                "type": "run", "version": LINE_VERSION, "task": task, "seq": 0, "run": run.run,
                "kind": run.kind, "open": run.open, "outcome": run.outcome, "detail": run.detail,
                "begunMs": run.begun_ms, "endedMs": run.ended_ms, "folder": run.folder,
            }));
        }
        return;
    }
    let width = runs.iter().map(|(_, run)| run.run.len()).max().unwrap_or(0);
    if width == 0 {
        output.say("There are no runs here.");
    }
    let now = jiff::Timestamp::now().as_millisecond();
    for (_, run) in runs {
        let (ink, word) = came_to(run);
        let word = output.paint(ink, &format!("{word:<11}"));
        let kind = escape::line(&run.kind);
        let took = quantity::duration(run.ended_ms.unwrap_or(now).saturating_sub(run.begun_ms));
        let age = quantity::age(now.saturating_sub(run.begun_ms));
        let folder = escape::line(&run.folder);
        let name = escape::line(&run.run);
        output.tell_painted(&format!(
            "{name:width$}  {kind:<9} {word} {took:>7}  {age:>4}  {folder}"
        ));
    }
}

/// How a run ended, in a word and its colour.
pub(in crate::cli) fn came_to(run: &RunView) -> (Ink, String) {
    match run.outcome.as_deref() {
        None if run.open => (Ink::Strong, "open".to_owned()),
        None => (Ink::Faint, "over".to_owned()),
        Some(outcome @ ("Ok" | "Pass")) => (Ink::Good, outcome.to_owned()),
        Some(outcome @ "Stopped") => (Ink::Faint, outcome.to_owned()),
        Some(outcome) => (Ink::Bad, escape::line(outcome)),
    }
}

/// The colour of a state.
pub(in crate::cli) fn ink(state: &str) -> Ink {
    match state {
        "Done" | "Answered" | "NoChange" => Ink::Good,
        "Failed" => Ink::Bad,
        "Held" | "Waiting" | "Unverified" => Ink::Notable,
        "Running" => Ink::Strong,
        _ => Ink::Faint,
    }
}
