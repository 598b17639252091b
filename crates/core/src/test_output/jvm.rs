//! Maven's surefire and failsafe, and gradle.

use super::tally::{Reader, Tally, counted, number};

/// surefire: one `Tests run: 3, Failures: 1, Errors: 0, Skipped: 0` for each module; the
/// lines of single classes also have their time.
#[derive(Debug, Default)]
pub(super) struct Surefire {
    tally: Tally,
    seen: bool,
}

impl Reader for Surefire {
    fn line(&mut self, line: &str) {
        let line = ["[INFO] ", "[ERROR] ", "[WARNING] "]
            .iter()
            .find_map(|level| line.strip_prefix(level))
            .unwrap_or(line)
            .trim();
        if let Some(counts) = line.strip_prefix("Tests run: ") {
            self.module(counts);
        } else if line.ends_with("<<< FAILURE!") || line.ends_with("<<< ERROR!") {
            let name = line.split_once(" Time elapsed: ").map_or("", |(name, _)| name);
            self.tally.names.add(name.trim_end_matches(['-', ' ']));
        } else if line == "No tests to run." || line == "There are no tests to run." {
            self.seen = true;
        }
    }

    fn finish(self: Box<Self>) -> Option<Tally> {
        self.seen.then_some(self.tally)
    }
}

impl Surefire {
    fn module(&mut self, counts: &str) {
        let (mut run, mut failed, mut skipped) = (None, 0, 0);
        for (index, part) in counts.split(',').enumerate() {
            if index == 0 {
                run = number(part);
                continue;
            }
            let Some((what, count)) = part.split_once(':') else {
                return;
            };
            let Some(count) = number(count) else { return };
            match what.trim() {
                "Failures" | "Errors" => failed += count,
                "Skipped" => skipped += count,
                "Flakes" => {}
                // A class, or not ours.
                _ => return,
            }
        }
        let Some(run) = run else { return };
        self.seen = true;
        self.tally.ran(run.saturating_sub(skipped));
        self.tally.fail(failed);
    }
}

/// gradle says nothing about green tests unless it is configured to; then there is no count.
#[derive(Debug, Default)]
pub(super) struct Gradle {
    tally: Tally,
    is_ours: bool,
    counted: bool,
    passed_lines: u64,
    failed_lines: u64,
    test_tasks: u64,
    without_source: u64,
}

impl Reader for Gradle {
    fn line(&mut self, line: &str) {
        if let Some(task) = line.strip_prefix("> Task :") {
            self.is_ours = true;
            let (path, outcome) = task.split_once(' ').unwrap_or((task, ""));
            if path == "test" || path.ends_with(":test") {
                self.test_tasks += 1;
                self.without_source += u64::from(outcome == "NO-SOURCE");
            }
        } else if line.starts_with("BUILD SUCCESSFUL") || line.starts_with("BUILD FAILED") {
            self.is_ours = true;
        } else if let Some(name) = line.strip_suffix(" FAILED") {
            if name.contains(" > ") {
                self.failed_lines += 1;
                self.tally.names.add(name);
            }
        } else if line.ends_with(" PASSED") && line.contains(" > ") {
            self.passed_lines += 1;
        } else {
            self.completed(line);
        }
    }

    fn finish(mut self: Box<Self>) -> Option<Tally> {
        if !self.is_ours {
            return None;
        }
        if self.passed_lines > 0 {
            self.tally.executed = self.passed_lines.saturating_add(self.failed_lines);
            self.tally.failed = self.failed_lines;
            return Some(self.tally);
        }
        let empty = self.test_tasks > 0 && self.test_tasks == self.without_source;
        (self.counted || empty).then_some(self.tally)
    }
}

impl Gradle {
    /// `3 tests completed, 1 failed, 1 skipped`.
    fn completed(&mut self, line: &str) {
        if !line.contains(" completed, ") {
            return;
        }
        let mut run: Option<u64> = None;
        for (count, what) in line.split(',').filter_map(counted) {
            match what {
                "tests completed" | "test completed" => run = Some(count),
                "failed" if run.is_some() => self.tally.fail(count),
                "skipped" => run = run.map(|run| run.saturating_sub(count)),
                _ => {}
            }
        }
        if let Some(run) = run {
            self.counted = true;
            self.tally.ran(run);
        }
    }
}
