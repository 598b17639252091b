//! `midwatch brief`: the morning's report.

use midwatch_api::brief::{Brief as Report, BriefTask, Resting};
use midwatch_api::view::CheckLine;

use super::{Context, json_alone};
use crate::client::Client;
use crate::output::wrap::{columns, wrap};
use crate::output::{Ink, Output, escape, kept, quantity};
use crate::problem::{Problem, exit};

/// The longest goal, in characters: more of it is in `midwatch describe`.
const GOAL: usize = 160;
/// The longest detail, in characters.
const DETAIL: usize = 240;

/// Says what happened since you looked last: done with evidence, failed and why, waiting for you
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  midwatch brief\n  midwatch brief --since 12h\n  midwatch brief --since 2026-11-20T22:00:00Z --output json\n\nExit codes: 0 told, 2 usage."
)]
pub(crate) struct Brief {
    /// From here on: a span such as 12h or 2d, or a time; without it, since you looked last
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
}

impl Brief {
    pub(super) async fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        let now = jiff::Timestamp::now();
        let since = self.since.as_deref().map(|text| since(text, now)).transpose()?;
        let client = Client::new(&context.environment);
        let brief = client.brief(since).await?;
        let output = context.output;
        if output.is_json() {
            json_alone(output, &brief);
        } else {
            let columns = columns(context.environment.text("COLUMNS"));
            for line in lines(output, &brief, columns, now) {
                output.tell_painted(&line);
            }
        }
        // Only what was told counts as read, and a look at another span counts as none.
        if self.since.is_none() {
            client.brief_was_read(brief.until_ms).await?;
        }
        Ok(exit::FINE)
    }
}

/// Milliseconds since 1970.
fn since(text: &str, now: jiff::Timestamp) -> Result<i64, Problem> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time.as_millisecond());
    }
    let zone = jiff::tz::TimeZone::system();
    if let Ok(date) = text.parse::<jiff::civil::DateTime>()
        && let Ok(time) = date.to_zoned(zone.clone())
    {
        return Ok(time.timestamp().as_millisecond());
    }
    let span = text.parse::<jiff::Span>().ok().filter(|span| span.is_positive());
    let before = span.and_then(|span| now.to_zoned(zone).checked_sub(span).ok());
    before.map(|time| time.timestamp().as_millisecond()).ok_or_else(|| {
        let fix = "give a span such as 12h, or a time such as 2026-11-20T22:00:00Z";
        Problem::usage("--since", text, "is neither a span nor a time", fix)
    })
}

fn lines(output: Output, brief: &Report, columns: usize, now: jiff::Timestamp) -> Vec<String> {
    let page = Page { output, columns };
    let mut lines = wrap("", &head(brief, now), columns);
    page.part(&mut lines, Ink::Notable, "Waiting for you", &brief.waiting);
    page.part(&mut lines, Ink::Bad, "Failed", &brief.failed);
    page.part(&mut lines, Ink::Bad, "Could not be read", &brief.damaged);
    page.part(&mut lines, Ink::Good, "Done", &brief.done);
    page.part(&mut lines, Ink::Faint, "Cancelled", &brief.cancelled);
    page.resting(&mut lines, &brief.resting);
    if brief.left_out > 0 {
        let text = format!("{} older ones are left out: `midwatch get` has them", brief.left_out);
        lines.push(String::new());
        lines.extend(wrap("", &text, columns));
    }
    lines.push(String::new());
    lines.extend(wrap("", &foot(brief), columns));
    lines
}

fn head(brief: &Report, now: jiff::Timestamp) -> String {
    let counts = [
        (brief.done.len(), "done"),
        (brief.failed.len(), "failed"),
        (brief.waiting.len(), "waiting for you"),
        (brief.cancelled.len(), "cancelled"),
        (brief.damaged.len(), "not to be read"),
    ];
    let told: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let told =
        if told.is_empty() { "nothing ended, nothing waits".to_owned() } else { told.join(", ") };
    if brief.since_ms <= 0 {
        return format!("Up to now: {told}.");
    }
    let ago = quantity::duration(now.as_millisecond().saturating_sub(brief.since_ms));
    let at = jiff::Timestamp::from_millisecond(brief.since_ms)
        .map(|at| at.to_zoned(jiff::tz::TimeZone::system()).strftime("%a %d %b %H:%M").to_string())
        .unwrap_or_default();
    format!("Since {at} ({ago}): {told}.")
}

