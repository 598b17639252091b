//! `cargo test` (libtest) and cargo nextest.

use super::tally::{Names, Reader, Tally, counted};

/// libtest: one `test result:` line for each binary and for doc-tests.
///
/// Names carry no binary: cargo writes `Running ...` to the other stream, whose order in a
/// log is not sure. One name failing in two binaries therefore makes the set not whole.
#[derive(Debug, Default)]
pub(super) struct CargoTest {
    tally: Tally,
    seen: bool,
    in_list: bool,
    /// The last list under `failures:`; the first one holds output.
    list: Names,
}

impl Reader for CargoTest {
    fn line(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.result(result);
        } else if line == "failures:" {
            self.list.clear();
            self.in_list = true;
        } else if self.in_list {
            match line.strip_prefix("    ") {
                Some(name) => self.list.add(name),
                None => self.in_list = false,
            }
        }
    }

    fn finish(self: Box<Self>) -> Option<Tally> {
        self.seen.then_some(self.tally)
    }
}

impl CargoTest {
    fn result(&mut self, result: &str) {
        let Some((_, counts)) = result.split_once(". ") else {
            return;
        };
        for (count, what) in counts.split(';').filter_map(counted) {
            match what {
                "passed" => {
                    self.seen = true;
                    self.tally.ran(count);
                }
                "measured" => self.tally.ran(count),
                "failed" => {
                    self.tally.ran(count);
                    self.tally.fail(count);
                }
                _ => {}
            }
        }
        self.tally.names.extend(&self.list);
        self.list.clear();
        self.in_list = false;
    }
}

/// nextest: one `Summary [ 0.1s] 3 tests run: 2 passed, 1 failed, 0 skipped` line, and after
/// it the failures again, as `FAIL [ 0.0s] (1/3) binary test`.
#[derive(Debug, Default)]
pub(super) struct Nextest {
    tally: Tally,
    seen: bool,
}

impl Reader for Nextest {
    fn line(&mut self, line: &str) {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("Summary [") {
            if let Some((_, counts)) = rest.split_once(" run: ") {
                self.summary(counts);
            }
        } else if self.seen {
            self.failure(line);
        }
    }

    fn finish(self: Box<Self>) -> Option<Tally> {
        self.seen.then_some(self.tally)
    }
}

impl Nextest {
    fn summary(&mut self, counts: &str) {
        for (count, what) in counts.split(',').filter_map(counted) {
            // Words may carry a remark: `2 passed (1 slow, 1 leaky)`.
            if what.starts_with("passed") {
                self.seen = true;
                self.tally.ran(count);
            } else if ["failed", "timed out", "exec failed"].iter().any(|w| what.starts_with(w)) {
                self.seen = true;
                self.tally.ran(count);
                self.tally.fail(count);
            }
        }
    }

    fn failure(&mut self, line: &str) {
        let Some((status, rest)) = line.split_once(" [") else {
            return;
        };
        let bad = ["FAIL", "TIMEOUT", "XFAIL", "ABORT"].contains(&status)
            || status.starts_with("SIG")
            || (status.starts_with("TRY ") && !status.ends_with(" PASS"));
        let Some((_, name)) = rest.split_once(']') else {
            return;
        };
        if !bad {
            return;
        }
        let name = name.trim_start();
        let name = match name.strip_prefix('(').and_then(|rest| rest.split_once(") ")) {
            Some((_, name)) => name,
            None => name,
        };
        self.tally.names.add(name);
    }
}
