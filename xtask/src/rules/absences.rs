//! What rooms must not touch: the sentence "knows nothing about ..." as a test.

use crate::repository::{Repository, has_extension, split_tests};
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

/// Where environment variables may be read: the client finds what a user has, and hands it to the
/// server, whose own environment decides nothing. A runner is a process of its own.
const READS_ENVIRONMENT: [&str; 4] = ["crates/app/", "crates/testkit/", "xtask/", "crates/runner/"];

/// Rooms that talk to the kernel below the safe wrappers.
const UNSAFE: [&str; 2] = ["runner", "sandbox"];

/// Code of a pure room names nothing of [`OUTSIDE`].
pub fn pure_rooms(repository: &Repository) -> Vec<Finding> {
    let pure = |room: &str| PURE.contains(&room);
    named_in(repository, pure, OUTSIDE, |room, way| {
        format!("{room} is pure and may not name {way}")
    })
}

/// Nobody but [`READS_ENVIRONMENT`] reads environment variables, except those of our own name.
pub fn environment(repository: &Repository) -> Vec<Finding> {
    let what = |room: &str, _: &str| format!("{room} may not read the environment");
    let mut findings = named_in(repository, |_| true, &[concat!("env::", "var")], what);
    findings.retain(|found| {
        let line = repository.file(&found.path).and_then(|text| text.lines().nth(found.line - 1));
        let ours = line.is_some_and(|line| line.contains("MIDWATCH_"));
        !ours && !READS_ENVIRONMENT.iter().any(|place| found.path.starts_with(place))
    });
    findings
}

/// Only [`UNSAFE`] rooms hold unsafe code.
pub fn unsafe_code(repository: &Repository) -> Vec<Finding> {
    let others = |room: &str| !UNSAFE.contains(&room);
    let words = [concat!("unsafe", " {"), concat!("unsafe", " fn"), concat!("unsafe", " impl")];
    named_in(repository, others, &words, |room, _| format!("{room} may hold no unsafe code"))
}

/// Lines of code, tests and comments aside, that hold one of the words, in the chosen rooms.
fn named_in(
    repository: &Repository,
    chosen: impl Fn(&str) -> bool,
    words: &[&str],
    what: impl Fn(&str, &str) -> String,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for folder in repository.crate_folders() {
        let room = folder.rsplit('/').next().unwrap_or(folder);
        let source = format!("{folder}/src/");
        // A file that holds only tests (`foo/tests.rs`) is no code of the room.
        let code = |path: &str| has_extension(path, "rs") && !path.ends_with("/tests.rs");
        for (path, text) in repository.below(&source).filter(|(path, _)| chosen(room) && code(path))
        {
            for (number, line) in split_tests(text).0.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                if let Some(word) = words.iter().find(|word| code.contains(**word)) {
                    findings.push(Finding::at(path, number + 1, what(room, word)));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places that a rule finds among the given files, each in a crate with a manifest.
    fn found(
        rule: fn(&Repository) -> Vec<Finding>,
        files: &[(&str, &str)],
    ) -> Vec<(String, usize)> {
        let manifests = ["core", "agents", "engine", "local", "app", "sandbox", "broker"]
            .map(|room| format!("crates/{room}/Cargo.toml"));
        let mut all: Vec<_> = manifests.iter().map(|path| (path.as_str(), "")).collect();
        all.extend(files);
        rule(&Repository::of(&all))
            .into_iter()
            .map(|finding| (finding.path, finding.line))
            .collect()
    }

    #[test]
    fn a_clock_or_a_file_in_a_pure_room_is_found_but_not_in_its_tests() {
        let found = found(
            pure_rooms,
            &[
                ("crates/core/src/decide.rs", "fn now() {\n    SystemTime::now();\n}\n"),
                ("crates/agents/src/a.rs", "// std::fs is for others\nuse std::fs;\n"),
                (
                    "crates/engine/src/b.rs",
                    "fn b() {}\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n",
                ),
                ("crates/local/src/c.rs", "use std::fs;\n"),
            ],
        );
        let expected = [("crates/agents/src/a.rs", 2), ("crates/core/src/decide.rs", 2)];
        assert_eq!(found, expected.map(|(path, line)| (path.to_owned(), line)));
    }

    #[test]
    fn reading_the_environment_is_found_outside_the_client() {
        let read = concat!("let home = std::env::", "var_os(\"HOME\");\n");
        let files = [("crates/broker/src/a.rs", read), ("crates/app/src/b.rs", read)];
        assert_eq!(found(environment, &files), [("crates/broker/src/a.rs".to_owned(), 1)]);
    }

    #[test]
    fn unsafe_code_is_found_outside_the_two_rooms() {
        let code = concat!("// why\nunsafe", " { fork() }\n");
        let files = [("crates/local/src/a.rs", code), ("crates/sandbox/src/b.rs", code)];
        assert_eq!(found(unsafe_code, &files), [("crates/local/src/a.rs".to_owned(), 2)]);
    }
}
