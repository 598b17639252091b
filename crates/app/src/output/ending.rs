//! How a task ended, for people: what there is now, the evidence for it, and the next command.

use midwatch_api::view::{CheckLine, ResultLine};
use midwatch_local::view::PUSHED;

use super::lines::verdict;
use super::quantity::{dollars, tokens};
use super::{Ink, Output, approvals, escape, kept};

/// Last lines of what failed that are shown.
const TAIL: usize = 40;

/// Tells a result on stdout.
pub(crate) fn tell(output: Output, result: &ResultLine) {
    for line in lines(output, result) {
        output.tell_painted(&line);
    }
}

fn lines(output: Output, result: &ResultLine) -> Vec<String> {
    let mut lines = vec![head(output, result)];
    let mut row = |name: &str, text: &str| {
        let name = output.paint(Ink::Faint, &format!("{name:>10}"));
        let mut said = text.lines();
        lines.push(format!("{name}  {}", escape::line(said.next().unwrap_or_default())));
        lines.extend(said.map(|more| format!("{:>10}  {}", "", escape::line(more))));
    };
    if let Some(detail) = result.detail.as_deref().filter(|detail| !detail.is_empty()) {
        let answers = result.state.as_deref() == Some("Answered");
        row(if answers { "answer" } else { "why" }, detail);
    }
    if let Some(branch) = &result.branch {
        row("branch", branch);
    }
    if let (Some(commit), Some(base)) = (&result.commit, &result.base) {
        row("commit", &format!("{} on base {}", short(commit), short(base)));
    }
    if let Some(diffstat) = result.diffstat.as_deref().filter(|text| !text.is_empty()) {
        row("changed", diffstat);
    }
    for check in &result.checks {
        row("check", &evidence(check, result.commit.as_deref()));
    }
    for note in &result.notes {
        row("note", note);
    }
    for sentence in approvals::sentences(result) {
        row("approved", &escape::line(&sentence));
    }
    for sentence in kept::sentences(result) {
        row("kept", &sentence);
    }
    let usage = &result.usage;
    if let (Some(sent), Some(received)) = (usage.input_tokens, usage.output_tokens) {
        let cost = usage.cost_usd.map(|cost| format!(", {}", dollars(cost))).unwrap_or_default();
        row("used", &format!("{} tokens in, {} out{cost}", tokens(sent), tokens(received)));
    }
    if let Some(rescue) = &result.rescue_ref {
        row("saved", rescue);
    }
    if let Some(transcript) = &result.transcript {
        row("log", transcript);
    }
    if let Some(hint) = &result.hint {
        row("next", hint);
    }
    for command in next(result) {
        row("", &command);
    }
    tails(output, result, &mut lines);
    lines
}

/// The state in a word, and what must be said beside it.
fn head(output: Output, result: &ResultLine) -> String {
    let task = escape::line(result.task.as_deref().unwrap_or_default());
    let state = result.state.as_deref().unwrap_or("unknown");
    let (ink, mut word) = match state {
        "Done" if result.verified => (Ink::Good, "verified".to_owned()),
        "Done" | "Answered" => (Ink::Good, state.to_lowercase()),
        "NoChange" => (Ink::Good, "no change needed".to_owned()),
        "Failed" => (Ink::Bad, "failed".to_owned()),
        "Unverified" => (Ink::Notable, "UNVERIFIED (no check was run)".to_owned()),
        other => (Ink::Notable, other.to_lowercase()),
    };
    if result.rehearsal && result.verified {
        word.push_str(" (a rehearsal: the model was scripted, the checks were real)");
    }
    if let Some(reason) = &result.reason {
        word.extend([" (", &escape::line(reason), ")"]);
    }
    format!("{} {}", output.paint(ink, &word), output.paint(Ink::Strong, &task))
}

/// A check of the task's commit; where there is none, of the base.
fn evidence(check: &CheckLine, commit: Option<&str>) -> String {
    let base = match (commit, &check.base_outcome) {
        (None, _) => " (on the base; there is no commit)".to_owned(),
        (Some(_), Some(outcome)) => format!(" (on the base: {outcome})"),
        (Some(_), None) => String::new(),
    };
    format!("{}: {}{base}", check.command, verdict(check))
}

