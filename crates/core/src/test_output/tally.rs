//! What one reader has counted so far.

use std::collections::BTreeSet;

use super::MAX_FAILING;

/// The longest name that is kept, in bytes.
const MAX_NAME: usize = 512;

/// Reads the lines of one runner. Lines of others pass by without effect.
pub(super) trait Reader {
    /// One line, without colours and line end.
    fn line(&mut self, line: &str);
    /// What was said; `None` when this runner is not in the log.
    fn finish(self: Box<Self>) -> Option<Tally>;
}

/// Counts and names of one runner.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) executed: u64,
    pub(super) failed: u64,
    pub(super) names: Names,
    /// The runner is in the log, but does not say how many tests it ran.
    pub(super) uncounted: bool,
}

impl Tally {
    pub(super) fn ran(&mut self, count: u64) {
        self.executed = self.executed.saturating_add(count);
    }

    pub(super) fn fail(&mut self, count: u64) {
        self.failed = self.failed.saturating_add(count);
    }
}

/// Names of failing tests, bounded.
#[derive(Debug, Default)]
pub(super) struct Names {
    set: BTreeSet<String>,
    /// Something was cut off or left out.
    lost: bool,
}

impl Names {
    pub(super) fn add(&mut self, name: &str) {
        let name = name.trim();
        if name.is_empty() {
            return;
        }
        let mut end = name.len().min(MAX_NAME);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        self.lost |= end < name.len();
        let name = &name[..end];
        if self.set.len() < MAX_FAILING {
            self.set.insert(name.to_owned());
        } else if !self.set.contains(name) {
            self.lost = true;
        }
    }

    pub(super) fn extend(&mut self, other: &Self) {
        other.set.iter().for_each(|name| self.add(name));
        self.lost |= other.lost;
    }

    pub(super) fn len(&self) -> u64 {
        self.set.len() as u64
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// One name for each failure: two failures of one name, or a line of output that looked
    /// like a name, make the set useless for a comparison.
    pub(super) fn is_whole(&self, failed: u64) -> bool {
        !self.lost && self.len() == failed
    }

    pub(super) fn into_sorted(self) -> Vec<String> {
        self.set.into_iter().collect()
    }
}

/// A count of at most nine digits; nobody runs a milliard tests.
pub(super) fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let plain = (1..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// `3 failed` as `(3, "failed")`.
pub(super) fn counted(text: &str) -> Option<(u64, &str)> {
    let (count, what) = text.trim().split_once(' ')?;
    Some((number(count)?, what.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_say_so() {
        let mut names = Names::default();
        names.add("  ");
        names.add(" a ");
        names.add("a");
        assert!(names.is_whole(1));
        let mut long = Names::default();
        long.add(&"é".repeat(MAX_NAME));
        assert!(!long.is_whole(1));
        for i in 0..2000 {
            names.add(&i.to_string());
        }
        assert_eq!(names.len(), 1000);
        assert!(!names.is_whole(1000));
    }

    #[test]
    fn counts_are_short_and_plain() {
        assert_eq!(counted(" 3  failed"), Some((3, "failed")));
        for text in ["", "x", "-1", "+1", "1234567890", "٣"] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