fn foot(brief: &Report) -> String {
    let mut parts = Vec::new();
    if let (Some(sent), Some(received)) = (brief.spent.input_tokens, brief.spent.output_tokens) {
        let (sent, received) = (quantity::tokens(sent), quantity::tokens(received));
        let cost = brief.spent.cost_usd.map(quantity::dollars);
        let cost = cost.map(|cost| format!(", {cost}")).unwrap_or_default();
        parts.push(format!("Spent: {sent} tokens in, {received} out{cost}."));
    } else if let Some(cost) = brief.spent.cost_usd {
        parts.push(format!("Spent: {}.", quantity::dollars(cost)));
    }
    let going = brief.going_on;
    let going: Vec<String> =
        [(going.running, "running"), (going.queued, "queued"), (going.resting, "resting")]
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
    if !going.is_empty() {
        parts.push(format!("Goes on: {}.", going.join(", ")));
    }
    if !brief.rescued.is_empty() {
        let (count, first) = (brief.rescued.len(), escape::line(&brief.rescued[0].task));
        parts.push(format!(
            "Saved work of {count} {} is on no branch: `midwatch open {first}`.",
            if count == 1 { "task" } else { "tasks" }
        ));
    }
    if parts.is_empty() {
        parts.push("Nothing was spent.".into());
    }
    parts.join(" ")
}

/// How it is written down.
struct Page {
    output: Output,
    columns: usize,
}

impl Page {
    fn part(&self, lines: &mut Vec<String>, ink: Ink, title: &str, tasks: &[BriefTask]) {
        if tasks.is_empty() {
            return;
        }
        lines.push(String::new());
        lines.push(self.output.paint(ink, title));
        for task in tasks {
            self.task(lines, task);
        }
    }

    fn resting(&self, lines: &mut Vec<String>, resting: &[Resting]) {
        if resting.is_empty() {
            return;
        }
        lines.push(String::new());
        lines.push(self.output.paint(Ink::Faint, "Waits, and goes on by itself"));
        for group in resting {
            let until = group.until_ms.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
            let until = until.map(|at| {
                let zoned = at.to_zoned(jiff::tz::TimeZone::system());
                format!(" until {}", zoned.strftime("%a %H:%M"))
            });
            let reason = escape::line(&group.reason);
            let head = format!("{} {reason}{}", group.count, until.unwrap_or_default());
            lines.extend(wrap("  ", &head, self.columns));
            let detail = escape::shortened(&group.detail, DETAIL);
            lines.extend(wrap("    ", &detail, self.columns));
            let names: Vec<String> = group.tasks.iter().map(|name| escape::line(name)).collect();
            let more = group.count.saturating_sub(names.len() as u64);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            lines.extend(wrap("    ", &format!("{}{more}", names.join(", ")), self.columns));
        }
    }

    fn task(&self, lines: &mut Vec<String>, task: &BriefTask) {
        let result = &task.result;
        let name = escape::line(result.task.as_deref().unwrap_or_default());
        lines.push(format!("  {}", self.output.paint(Ink::Strong, &name)));
        let mut say = |text: &str| lines.extend(wrap("    ", text, self.columns));
        let repository = escape::line(&task.repository);
        let took = task.took_ms.map(quantity::duration);
        let goal = escape::shortened(&task.goal, GOAL);
        let place: Vec<&str> = [Some(repository.as_str()), took.as_deref()]
            .into_iter()
            .flatten()
            .filter(|part| !part.is_empty())
            .collect();
        if place.is_empty() {
            say(&goal);
        } else {
            say(&format!("{goal} ({})", place.join(", ")));
        }
        if let Some(why) = why(result.reason.as_deref(), result.detail.as_deref()) {
            say(&why);
        }
        if let Some(evidence) = evidence(task) {
            say(&evidence);
        }
        if let Some(branch) = &result.branch {
            let stat = result.diffstat.as_deref().map(|stat| format!(": {stat}"));
            say(&format!("{}{}", escape::line(branch), escape::line(&stat.unwrap_or_default())));
        }
        if let Some(hint) = &result.hint {
            say(&format!("next: {}", escape::line(hint)));
        }
        if result.branch.is_none() && result.rescue_ref.is_some() {
            say(&format!("saved: midwatch open {name}"));
        }
        for sentence in kept::sentences(result) {
            say(&format!("kept: {}", escape::line(&sentence)));
        }
    }
}

fn why(reason: Option<&str>, detail: Option<&str>) -> Option<String> {
    let detail = detail.map(|detail| escape::shortened(detail, DETAIL)).filter(|d| !d.is_empty());
    match (reason.map(escape::line), detail) {
        (Some(reason), Some(detail)) => Some(format!("{reason}: {detail}")),
        (one, other) => one.or(other),
    }
}

/// What is proven, or that nothing is.
fn evidence(task: &BriefTask) -> Option<String> {
    let result = &task.result;
    if result.verified {
        let checks: Vec<String> = result.checks.iter().map(told).collect();
        let rehearsed = if result.rehearsal { " (a rehearsal)" } else { "" };
        return Some(format!("verified{rehearsed}: {}", checks.join("; ")));
    }
    (result.state.as_deref() == Some("Unverified"))
        .then(|| "UNVERIFIED: no check was run".to_owned())
}

fn told(check: &CheckLine) -> String {
    let tests = check.tests_executed.map(|count| format!(", {count} tests")).unwrap_or_default();
    format!("{} {}{tests}", escape::line(&check.command), check.outcome)
}

#[cfg(test)]
mod tests;
