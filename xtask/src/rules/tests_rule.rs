//! How tests are built and what they may not do.

use std::collections::BTreeSet;

use crate::repository::{Repository, split_tests};
use crate::rules::Finding;

/// Words that make a line with a sleep acceptable when they stand on it or just above: the sleep
/// is the pause of a loop with a deadline that looks at a condition.
const POLLS: &str = "// polls:";

/// A crate has at most one test binary, because each links everything again.
pub fn one_binary(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for folder in repository.crate_folders() {
        let tests = format!("{folder}/tests/");
        let mut binaries = BTreeSet::new();
        for (path, _) in repository.below(&tests) {
            let place = &path[tests.len()..];
            let single = !place.contains('/') && crate::repository::has_extension(place, "rs");
            if single || place.matches('/').count() == 1 && place.ends_with("/main.rs") {
                binaries.insert(path);
            }
        }
        for extra in binaries.iter().skip(1) {
            findings
                .push(Finding::about(extra, "is a second test binary: make it a module of `it`"));
        }
    }
    findings
}

/// `testkit` is for `tests/it`: a unit test that named it would build its own crate twice.
pub fn testkit_stays_outside(repository: &Repository) -> Vec<Finding> {
    let name = concat!("midwatch_", "testkit");
    let in_src = |path: &str| path.contains("/src/") && !path.starts_with("crates/testkit/");
    let files = repository.rust_files().filter(|(path, _)| in_src(path));
    lines_with(files, name)
        .map(|(path, line)| Finding::at(path, line, "testkit may be named in tests/it only"))
        .collect()
}

/// A test waits for a marker or a condition, never for time to pass.
pub fn no_sleep(repository: &Repository) -> Vec<Finding> {
    let sleeps = [concat!("thread::", "sleep"), concat!("time::", "sleep")];
    let mut findings = Vec::new();
    for (path, text) in repository.rust_files() {
        let all_tests = path.contains("/tests/") || path.ends_with("/tests.rs");
        let (code, tests) = if all_tests { ("", text) } else { split_tests(text) };
        let lines: Vec<_> = tests.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let polls = line.contains(POLLS) || number > 0 && lines[number - 1].contains(POLLS);
            if !polls && sleeps.iter().any(|sleep| line.contains(sleep)) {
                let what = format!("sleeps: wait for a marker, or say `{POLLS} why`");
                findings.push(Finding::at(path, code.lines().count() + number + 1, what));
            }
        }
    }
    findings
}

/// An ignored test is forgotten. One that cannot run on a machine says so when it is run.
pub fn no_ignored(repository: &Repository) -> Vec<Finding> {
    lines_with(repository.rust_files(), concat!("#[ig", "nore"))
        .map(|(path, line)| Finding::at(path, line, "print `NOT RUN: why` instead of ignoring"))
        .collect()
}

fn lines_with<'a>(
    files: impl Iterator<Item = (&'a str, &'a str)>,
    word: &'static str,
) -> impl Iterator<Item = (&'a str, usize)> {
    files.flat_map(move |(path, text)| {
        let numbered = text.lines().enumerate();
        numbered.filter(move |(_, line)| line.contains(word)).map(move |(at, _)| (path, at + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_test_binary_is_found() {
        let repository = Repository::of(&[
            ("crates/git/Cargo.toml", ""),
            ("crates/git/tests/it/main.rs", ""),
            ("crates/git/tests/it/hostile.rs", ""),
            ("crates/git/tests/slow.rs", ""),
            ("crates/api/Cargo.toml", ""),
            ("crates/api/tests/it/main.rs", ""),
            ("crates/api/tests/fixtures/order.json", ""),
        ]);
        let found = one_binary(&repository);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "crates/git/tests/slow.rs");
    }

    #[test]
    fn testkit_in_a_unit_test_is_found() {
        let line = concat!("    use midwatch_", "testkit::repo;\n");
        let unit = format!("#[cfg(test)]\nmod tests {{\n{line}}}\n");
        let repository = Repository::of(&[
            ("crates/git/src/gates.rs", &unit),
            ("crates/git/tests/it/hostile.rs", line),
            ("crates/testkit/src/lib.rs", line),
        ]);
        let found = testkit_stays_outside(&repository);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].path.as_str(), found[0].line), ("crates/git/src/gates.rs", 3));
    }

    #[test]
    fn a_sleep_in_a_test_is_found_unless_it_polls() {
        let sleep = concat!("    std::thread::", "sleep(PAUSE);\n");
        let in_code = format!("fn backoff() {{\n{sleep}}}\n");
        let in_tests = format!("fn a() {{}}\n\n#[cfg(test)]\nmod tests {{\n{sleep}}}\n");
        let polling = format!("    // polls: the report has no event\n{sleep}");
        let repository = Repository::of(&[
            ("crates/git/src/code.rs", &in_code),
            ("crates/git/src/tested.rs", &in_tests),
            ("crates/git/tests/it/polling.rs", &polling),
            ("crates/git/tests/it/sleepy.rs", sleep),
        ]);
        let found: Vec<_> = no_sleep(&repository).into_iter().map(|f| (f.path, f.line)).collect();
        let expected = [("crates/git/src/tested.rs", 5), ("crates/git/tests/it/sleepy.rs", 1)];
        assert_eq!(found, expected.map(|(path, line)| (path.to_owned(), line)));
    }

    #[test]
    fn an_ignored_test_is_found() {
        let text = concat!("#[test]\n#[ig", "nore = \"slow\"]\nfn a() {}\n");
        assert_eq!(no_ignored(&Repository::of(&[("a.rs", text)])).len(), 1);
    }
}
