//! The rules of the repository. Each takes the files and returns what breaks it.

use std::fmt;

use crate::repository::Repository;

pub mod absences;
pub mod arrows;
pub mod counts;
pub mod faults;
pub mod manifests;
pub mod modules;
pub mod sizes;
pub mod soak;
pub mod tests_rule;
pub mod texts;

/// One place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub path: String,
    /// The line from 1; 0 when the whole file is meant.
    pub line: usize,
    /// What is wrong and what to do instead.
    pub what: String,
}

impl Finding {
    /// A finding about a line.
    pub fn at(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }

    /// A finding about a whole file.
    pub fn about(path: &str, what: impl Into<String>) -> Self {
        Self::at(path, 0, what)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}: {}", self.path, self.what)
        } else {
            write!(f, "{}:{}: {}", self.path, self.line, self.what)
        }
    }
}

/// A rule: its name, and the function that finds what breaks it.
pub type Rule = (&'static str, fn(&Repository) -> Vec<Finding>);

/// Every rule. `tests/tidy.rs` runs them all, `cargo xtask tidy` prints what they find.
pub const ALL: &[Rule] = &[
    ("only known rooms", manifests::only_known_rooms),
    ("manifests follow the workspace", manifests::follow_the_workspace),
    ("no forbidden arrow between rooms", arrows::between_rooms),
    ("no fenced dependency outside its room", arrows::fenced_dependencies),
    ("pure rooms touch nothing outside", absences::pure_rooms),
    ("only the client reads the environment", absences::environment),
    ("unsafe code stays in two rooms", absences::unsafe_code),
    ("no file is too long", sizes::no_long_file),
    ("the soak belongs to these versions", soak::belongs),
    ("the page shows what the tests count", counts::are_shown),
    ("no catch-all file names and no mod.rs", modules::file_names),
    ("no forgotten source file", modules::no_orphan),
    ("one test binary per crate", tests_rule::one_binary),
    ("testkit stays in tests/it", tests_rule::testkit_stays_outside),
    ("no sleep in a test", tests_rule::no_sleep),
    ("no ignored test", tests_rule::no_ignored),
    ("every fault is tested", faults::every_fault_is_tested),
    ("no path of one machine", texts::no_machine_path),
    ("links lead somewhere inside", texts::links_lead_somewhere),
    ("the changelog names this version", texts::changelog_names_the_version),
];
