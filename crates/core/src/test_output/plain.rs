//! Any other runner that closes with its counts: `3 passed, 1 failed`.

use super::tally::{Reader, Tally, number};

/// Lines that name both passed and failed, in any order and punctuation, with the count
/// before the word (`3 passed, 1 failed`, `ok | 3 passed | 0 failed`) or after a colon
/// (`Failed: 0, Passed: 3`). Used only where no runner was recognised.
#[derive(Debug, Default)]
pub(super) struct Plain {
    tally: Tally,
    seen: bool,
}

impl Reader for Plain {
    fn line(&mut self, line: &str) {
        let words: Vec<&str> = line
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == ':' || c == '.'))
            .filter(|word| !word.is_empty())
            .take(64)
            .collect();
        let find = |name: &str| {
            words.iter().enumerate().find_map(|(index, word)| {
                let before = || index.checked_sub(1).and_then(|at| number(words.get(at)?));
                let after = || number(words.get(index + 1)?);
                match word.strip_suffix(':') {
                    Some(word) if word.eq_ignore_ascii_case(name) => after(),
                    None if word.eq_ignore_ascii_case(name) => before(),
                    _ => None,
                }
            })
        };
        if let (Some(passed), Some(failed)) = (find("passed"), find("failed")) {
            self.seen = true;
            self.tally.ran(passed.saturating_add(failed));
            self.tally.fail(failed);
        }
    }

    fn finish(self: Box<Self>) -> Option<Tally> {
        self.seen.then_some(self.tally)
    }
}
