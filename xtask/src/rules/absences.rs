//! What pure rooms must not touch: the sentence "knows nothing about ..." as a test.

use crate::repository::{Repository, split_tests};
use crate::rules::Finding;

/// Ways to the world outside a value: files, processes, sockets, environment, clocks.
const OUTSIDE: &[&str] = &[
    "std::fs",
    "std::process",
    "std::net",
    "std::env",
    "std::os",
    "std::thread",
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
];

/// Rooms that only compute. What their tests read (fixtures) is their own affair.
const PURE: [&str; 4] = ["core", "api", "agents", "engine"];

/// Code of a pure room names nothing of [`OUTSIDE`].
pub fn pure_rooms(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for room in PURE {
        for (path, text) in repository.below(&format!("crates/{room}/src/")) {
            // A file that holds only tests (`foo/tests.rs`) is no code of the room.
            if path.ends_with("/tests.rs") {
                continue;
            }
            for (number, line) in split_tests(text).0.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                if let Some(way) = OUTSIDE.iter().find(|way| code.contains(**way)) {
                    let what = format!("{room} is pure and may not name {way}");
                    findings.push(Finding::at(path, number + 1, what));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_or_a_file_in_a_pure_room_is_found_but_not_in_its_tests() {
        let repository = Repository::of(&[
            (
                "crates/core/src/decide.rs",
                "fn now() {\n    SystemTime::now();\n}\n",
            ),
            (
                "crates/agents/src/a.rs",
                "// std::fs is for others\nuse std::fs;\n",
            ),
            (
                "crates/engine/src/b.rs",
                "fn b() {}\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n",
            ),
            ("crates/local/src/c.rs", "use std::fs;\n"),
        ]);
        let found: Vec<_> = pure_rooms(&repository)
            .into_iter()
            .map(|f| (f.path, f.line))
            .collect();
        let expected = [
            ("crates/core/src/decide.rs", 2),
            ("crates/agents/src/a.rs", 2),
        ];
        assert_eq!(found, expected.map(|(path, line)| (path.to_owned(), line)));
    }
}
