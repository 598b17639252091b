//! `midwatch gc`: removes what is no longer needed, and says what stays and why.

use midwatch_api::gc::{CollectOrder, Collection, What};

use super::{Context, json_alone};
use crate::client::Client;
use crate::output::quantity::size;
use crate::output::wrap::{columns, wrap};
use crate::output::{Ink, Output, escape};
use crate::problem::{Problem, exit};

/// Lines of things that went; of more, the biggest.
const SHOWN: usize = 20;

/// Frees disk: logs and caches of tasks that ended long ago, never work that is nowhere else
///
/// The server does this by itself at quiet times. Saved work goes only when a branch or tag of
/// your repository has every one of its commits.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  midwatch gc --dry-run\n  midwatch gc --older-than 7d\n\nExit codes: 0 done, 1 something could not be removed, 2 usage."
)]
pub(crate) struct Gc {
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,

    /// Keep what belongs to tasks that ended more recently, such as 12h or 7d; 16d otherwise
    #[arg(long, value_name = "AGE")]
    older_than: Option<String>,

    /// Keep at most so much of what is younger, such as 500M or 10G; 10G otherwise
    #[arg(long, value_name = "SIZE")]
    above: Option<String>,
}

impl Gc {
    pub(super) async fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        let order = CollectOrder {
            dry_run: self.dry_run,
            age_seconds: self.older_than.as_deref().map(age).transpose()?,
            cap_bytes: self.above.as_deref().map(bytes).transpose()?,
        };
        let collection = Client::new(&context.environment).collect(order).await?;
        let output = context.output;
        if output.is_json() {
            json_alone(output, &collection);
        } else {
            let columns = columns(context.environment.text("COLUMNS"));
            for line in lines(output, &collection, columns) {
                output.tell_painted(&line);
            }
        }
        Ok(if collection.busy.is_empty() { exit::FINE } else { exit::INTERNAL })
    }
}

/// Seconds.
fn age(text: &str) -> Result<u64, Problem> {
    let bad =
        || Problem::usage("--older-than", text, "is no span of time", "give one such as 12h or 7d");
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(bad()),
    };
    let number: u64 = number.parse().map_err(|_| bad())?;
    number.checked_mul(seconds).ok_or_else(bad)
}

fn bytes(text: &str) -> Result<u64, Problem> {
    let bad = || Problem::usage("--above", text, "is no size", "give one such as 500M or 10G");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err(bad()),
    };
    let number: u64 = number.parse().map_err(|_| bad())?;
    number.checked_mul(1 << shift).ok_or_else(bad)
}

fn lines(output: Output, collection: &Collection, columns: usize) -> Vec<String> {
    let Collection { dry_run, freed_bytes, kept_bytes, gone, kept, busy, .. } = collection;
    let verb = if *dry_run { "Would free" } else { "Freed" };
    let head = format!(
        "{verb} {} in {}; {} stay.",
        size(*freed_bytes),
        things(gone.len()),
        size(*kept_bytes)
    );
    let mut lines = wrap("", &head, columns);
    let mut biggest: Vec<_> = gone.iter().collect();
    biggest.sort_by_key(|gone| std::cmp::Reverse(gone.bytes));
    for gone in biggest.iter().take(SHOWN) {
        let what = name(gone.what);
        let text = format!("{} {}: {}", what, escape::line(&gone.name), escape::line(&gone.why));
        lines.extend(wrap(&format!("  {:>8}  ", size(gone.bytes)), &text, columns));
    }
    if biggest.len() > SHOWN {
        let rest = format!("and {} more: --output json has them", biggest.len() - SHOWN);
        lines.extend(wrap("            ", &rest, columns));
    }
    if !kept.is_empty() {
        lines.extend([String::new(), output.paint(Ink::Strong, "Kept")]);
    }
    for kept in kept {
        let what = name(kept.what);
        let who = match &kept.name {
            Some(task) => format!("{what} {}", escape::line(task)),
            None => format!("{what} ({})", kept.count),
        };
        let text = format!("{who}: {}", escape::line(&kept.why));
        lines.extend(wrap(&format!("  {:>8}  ", size(kept.bytes)), &text, columns));
    }
    if !busy.is_empty() {
        let title = "Could not be removed; it is tried again next time";
        lines.extend([String::new(), output.paint(Ink::Bad, title)]);
    }
    for busy in busy {
        let text = format!("{}: {}", escape::line(&busy.path), escape::line(&busy.error));
        lines.extend(wrap("  ", &text, columns));
    }
    lines
}

fn name(what: What) -> &'static str {
    match what {
        What::Runs => "runs of",
        What::Homes => "homes of",
        What::Base => "base",
        What::Deps => "dependencies",
        What::SavedWork => "saved work of",
        What::Door => "sockets",
        What::Trash => "trash",
        What::Checks => "checks of bases:",
    }
}

fn things(count: usize) -> String {
    if count == 1 { "1 thing".to_owned() } else { format!("{count} things") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{Format, Terminal};
    use midwatch_api::gc::{Busy, Gone, Kept};

    #[test]
    fn ages_and_sizes_have_units_and_ranges() {
        assert_eq!((age("7d"), age("0s"), bytes("500M")), (Ok(604_800), Ok(0), Ok(500 << 20)));
        assert_eq!((bytes("0"), bytes("10G")), (Ok(0), Ok(10 << 30)));
        for bad in ["", "7", "d", "-1d", "1.5h", "99999999999999999999d", "9999999999999999d"] {
            assert!(age(bad).is_err_and(|problem| problem.exit == 2), "{bad}");
        }
        for bad in ["", "G", "-1", "1T", "99999999999999999999", "9999999999999G"] {
            assert!(bytes(bad).is_err_and(|problem| problem.exit == 2), "{bad}");
        }
        assert_eq!(
            [0, 1023, 1536, 20 << 20, 7 << 40].map(size),
            ["0 B", "1023 B", "1.5 KiB", "20 MiB", "7.0 TiB"]
        );
    }

    #[test]
    fn what_stays_is_told_with_its_reason_and_fits_a_phone() {
        let collection = Collection {
            kind: "gc".into(),
            version: 1,
            dry_run: true,
            freed_bytes: 5 << 20,
            kept_bytes: 9,
            gone: vec![Gone {
                what: What::Runs,
                name: "old-1a2b".into(),
                bytes: 5 << 20,
                why: "the task ended long ago".into(),
            }],
            kept: vec![Kept {
                what: What::SavedWork,
                name: Some("lost\x1b[2J".into()),
                count: 1,
                bytes: 9,
                why: "no branch of the repository has refs/midwatch/rescue/lost/4".into(),
            }],
            busy: vec![Busy { path: "/x".into(), error: "busy".into() }],
        };
        let lines = lines(Output::new(Format::Text, Terminal::Plain), &collection, 40);
        let text = lines.join("\n");
        assert!(lines.iter().all(|line| line.chars().count() <= 50), "{text}");
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            "Would free 5.0 MiB in 1 thing; 9 B stay.",
            "runs of old-1a2b: the task ended long ago",
            "saved work of lost\\u{1b}[2J: no branch of the repository",
            "Could not be removed",
        ] {
            assert!(words.contains(part), "{part}: {words}");
        }
        assert!(!text.contains('\x1b'));
    }
}
