//! What happens to a task, a line each, for people.

use midwatch_api::report::StreamEvent;
use midwatch_api::view::{CheckLine, Progress, ProgressLine};

use super::escape::shortened;
use super::quantity::duration;

/// The longest text of an agent on one line, in characters.
const TEXT_MAX: usize = 160;

/// The line; none for what only a live display cares about. Not escaped yet.
pub(crate) fn line(line: &ProgressLine) -> Option<String> {
    match &line.progress {
        Progress::State { state, reason, detail, until_ms } => {
            let mut text = state.clone();
            if let Some(reason) = reason {
                text.extend([" (", reason, ")"]);
            }
            if let Some(detail) = detail.as_deref().filter(|detail| !detail.is_empty()) {
                text.extend([": ", detail]);
            }
            if let Some(at) = until_ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()) {
                text.extend([format!(", goes on at {at:.0}")]);
            }
            Some(text)
        }
        Progress::RunStarted { run: _, kind, step, command } => Some(match command {
            Some(command) => format!("{step}: {command}"),
            None if kind.eq_ignore_ascii_case(step) => format!("{step} begins"),
            None => format!("{step}: {} begins", kind.to_lowercase()),
        }),
        Progress::RunEnded { kept: true, .. } => Some("setup: kept from before".to_owned()),
        Progress::RunEnded { run, stopped: true, .. } => Some(format!("{run} was stopped")),
        Progress::RunEnded { run, ok: true, .. } => Some(format!("{run} is done")),
        Progress::RunEnded { run, ok: false, detail, .. } => {
            Some(format!("{run} failed: {}", detail.as_deref().unwrap_or("no reason was given")))
        }
        Progress::Check { on_base, check } => {
            let place = if *on_base { "on the base" } else { "on the change" };
            Some(format!("{} {place}: {}", check.command, verdict(check)))
        }
        Progress::Imported { commit, diffstat } => {
            Some(format!("imported {}: {diffstat}", &commit[..commit.len().min(10)]))
        }
        Progress::Repair { round, because } => {
            Some(format!("back to work, round {round}: {}", because.to_lowercase()))
        }
        Progress::Agent { run: _, line: _, event } => agent(event),
        Progress::Saved { reference } => Some(format!("saved as {reference}")),
    }
}

/// What a check said: `Pass, 12 tests, 3.1s`.
pub(crate) fn verdict(check: &CheckLine) -> String {
    let mut text = check.outcome.clone();
    if let Some(code) = check.exit_code.filter(|code| *code != 0) {
        text.extend([format!(", exit {code}")]);
    }
    if let Some(tests) = check.tests_executed {
        text.extend([format!(", {tests} tests")]);
    }
    let milliseconds = i64::try_from(check.duration_ms).unwrap_or(i64::MAX);
    text.extend([", ", &duration(milliseconds)]);
    text
}

fn agent(event: &StreamEvent) -> Option<String> {
    match event {
        StreamEvent::Text { text } if !text.trim().is_empty() => {
            Some(format!("  {}", shortened(text.trim(), TEXT_MAX)))
        }
        StreamEvent::Tool { name, summary } => {
            Some(format!("  {name}: {}", shortened(summary, TEXT_MAX)))
        }
        StreamEvent::ToolDone { ok: false, summary } => {
            Some(format!("  failed: {}", shortened(summary, TEXT_MAX)))
        }
        StreamEvent::Retrying { attempt, error } => Some(format!(
            "  the model does not answer ({}), try {attempt}",
            shortened(error, TEXT_MAX)
        )),
        StreamEvent::Limit { reached, resets_at } => {
            let at = resets_at.and_then(|at| jiff::Timestamp::from_second(at).ok());
            let at = at.map(|at| format!(", resets at {at:.0}")).unwrap_or_default();
            Some(format!(
                "  a usage limit {}{at}",
                if *reached { "is reached" } else { "comes near" }
            ))
        }
        StreamEvent::Warning { text } => Some(format!("  warning: {}", shortened(text, TEXT_MAX))),
        StreamEvent::Phase { .. }
        | StreamEvent::Session { .. }
        | StreamEvent::Text { .. }
        | StreamEvent::ToolDone { .. }
        | StreamEvent::Usage { .. }
        | StreamEvent::Checkpoint { .. }
        | StreamEvent::Finished { .. } => None,
    }
}
