//! ctest.

use super::tally::{Reader, Tally, number};

/// `50% tests passed, 2 tests failed out of 4`, then what did not run and what failed.
#[derive(Debug, Default)]
pub(super) struct Ctest {
    tally: Tally,
    seen: bool,
    list: List,
}

#[derive(Debug, Default)]
enum List {
    #[default]
    None,
    NotRun,
    Failed,
}

impl Reader for Ctest {
    fn line(&mut self, line: &str) {
        if let Some((failed, total)) = closing(line) {
            self.seen = true;
            self.tally.ran(total);
            self.tally.fail(failed);
        } else if line == "The following tests did not run:" {
            self.list = List::NotRun;
        } else if line == "The following tests FAILED:" {
            self.list = List::Failed;
        } else if line == "No tests were found!!!" {
            self.seen = true;
        } else if let Some(name) = listed(line) {
            match self.list {
                // Skipped tests are in the total, disabled ones are not.
                List::NotRun if line.contains(" (Skipped)") => {
                    self.tally.executed = self.tally.executed.saturating_sub(1);
                }
                List::None | List::NotRun => {}
                List::Failed => self.tally.names.add(name),
            }
        } else {
            self.list = List::None;
        }
    }

    fn finish(self: Box<Self>) -> Option<Tally> {
        self.seen.then_some(self.tally)
    }
}

fn closing(line: &str) -> Option<(u64, u64)> {
    let (_, rest) = line.split_once("% tests passed, ")?;
    let (failed, total) = rest
        .split_once(" tests failed out of ")
        .or_else(|| rest.split_once(" test failed out of "))?;
    Some((number(failed)?, number(total)?))
}

/// A tab, the number, the name, and why: `2 - name (Failed)`.
fn listed(line: &str) -> Option<&str> {
    let (index, rest) = line.strip_prefix('\t')?.split_once(" - ")?;
    number(index)?;
    Some(rest.rsplit_once(" (").map_or(rest, |(name, _)| name))
}
