//! The page of reasons: why a task waits or failed, whose fault it is, what happens next.

use std::fmt::Write as _;

use anyhow::{Context, Result, bail};
use midwatch_core::reason::{FailReason, Fault, HoldReason, RetryRule};

use crate::generated::Generated;
use crate::repository::Repository;

/// The page.
pub const PAGE: &str = "docs/reference/reasons.md";

/// Where the enums stand. Their comments are the meanings on the page.
pub const SOURCES: [&str; 2] = ["crates/core/src/reason/hold.rs", "crates/core/src/reason/fail.rs"];

/// Makes the page.
pub fn page(repository: &Repository) -> Result<Generated> {
    let mut source = String::new();
    for path in SOURCES {
        source += repository.file(path).with_context(|| format!("{path} is missing"))?;
    }
    let mut text = String::from(
        "# Reasons\n\n<!-- Made by `make gen` from the code. -->\n\n\
         The same names stand in events, in the API and on the command line.\n\n\
         ## Why a task is held\n\n| Reason | Meaning | What you can do |\n|---|---|---|\n",
    );
    for reason in HoldReason::ALL {
        let meaning = meaning(&source, "HoldReason", reason.as_str())?;
        writeln!(text, "| `{reason}` | {meaning} | {} |", reason.hint())?;
    }
    text.push_str(
        "\n## Why a task or a run failed\n\n\
         | Reason | Meaning | Whose fault | What happens by itself | What you can do |\n\
         |---|---|---|---|---|\n",
    );
    for reason in FailReason::ALL {
        let facts = reason.facts();
        let meaning = meaning(&source, "FailReason", reason.as_str())?;
        let (fault, retry) = (fault(facts.fault), retry(facts.retry));
        writeln!(text, "| `{reason}` | {meaning} | {fault} | {retry} | {} |", facts.hint)?;
    }
    Ok(Generated { path: PAGE.to_owned(), text })
}

/// The doc comment of a variant, joined to one line and without its full stop.
fn meaning(source: &str, of: &str, variant: &str) -> Result<String> {
    let opening = format!("pub enum {of} {{\n");
    let start =
        source.find(&opening).with_context(|| format!("no enum {of} stands in {SOURCES:?}"))?;
    let mut words = Vec::new();
    for line in source[start + opening.len()..].lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("/// ") {
            words.push(comment);
        } else if line.trim_end_matches(',') == variant {
            return Ok(words.join(" ").trim_end_matches('.').to_owned());
        } else if line == "}" {
            break;
        } else {
            words.clear();
        }
    }
    bail!("{of}::{variant} has no comment in {SOURCES:?}")
}

fn fault(fault: Fault) -> &'static str {
    match fault {
        Fault::User => "the order, the repository or the machine's set-up",
        Fault::Agent => "the agent's work",
        Fault::Provider => "the model's provider or the forge",
        Fault::Machine => "the machine",
        Fault::Midwatch => "Midwatch",
    }
}

fn retry(rule: RetryRule) -> &'static str {
    match rule {
        RetryRule::Never => "nothing",
        RetryRule::Charged => "tried again after a pause, counted as an attempt",
        RetryRule::Once => "tried again once after a pause, counted as an attempt",
        RetryRule::Free => "tried again, not counted",
        RetryRule::HoldUntilReset => "held until the limit resets",
        RetryRule::HoldForLogin => "held until somebody logs in",
        RetryRule::HoldUntilThere => "held, and looked for after growing pauses",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meanings_are_read_from_comments() {
        let source = "pub enum A {\n    /// One\n    /// thing.\n    X,\n    /// Other.\n    Y,\n    Z,\n}\n";
        assert_eq!(meaning(source, "A", "X").unwrap(), "One thing");
        assert_eq!(meaning(source, "A", "Y").unwrap(), "Other");
        assert!(meaning(source, "A", "W").is_err());
        assert!(meaning(source, "B", "X").is_err());
    }
}