/// What somebody would type now.
fn next(result: &ResultLine) -> Vec<String> {
    let Some(task) = &result.task else {
        return vec![];
    };
    match (result.state.as_deref(), &result.branch) {
        (Some("Done" | "Unverified"), Some(branch)) => {
            // A pushed branch is at the remote only.
            let pushed = result.notes.iter().any(|note| note.starts_with(PUSHED));
            let verb = if pushed { "git fetch origin" } else { "git merge" };
            vec![format!("midwatch diff {task}"), format!("{verb} {branch}")]
        }
        (Some("Held"), _) => vec![format!("midwatch explain {task}")],
        (Some("Failed" | "Cancelled"), _)
            if result.rescue_ref.is_some() || result.commit.is_some() =>
        {
            vec![format!("midwatch open {task}"), format!("midwatch retry {task}")]
        }
        (Some("Failed" | "Cancelled"), _) => {
            vec![format!("midwatch logs {task}"), format!("midwatch retry {task}")]
        }
        (Some(_) | None, _) => vec![],
    }
}

/// The last lines of what failed, where that is why.
fn tails(output: Output, result: &ResultLine, lines: &mut Vec<String>) {
    if matches!(result.state.as_deref(), Some("Done" | "NoChange" | "Answered" | "Unverified")) {
        return;
    }
    for check in result.checks.iter().filter(|check| !check.tail.is_empty()) {
        let title = format!("--- the end of {}", escape::line(&check.command));
        lines.push(output.paint(Ink::Faint, &title));
        let from = check.tail.len().saturating_sub(TAIL);
        lines.extend(check.tail[from..].iter().map(|line| escape::line(line)));
    }
}

fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

#[cfg(test)]
mod tests {
    use midwatch_api::view::UsageLine;

    use super::*;
    use crate::output::{Format, Terminal};

    fn result(state: &str) -> ResultLine {
        ResultLine { state: Some(state.into()), ..ResultLine::unknown(Some("t-1")) }
    }

    fn told(result: &ResultLine) -> String {
        lines(Output::new(Format::Text, Terminal::Plain), result).join("\n")
    }

    #[test]
    fn a_rehearsal_and_missing_checks_are_said_beside_the_word() {
        let done = ResultLine {
            verified: true,
            rehearsal: true,
            branch: Some("midwatch/t-1".into()),
            usage: UsageLine {
                input_tokens: Some(1500),
                output_tokens: Some(9),
                cost_usd: Some(0.5),
            },
            ..result("Done")
        };
        let text = told(&done);
        assert!(text.starts_with("verified (a rehearsal:"), "{text}");
        assert!(
            text.contains("git merge midwatch/t-1")
                && text.contains("1.5k tokens in, 9 out, $0.50")
        );
        let unverified = ResultLine { branch: Some("b".into()), ..result("Unverified") };
        assert!(told(&unverified).starts_with("UNVERIFIED"));
    }

    #[test]
    fn a_failure_shows_its_last_lines_escaped_and_what_to_type() {
        let check = CheckLine {
            command: "npm test".into(),
            outcome: "Fail".into(),
            exit_code: Some(1),
            tests_executed: Some(3),
            duration_ms: 1200,
            base_outcome: Some("Pass".into()),
            tail: (0..50).map(|n| format!("line {n}\x1b[31m")).collect(),
        };
        let failed = ResultLine {
            reason: Some("VerificationFailed".into()),
            rescue_ref: Some("refs/midwatch/rescue/t-1/2".into()),
            commit: Some("c0ffee".into()),
            checks: vec![check],
            ..result("Failed")
        };
        let text = told(&failed);
        assert!(
            text.contains("npm test: Fail, exit 1, 3 tests, 1.2s (on the base: Pass)"),
            "{text}"
        );
        assert!(text.contains("midwatch open t-1") && !text.contains('\x1b'));
        assert!(!text.contains("line 9\\") && text.contains("line 10\\u{1b}"));
    }
}
