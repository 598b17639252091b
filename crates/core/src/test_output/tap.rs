//! TAP (node --test, tape, bats, prove -v ...) and the spec reporter of node.

use super::tally::{Names, Reader, Tally, number};

/// Deeper subtests than this are named by the outermost ones.
const MAX_DEPTH: usize = 32;

/// TAP. Where a document ends with `# tests`, `# pass`, `# fail` (node, tape, mocha), these
/// are believed rather than the points, because they count nested tests.
#[derive(Debug, Default)]
pub(super) struct Tap {
    /// What the closing lines say.
    closing: Tally,
    closed: bool,
    /// Points at the outermost level since the last closing.
    points: Tally,
    planned: bool,
    version: bool,
    /// `# Subtest:` names that are open, with their indentation.
    open: Vec<(usize, String)>,
    /// A failed point; a `type: 'suite'` in its details takes it back.
    pending: Option<Failure>,
    nested: Names,
    outer: Names,
}

#[derive(Debug)]
struct Failure {
    indent: usize,
    path: String,
}

impl Reader for Tap {
    fn line(&mut self, line: &str) {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if let Some(name) = text.strip_prefix("# Subtest: ") {
            self.settle();
            self.open.retain(|(at, _)| *at < indent);
            if self.open.len() < MAX_DEPTH {
                self.open.push((indent, name.to_owned()));
            }
        } else if let Some(point) = text.strip_prefix("not ok") {
            self.point(indent, point, false);
        } else if let Some(point) = text.strip_prefix("ok") {
            self.point(indent, point, true);
        } else if text.trim_end() == "type: 'suite'" {
            self.pending = None;
        } else if indent == 0 {
            self.document(line);
        }
    }

    fn finish(mut self: Box<Self>) -> Option<Tally> {
        self.settle();
        // Bare `ok 1` lines may be anything; a plan or a version makes them TAP.
        if !(self.closed || self.version || self.planned) {
            return None;
        }
        let mut tally = self.closing;
        tally.ran(self.points.executed);
        tally.fail(self.points.failed);
        let nested = self.closed && self.nested.is_whole(tally.failed);
        tally.names = if nested { self.nested } else { self.outer };
        Some(tally)
    }
}

impl Tap {
    fn point(&mut self, indent: usize, rest: &str, ok: bool) {
        let Some((description, directive)) = point(rest) else {
            return;
        };
        self.settle();
        let skipped = matches!(directive, Directive::Skip | Directive::Todo);
        if indent == 0 && !skipped {
            self.points.ran(1);
            self.points.fail(u64::from(!ok));
        }
        if !ok && !skipped {
            let mut path = String::new();
            for (at, name) in &self.open {
                if *at < indent {
                    path.push_str(name);
                    path.push_str(" > ");
                }
            }
            // A point without a description is known by its number.
            path.push_str(if description.is_empty() { rest.trim() } else { description });
            self.pending = Some(Failure { indent, path });
        }
    }

    /// The details of a failed point are over: it was a test.
    fn settle(&mut self) {
        if let Some(failure) = self.pending.take() {
            self.nested.add(&failure.path);
            if failure.indent == 0 {
                self.outer.add(&failure.path);
            }
        }
    }

    fn document(&mut self, line: &str) {
        if line.starts_with("TAP version ") {
            self.version = true;
        } else if let Some(plan) = line.strip_prefix("1..") {
            let count = plan.split(' ').next().unwrap_or(plan);
            self.planned |= number(count).is_some();
        } else if let Some((word, count)) = comment_count(line, "# ") {
            match word {
                "tests" => {
                    self.settle();
                    self.points = Tally::default();
                }
                "pass" => {
                    self.closed = true;
                    self.closing.ran(count);
                }
                "fail" | "cancelled" => {
                    self.closing.ran(count);
                    self.closing.fail(count);
                }
                _ => {}
            }
        }
    }
}

enum Directive {
    None,
    Skip,
    Todo,
}

/// What follows `ok`: ` 3 - description # SKIP why`. `None` where it is no point at all.
fn point(rest: &str) -> Option<(&str, Directive)> {
    let rest = rest.strip_prefix(' ')?;
    let (count, description) = rest.split_once(' ').unwrap_or((rest, ""));
    let description = match number(count) {
        Some(_) => description.trim_start().strip_prefix("- ").unwrap_or(description),
        None => rest.strip_prefix("- ")?,
    };
    let Some((before, directive)) = description.rsplit_once(" # ") else {
        return Some((description, Directive::None));
    };
    let word: String = directive.chars().take(4).collect();
    Some(match word.to_ascii_lowercase().as_str() {
        "skip" => (before, Directive::Skip),
        "todo" => (before, Directive::Todo),
        _ => (description, Directive::None),
    })
}

/// `# tests 3` as `("tests", 3)`.
fn comment_count<'a>(line: &'a str, mark: &str) -> Option<(&'a str, u64)> {
    let (word, count) = line.strip_prefix(mark)?.split_once(' ')?;
    Some((word, number(count)?))
}

/// The spec reporter of node: `ℹ tests 3`; names under `✖ failing tests:`, each after the
/// line with its place.
#[derive(Debug, Default)]
pub(super) struct NodeSpec {
    tally: Tally,
    seen: bool,
    in_failing: bool,
    file: Option<String>,
}

impl Reader for NodeSpec {
    fn line(&mut self, line: &str) {
        if let Some((word, count)) = comment_count(line, "ℹ ") {
            match word {
                "pass" => {
                    self.seen = true;
                    self.tally.ran(count);
                }
                "fail" | "cancelled" => {
                    self.tally.ran(count);
                    self.tally.fail(count);
                }
                _ => {}
            }
            self.in_failing = false;
        } else if line == "✖ failing tests:" {
            self.in_failing = true;
        } else if let Some(place) = line.strip_prefix("test at ") {
            // Lines move with every edit, so only the file belongs to the name.
            self.file = place.rsplitn(3, ':').nth(2).map(str::to_owned);
        } else if self.in_failing
            && let Some(name) = line.strip_prefix("✖ ")
            && let Some(file) = self.file.take()
        {
            self.failure(&file, name);
        }
    }

    fn finish(self: Box<Self>) -> Option<Tally> {
        self.seen.then_some(self.tally)
    }
}

impl NodeSpec {
    fn failure(&mut self, file: &str, name: &str) {
        if name.ends_with(" # TODO") || name.ends_with(" # SKIP") {
            return;
        }
        let name = name.rsplit_once(" (").map_or(name, |(name, _)| name);
        self.tally.names.add(&format!("{file} > {name}"));
    }
}
