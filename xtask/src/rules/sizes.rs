//! How long a file may be.

use crate::repository::{Repository, split_tests};
use crate::rules::Finding;

/// The most lines of a Rust file, its test module at the foot aside. One idea fits into 250;
/// beyond 700 nobody finds anything.
pub const LONGEST: usize = 700;

/// No Rust file is longer than [`LONGEST`] without its tests.
pub fn no_long_file(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in repository.rust_files() {
        let lines = split_tests(text).0.lines().count();
        if lines > LONGEST {
            let what = format!("has {lines} lines without its tests, {LONGEST} at most: split it");
            findings.push(Finding::about(path, what));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_found_and_long_tests_are_not_counted() {
        let long = "fn a() {}\n".repeat(LONGEST + 1);
        let tested =
            format!("{}#[cfg(test)]\nmod tests {{\n{long}}}\n", "fn a() {}\n".repeat(LONGEST));
        let repository = Repository::of(&[("a.rs", &long), ("b.rs", &tested), ("c.md", &long)]);
        let found = no_long_file(&repository);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "a.rs");
    }
}
