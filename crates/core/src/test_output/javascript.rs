//! jest, vitest and mocha.

use super::tally::{Names, Reader, Tally, counted};

/// jest: `Tests: 1 failed, 2 passed, 3 total`; names as bullets under `FAIL file`.
#[derive(Debug, Default)]
pub(super) struct Jest {
    tally: Tally,
    seen: bool,
    /// The file of the last `FAIL` line; `None` under `PASS`.
    file: Option<String>,
    /// Files that could not be loaded; jest counts them as suites, not as tests.
    unloaded: Names,
}

impl Reader for Jest {
    fn line(&mut self, line: &str) {
        if let Some(file) = line.strip_prefix("FAIL ") {
            // A slow file carries its time: `FAIL a.test.js (5.1 s)`.
            let timed = file.rsplit_once(" (").filter(|(_, time)| time.ends_with(" s)"));
            self.file = Some(timed.map_or(file, |(file, _)| file).trim().to_owned());
        } else if line.starts_with("PASS ") {
            self.file = None;
        } else if let Some(name) = line.strip_prefix("  ● ") {
            self.bullet(name.trim());
        } else if let Some(counts) = line.strip_prefix("Tests: ") {
            self.summary(counts);
        } else if line.starts_with("No tests found, exiting with code ") {
            self.seen = true;
        }
    }

    fn finish(mut self: Box<Self>) -> Option<Tally> {
        self.tally.fail(self.unloaded.len());
        self.tally.names.extend(&self.unloaded);
        self.seen.then_some(self.tally)
    }
}

impl Jest {
    fn bullet(&mut self, name: &str) {
        let Some(file) = &self.file else { return };
        match name {
            "Console" => {}
            "Test suite failed to run" => self.unloaded.add(file),
            name => self.tally.names.add(&format!("{file} › {name}")),
        }
    }

    fn summary(&mut self, counts: &str) {
        let counts: Vec<_> = counts.split(',').filter_map(counted).collect();
        if !counts.iter().any(|(_, what)| *what == "total") {
            return;
        }
        self.seen = true;
        for (count, what) in counts {
            count_words(&mut self.tally, count, what);
        }
    }
}

/// vitest: `Tests  1 failed | 2 passed (3)`; names as `FAIL  file > suite > test`.
#[derive(Debug, Default)]
pub(super) struct Vitest {
    tally: Tally,
    seen: bool,
    unloaded: Names,
}

impl Reader for Vitest {
    fn line(&mut self, line: &str) {
        let line = line.trim();
        if let Some(name) = line.strip_prefix("FAIL  ") {
            // A file that could not be loaded is named twice: `a.test.js [ a.test.js ]`.
            match name.split_once(" [ ") {
                Some((file, rest)) if rest.ends_with(" ]") => self.unloaded.add(file),
                _ => self.tally.names.add(name),
            }
        } else if let Some(counts) = line.strip_prefix("Tests  ") {
            self.summary(counts.trim());
        } else if let Some((count, "error" | "errors")) =
            line.strip_prefix("Errors  ").and_then(counted)
        {
            // Unhandled errors outside of any test make the run fail too.
            self.tally.fail(count);
        } else if line.starts_with("No test files found, exiting with code ") {
            self.seen = true;
        }
    }

    fn finish(mut self: Box<Self>) -> Option<Tally> {
        self.tally.fail(self.unloaded.len());
        self.tally.names.extend(&self.unloaded);
        self.seen.then_some(self.tally)
    }
}

impl Vitest {
    fn summary(&mut self, counts: &str) {
        if counts == "no tests" {
            self.seen = true;
            return;
        }
        let Some((counts, total)) = counts.rsplit_once(" (") else {
            return;
        };
        if !total.ends_with(')') {
            return;
        }
        for (count, what) in counts.split('|').filter_map(counted) {
            self.seen = true;
            count_words(&mut self.tally, count, what);
        }
    }
}

fn count_words(tally: &mut Tally, count: u64, what: &str) {
    match what {
        "passed" => tally.ran(count),
        "failed" => {
            tally.ran(count);
            tally.fail(count);
        }
        _ => {}
    }
}

/// mocha: `2 passing (8ms)`, `1 failing`, then each failure as `1) suite` and deeper lines up
/// to a colon.
#[derive(Debug, Default)]
pub(super) struct Mocha {
    tally: Tally,
    seen: bool,
    /// The number of the next failure, once `N failing` was said.
    next: Option<u64>,
    /// The titles of a failure whose last one has not come yet.
    titles: Vec<String>,
}

/// Deeper titles than this are not titles.
const MAX_TITLES: usize = 20;

impl Reader for Mocha {
    fn line(&mut self, line: &str) {
        let trimmed = line.trim();
        match counted(trimmed) {
            Some((count, what)) if what.starts_with("passing (") => {
                self.seen = true;
                self.next = None;
                self.tally.ran(count);
            }
            Some((count, "failing")) => {
                self.tally.ran(count);
                self.tally.fail(count);
                self.next = Some(1);
                self.titles.clear();
            }
            _ => self.title(line, trimmed),
        }
        if trimmed.starts_with("Error: No test files found") {
            self.seen = true;
        }
    }

    fn finish(self: Box<Self>) -> Option<Tally> {
        self.seen.then_some(self.tally)
    }
}

impl Mocha {
    fn title(&mut self, line: &str, trimmed: &str) {
        let Some(next) = self.next else { return };
        let mut title = trimmed;
        if let Some(rest) = trimmed.strip_prefix(&format!("{next}) "))
            && line.starts_with("  ")
        {
            self.titles.clear();
            title = rest;
        } else if self.titles.is_empty() {
            return;
        } else if trimmed.is_empty() || self.titles.len() >= MAX_TITLES {
            self.titles.clear();
            return;
        }
        let last = title.strip_suffix(':');
        self.titles.push(last.unwrap_or(title).to_owned());
        if last.is_some() {
            self.tally.names.add(&self.titles.join(" > "));
            self.titles.clear();
            self.next = next.checked_add(1);
        }
    }
}
