//! Names and ids, parsed once. A value of these types is known to be well formed.

use std::fmt;

use crate::input::InvalidInput;

/// The longest task name, in characters: a DNS-1123 label, because names become branches,
/// folders and (on a cluster) object names.
pub const TASK_NAME_MAX: usize = 63;

/// The longest branch name, in characters.
pub const BRANCH_NAME_MAX: usize = 200;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text as it was parsed.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// The name of a task: a DNS-1123 label of 1 to 63 characters.
    TaskName
}

text_id! {
    /// The name of a run: task, step and epoch joined by `-`.
    RunName
}

text_id! {
    /// The name of a step inside its pipeline: lower-case letters and digits.
    StepName
}

text_id! {
    /// A full commit id: 40 (SHA-1) or 64 (SHA-256) lower-case hex digits.
    CommitId
}

text_id! {
    /// A branch's short name under our own grammar, stricter than git's.
    BranchName
}

impl TaskName {
    /// Reads a task name.
    pub fn parse(text: &str) -> Result<Self, InvalidInput> {
        let bad = |rule: &str, fix: &str| Err(InvalidInput::new("name", text, rule, fix));
        if text.is_empty() {
            return bad("is required", "give a name such as fix-login");
        }
        let length = text.chars().count();
        if length > TASK_NAME_MAX {
            return bad(&format!("has {length} characters, {TASK_NAME_MAX} at most"), "shorten it");
        }
        if !is_label(text) {
            let suggestion = to_label(text);
            let fix = if suggestion.is_empty() {
                "use a name such as fix-login".to_owned()
            } else {
                format!("for example {suggestion}")
            };
            return bad(
                "must be lower-case ASCII letters, digits and '-', beginning and ending with a letter or digit",
                &fix,
            );
        }
        if is_device(text) {
            return bad("is the name of a device on Windows", &format!("for example {text}-1"));
        }
        Ok(Self(text.to_owned()))
    }

    /// Makes a name from a goal: its first words, and a suffix that keeps two alike goals apart.
    pub fn from_goal(goal: &str, suffix: &str) -> Self {
        let mut words = to_label(goal.lines().next().unwrap_or_default());
        words.truncate(40);
        let words = words.trim_matches('-');
        let words = if words.is_empty() { "task" } else { words };
        Self(format!("{words}-{suffix}"))
    }
}

impl RunName {
    /// The name of the run that a step starts at an epoch.
    pub fn new(task: &TaskName, step: &StepName, epoch: Epoch) -> Self {
        Self(format!("{task}-{step}-{epoch}"))
    }

    /// Reads a run name that was made by [`RunName::new`].
    pub fn parse(text: &str) -> Result<Self, InvalidInput> {
        if text.len() <= 200 && is_label(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidInput::new("run", text, "is not a run name", "copy it from `midwatch get`"))
        }
    }
}

impl StepName {
    /// Reads a step name. No `-`, so that no two runs of two tasks share a name.
    pub fn parse(text: &str) -> Result<Self, InvalidInput> {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        if (1..=40).contains(&text.len()) && text.bytes().all(inner) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidInput::new(
                "step",
                text,
                "must be 1 to 40 lower-case ASCII letters and digits",
                "for example implement",
            ))
        }
    }
}

impl StepName {
    /// The step of runs that belong to the task as a whole.
    pub fn task() -> Self {
        Self("task".to_owned())
    }
}

impl CommitId {
    /// Reads a full commit id.
    pub fn parse(text: &str) -> Result<Self, InvalidInput> {
        let hex = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if hex && (text.len() == 40 || text.len() == 64) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidInput::new(
                "commit",
                text,
                "must be 40 or 64 lower-case hex digits",
                "give the full id, `git rev-parse REF` prints it",
            ))
        }
    }

    /// The first ten digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..10]
    }
}

impl BranchName {
    /// Reads a branch's short name.
    pub fn parse(text: &str) -> Result<Self, InvalidInput> {
        match branch_fault(text) {
            None => Ok(Self(text.to_owned())),
            Some((rule, fix)) => Err(InvalidInput::new("branch", text, rule, fix)),
        }
    }
}

fn branch_fault(text: &str) -> Option<(&'static str, &'static str)> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._/-".contains(&b);
    if text.is_empty() {
        Some(("is required", "for example midwatch/fix-login"))
    } else if text.starts_with('-') {
        Some(("must not start with '-'", "begin with a letter"))
    } else if text.len() > BRANCH_NAME_MAX {
        Some(("is longer than 200 characters", "shorten it"))
    } else if text == "HEAD" || text == "@" || text.starts_with("refs/") {
        Some(("must be the short name of a branch", "leave refs/heads/ away"))
    } else if !text.bytes().all(allowed) {
        Some(("may hold only A-Z a-z 0-9 . _ / -", "replace the other characters"))
    } else if text.contains("..") || text.contains("//") || text.ends_with(['/', '.']) {
        Some(("must not hold '..' or '//' nor end with '/' or '.'", "see git check-ref-format"))
    } else if text.split('/').any(|part: &str| {
        part.is_empty() || part.starts_with(['.', '-']) || part.strip_suffix(".lock").is_some()
    }) {
        Some(("has a part that is empty, begins with '.' or '-', or ends with .lock", "rename it"))
    } else {
        None
    }
}

/// Counts every start of a run in a task; never reused; fences late reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u32);

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// Names that no file may have on Windows: ours become branches, which people check out there.
fn is_device(text: &str) -> bool {
    let numbered = |stem: &str| {
        text.strip_prefix(stem).is_some_and(|rest| matches!(rest.as_bytes(), [b'0'..=b'9']))
    };
    matches!(text, "con" | "prn" | "aux" | "nul") || numbered("com") || numbered("lpt")
}

fn to_label(text: &str) -> String {
    let mut label = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            label.push(c.to_ascii_lowercase());
        } else if !label.is_empty() && !label.ends_with('-') {
            label.push('-');
        }
    }
    label.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_names_follow_dns_1123_and_suggest_a_fix() {
        assert!(TaskName::parse("fix-login-2").is_ok());
        let error = TaskName::parse("Foo_Bar").unwrap_err();
        assert!(error.to_string().contains("foo-bar"), "{error}");
        for bad in ["", "-x", "x-", "..", "a/b", "con", "lpt1", "\u{202e}abc", &"a".repeat(64)] {
            assert!(TaskName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn branch_names_are_stricter_than_git() {
        for good in ["midwatch/fix", "a.b/c_d-e", "x"] {
            assert!(BranchName::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "-f",
            "--upload-pack=x",
            "a..b",
            "x.lock",
            "@{-1}",
            "a b",
            "a~1",
            "refs/heads/x",
            "HEAD",
            "$(id)",
            "a;id",
            "`id`",
            "a//b",
            "/a",
            "a/",
            ".a",
            "a/.b",
            &"b".repeat(201),
        ] {
            assert!(BranchName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn commit_ids_are_whole() {
        assert!(CommitId::parse(&"a".repeat(40)).is_ok());
        assert!(CommitId::parse(&"a".repeat(64)).is_ok());
        for bad in ["deadbee", &"A".repeat(40), &"g".repeat(40), &"a".repeat(41)] {
            assert!(CommitId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_from_goals_are_names() {
        for goal in ["Make the tests pass!", "  ", "日本語", &"word ".repeat(50)] {
            let name = TaskName::from_goal(goal, "k3x9");
            assert!(TaskName::parse(name.as_str()).is_ok(), "{name}");
        }
    }
}
