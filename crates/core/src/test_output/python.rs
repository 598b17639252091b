//! pytest and unittest.

use super::tally::{Reader, Tally, counted, number};

/// pytest: the last line has the counts, the short summary before it the names.
#[derive(Debug, Default)]
pub(super) struct Pytest {
    tally: Tally,
    seen: bool,
    in_summary: bool,
    /// Files that could not be collected; they are errors, but no test ran.
    uncollected: u64,
}

impl Reader for Pytest {
    fn line(&mut self, line: &str) {
        if line.contains("= short test summary info =") {
            self.in_summary = true;
            self.uncollected = 0;
        } else if let Some(counts) = last_line(line) {
            self.summary(&counts);
        } else if self.in_summary {
            if let Some(rest) = line.strip_prefix("FAILED ") {
                self.tally.names.add(node_id(rest));
            } else if let Some(rest) = line.strip_prefix("ERROR ") {
                let id = node_id(rest);
                self.uncollected += u64::from(!id.contains("::"));
                // A test may fail and then break in its teardown: two entries.
                self.tally.names.add(&format!("{id} (error)"));
            }
        } else if let Some((_, rest)) = line.split_once("Interrupted: ")
            && let Some((count, what)) = counted(rest)
            && what.contains("during collection")
        {
            self.uncollected = count;
        }
    }

    fn finish(self: Box<Self>) -> Option<Tally> {
        self.seen.then_some(self.tally)
    }
}

impl Pytest {
    fn summary(&mut self, counts: &[(u64, &str)]) {
        self.seen = true;
        self.in_summary = false;
        let uncollected = std::mem::take(&mut self.uncollected);
        for &(count, what) in counts {
            match what {
                "passed" | "xfailed" | "xpassed" => self.tally.ran(count),
                "failed" => {
                    self.tally.ran(count);
                    self.tally.fail(count);
                }
                "error" | "errors" => {
                    self.tally.ran(count.saturating_sub(uncollected));
                    self.tally.fail(count);
                }
                "subtests failed" => self.tally.fail(count),
                _ => {}
            }
        }
    }
}

/// `=== 1 failed, 2 passed in 0.1s ===` or the same without the rules (`-q`).
fn last_line(line: &str) -> Option<Vec<(u64, &str)>> {
    const WORDS: [&str; 8] =
        ["passed", "failed", "error", "errors", "skipped", "deselected", "xfailed", "xpassed"];
    let (counts, time) = line.trim_matches(['=', ' ']).rsplit_once(" in ")?;
    let time = time.split(' ').next()?.strip_suffix('s')?;
    if time.is_empty() || !time.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    if counts == "no tests ran" {
        return Some(Vec::new());
    }
    let counts: Vec<_> = counts.split(", ").map(counted).collect::<Option<_>>()?;
    counts.iter().any(|(_, what)| WORDS.contains(what)).then_some(counts)
}

/// The node id of a summary line, whose message follows after ` - `. Parameters in brackets
/// may hold the same.
fn node_id(rest: &str) -> &str {
    let dash = rest.find(" - ").unwrap_or(rest.len());
    match rest.find('[') {
        Some(open) if open < dash => match rest.find("] - ") {
            Some(close) => &rest[..=close],
            None => rest,
        },
        _ => &rest[..dash],
    }
}

/// unittest (and Django, which uses its reports): `Ran 3 tests in 0.1s`, then `OK` or
/// `FAILED (failures=1)`; names under a double rule.
#[derive(Debug, Default)]
pub(super) struct Unittest {
    tally: Tally,
    seen: bool,
    after_rule: bool,
    after_ran: bool,
}

impl Reader for Unittest {
    fn line(&mut self, line: &str) {
        if line.len() == 70 && line.bytes().all(|b| b == b'=') {
            self.after_rule = true;
            return;
        }
        if std::mem::take(&mut self.after_rule) {
            for label in ["FAIL: ", "ERROR: ", "UNEXPECTED SUCCESS: "] {
                if let Some(name) = line.strip_prefix(label) {
                    self.tally.names.add(name);
                }
            }
        } else if let Some(count) = ran(line) {
            self.seen = true;
            self.after_ran = true;
            self.tally.ran(count);
        } else if self.after_ran && !line.is_empty() {
            self.after_ran = false;
            self.verdict(line);
        }
    }

    fn finish(self: Box<Self>) -> Option<Tally> {
        self.seen.then_some(self.tally)
    }
}

impl Unittest {
    fn verdict(&mut self, line: &str) {
        let Some((_, counts)) = line.split_once(" (") else {
            return;
        };
        for part in counts.trim_end_matches(')').split(", ") {
            let Some((what, count)) = part.split_once('=') else {
                continue;
            };
            let Some(count) = number(count) else { continue };
            match what {
                "failures" | "errors" | "unexpected successes" => self.tally.fail(count),
                "skipped" => self.tally.executed = self.tally.executed.saturating_sub(count),
                _ => {}
            }
        }
    }
}

/// `Ran 3 tests in 0.001s`.
fn ran(line: &str) -> Option<u64> {
    let (count, what) = counted(line.strip_prefix("Ran ")?)?;
    (what.starts_with("tests in ") || what.starts_with("test in ")).then_some(count)
}
