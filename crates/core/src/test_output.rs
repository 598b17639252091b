//! What a test runner's log says: how many tests ran, how many failed and which.
//!
//! The log was written by the code under check, so everything here is a claim. It may only
//! make a verdict stricter (zero tests, fewer tests than on the base, other failures than on
//! the base); an exit code that came from outside the sandbox decides first.
//!
//! Every reader sees every line, so that a log of several runners (`make test`) is summed.
//! Time is linear in the log, memory is bounded by [`MAX_FAILING`] names for each reader.

mod cargo;
mod ctest;
mod go;
mod javascript;
mod jvm;
mod lines;
mod plain;
mod python;
mod tally;
mod tap;

use tally::{Reader, Tally};

/// The most failing names that are kept.
pub const MAX_FAILING: usize = 1000;

/// What the runners in a log said, summed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestReport {
    /// Tests that really ran: skipped, ignored and filtered ones are left out.
    pub executed: u64,
    /// Tests that failed, and files or packages that could not be built or loaded.
    pub failed: u64,
    /// The names of what failed: sorted, each once, at most [`MAX_FAILING`]. Not escaped.
    pub failing: Vec<String>,
    /// `failing` is the whole truth: as many names as failures, none cut off.
    pub named: bool,
}

/// Reads a log. `None`: no runner is known in it, or one that does not tell its counts
/// (`go test` without `-v`, a green `gradle test`).
pub fn parse(output: &str) -> Option<TestReport> {
    let mut readers: Vec<Box<dyn Reader>> = vec![
        Box::new(cargo::CargoTest::default()),
        Box::new(cargo::Nextest::default()),
        Box::new(go::Text::default()),
        Box::new(go::Events::default()),
        Box::new(python::Pytest::default()),
        Box::new(python::Unittest::default()),
        Box::new(javascript::Jest::default()),
        Box::new(javascript::Vitest::default()),
        Box::new(javascript::Mocha::default()),
        Box::new(tap::Tap::default()),
        Box::new(tap::NodeSpec::default()),
        Box::new(jvm::Surefire::default()),
        Box::new(jvm::Gradle::default()),
        Box::new(ctest::Ctest::default()),
    ];
    let mut plain = plain::Plain::default();
    for line in lines::lines(output) {
        for reader in &mut readers {
            reader.line(&line);
        }
        plain.line(&line);
    }
    let mut tallies: Vec<Tally> = readers.into_iter().filter_map(Reader::finish).collect();
    if tallies.is_empty() {
        // A bare "3 passed, 1 failed" is also part of what the known runners print.
        tallies.extend(Box::new(plain).finish());
    }
    sum(&tallies)
}

fn sum(tallies: &[Tally]) -> Option<TestReport> {
    if tallies.is_empty() || tallies.iter().any(|tally| tally.uncounted) {
        return None;
    }
    let mut all = Tally::default();
    for tally in tallies {
        all.ran(tally.executed);
        all.fail(tally.failed);
        all.names.extend(&tally.names);
    }
    let named = all.names.is_whole(all.failed);
    Some(TestReport {
        executed: all.executed,
        failed: all.failed,
        failing: all.names.into_sorted(),
        named,
    })
}

#[cfg(test)]
mod tests;
