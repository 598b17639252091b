//! What happens to a task, a line each, for people.

use midwatch_api::report::StreamEvent;
use midwatch_api::view::{CheckLine, Progress, ProgressLine};

use super::approvals::about;
use super::escape::shortened;
use super::quantity::{duration, moment};

/// The longest text of an agent on one line, in characters.
const TEXT_MAX: usize = 160;
/// The longest name of somebody.
const NAME_MAX: usize = 80;

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
            text.extend(time(*until_ms, ", goes on at "));
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
        Progress::Decided { decision, by, of, id, text } => {
            let mut said = decision.to_lowercase();
            if let (Some(of), Some(id)) = (of, id) {
                said.extend([" ", &shortened(&about(*of, id), NAME_MAX)]);
            }
            said.extend([" by ", &shortened(by, NAME_MAX)]);
            if let Some(text) = text {
                said.extend([": ", &shortened(text, TEXT_MAX)]);
            }
            Some(said)
        }
        Progress::Retry { number, charged, not_before_ms } => {
            let counts = if *charged { "" } else { ", which does not count as an attempt" };
            let at = time(Some(*not_before_ms), " at ").filter(|_| *not_before_ms > line.at_ms);
            Some(format!("tries again{}: retry {number}{counts}", at.unwrap_or_default()))
        }
        Progress::AgentUnavailable { agent: _, profile, reason, detail, until_ms, next } => {
            let until = time(*until_ms, ", until ").unwrap_or_default();
            let next = next.as_ref().map(|next| format!("; {next} goes on")).unwrap_or_default();
            let detail = shortened(detail, TEXT_MAX);
            Some(format!("{profile} cannot work ({reason}): {detail}{until}{next}"))
        }
    }
}

fn time(ms: Option<i64>, before: &str) -> Option<String> {
    Some(format!("{before}{}", moment(ms?)?))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::escape;
    use midwatch_api::view::{DecidedOn, LINE_VERSION};

    fn said(progress: Progress) -> String {
        let task = "t".to_owned();
        let line_ = ProgressLine { version: LINE_VERSION, task, seq: 1, at_ms: 1000, progress };
        escape::line(&line(&line_).unwrap())
    }

    fn decided(about: Option<(DecidedOn, &str)>, by: &str, text: Option<&str>) -> String {
        said(Progress::Decided {
            decision: if about.is_some() { "Approved" } else { "Rejected" }.into(),
            by: by.into(),
            of: about.map(|(of, _)| of),
            id: about.map(|(_, id)| id.into()),
            text: text.map(Into::into),
        })
    }

    #[test]
    fn a_decision_is_one_line_and_nobody_writes_a_second_one() {
        let plan =
            decided(Some((DecidedOn::Plan, &"0123456789abcdef".repeat(4))), "me (uid 0)", None);
        assert_eq!(plan, "approved plan 0123456789ab by me (uid 0)");
        let hostile = "no\u{1b}[2J\napproved plan by root";
        let rejected = decided(None, "x\nok: approved\u{202e}", Some(hostile));
        assert_eq!(rejected, "rejected by x…: no\\u{1b}[2J…");
        let long = decided(None, "me", Some(&"word ".repeat(100)));
        assert!(long.chars().count() < 200 && long.ends_with('…'), "{long}");
    }

    #[test]
    fn a_retry_and_a_fallback_are_told_with_their_time() {
        let retry =
            |charged, not_before_ms| said(Progress::Retry { number: 2, charged, not_before_ms });
        assert_eq!(retry(true, 1000), "tries again: retry 2");
        assert_eq!(
            retry(false, 61_000),
            "tries again at 1970-01-01T00:01:01Z: retry 2, which does not count as an attempt"
        );
        let gone = |next: Option<&str>, until_ms| {
            said(Progress::AgentUnavailable {
                agent: 0,
                profile: "claude-code".into(),
                reason: "NeedsLogin".into(),
                detail: "401\nok".into(),
                until_ms,
                next: next.map(Into::into),
            })
        };
        assert_eq!(
            gone(Some("codex"), None),
            "claude-code cannot work (NeedsLogin): 401…; codex goes on"
        );
        let until = "claude-code cannot work (NeedsLogin): 401…, until 1970-01-01T00:00:09Z";
        assert_eq!(gone(None, Some(9000)), until);
    }
}
