//! `go test`, as text and as `-json`.

use std::collections::BTreeSet;

use super::MAX_FAILING;
use super::tally::{Names, Reader, Tally};
use crate::detect::json::Json;

/// Text: tests first, then the line of their package, which may say that nothing ran.
/// Subtests count as tests.
#[derive(Debug, Default)]
pub(super) struct Text {
    tally: Tally,
    seen: bool,
    package: Package,
}

/// What was seen since the last package line.
#[derive(Debug, Default)]
struct Package {
    started: u64,
    passed: u64,
    failed: u64,
    skipped: u64,
    failing: Names,
}

impl Reader for Text {
    fn line(&mut self, line: &str) {
        if line.starts_with("=== RUN ") {
            self.package.started += 1;
        } else if let Some(result) = line.trim_start().strip_prefix("--- ") {
            self.result(result);
        } else if let Some(rest) = line.strip_prefix("ok  \t") {
            self.seen = true;
            let nothing = rest.contains("[no tests to run]");
            self.end_package(None, nothing);
        } else if let Some(rest) = line.strip_prefix("FAIL\t") {
            self.seen = true;
            let package = rest.split([' ', '\t']).next().unwrap_or(rest);
            let unbuilt = rest.ends_with("[build failed]") || rest.ends_with("[setup failed]");
            self.end_package(Some(package), unbuilt);
        } else if line.starts_with("?   \t") && line.contains("[no test files]") {
            self.seen = true;
        }
    }

    fn finish(mut self: Box<Self>) -> Option<Tally> {
        if self.package.failed + self.package.passed > 0 {
            // The log ends before the line of the package: the run was cut off.
            self.end_package(None, true);
        }
        self.seen.then_some(self.tally)
    }
}

impl Text {
    fn result(&mut self, result: &str) {
        let Some((verdict, test)) = result.split_once(": ") else {
            return;
        };
        let name = test.rsplit_once(" (").map_or(test, |(name, _)| name);
        match verdict {
            "PASS" => self.package.passed += 1,
            "SKIP" => self.package.skipped += 1,
            "FAIL" => {
                self.package.failed += 1;
                self.package.failing.add(name);
            }
            _ => {}
        }
    }

    /// `nothing`: the package line itself explains that no test ran.
    fn end_package(&mut self, failed: Option<&str>, nothing: bool) {
        let package = std::mem::take(&mut self.package);
        // `-v` alone says `=== RUN`. A test that prints without a line end hides its own
        // verdict line, so the starts are counted too.
        let told = package.started > 0;
        self.tally.uncounted |= !told && !nothing;
        let ended = package.passed + package.failed;
        self.tally.ran(ended.max(package.started.saturating_sub(package.skipped)));
        self.tally.fail(package.failed);
        let path = failed.unwrap_or_default();
        for name in package.failing.into_sorted() {
            self.tally.names.add(&format!("{path}.{name}"));
        }
        if let (Some(path), 0) = (failed, package.failed) {
            self.tally.fail(1);
            self.tally.names.add(path);
        }
    }
}

/// `go test -json`: one event a line.
#[derive(Debug, Default)]
pub(super) struct Events {
    tally: Tally,
    seen: bool,
    /// Packages that have a failing test, so that their own failure is not counted again.
    red: BTreeSet<String>,
}

impl Reader for Events {
    fn line(&mut self, line: &str) {
        if !line.starts_with('{') || !line.contains("\"Action\":") {
            return;
        }
        let Some(event) = Json::parse(line) else {
            return;
        };
        let text = |key: &str| event.get(key).and_then(Json::as_str);
        let (Some(action), Some(package)) = (text("Action"), text("Package")) else {
            return;
        };
        self.seen = true;
        match (action, text("Test")) {
            ("pass", Some(_)) => self.tally.ran(1),
            ("fail", Some(test)) => {
                self.tally.ran(1);
                self.tally.fail(1);
                self.tally.names.add(&format!("{package}.{test}"));
                if self.red.len() < MAX_FAILING {
                    self.red.insert(package.to_owned());
                }
            }
            ("fail", None) if !self.red.contains(package) => {
                self.tally.fail(1);
                self.tally.names.add(package);
            }
            _ => {}
        }
    }

    fn finish(self: Box<Self>) -> Option<Tally> {
        self.seen.then_some(self.tally)
    }
}
