//! What both sides must agree on when git runs inside a sandbox: the skeleton of a base's
//! `.git`, the environment, and argument lists. Text only; nothing is started here.

use midwatch_core::id::CommitId;

/// Environment of git inside a sandbox, beside the sandbox's own: nothing of a HOME or system
/// configuration that the agent or setup may have written.
pub const ENVIRONMENT: [(&str, &str); 10] = [
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_ALLOW_PROTOCOL", "none"),
    ("GIT_PAGER", "cat"),
    ("GIT_EDITOR", "true"),
    ("LC_ALL", "C"),
];

/// Settings of git inside, before the subcommand.
pub const SETTINGS: [&str; 16] = [
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "commit.gpgSign=false",
    "-c",
    "gc.auto=0",
    "-c",
    "maintenance.auto=false",
    "-c",
    "submodule.recurse=false",
    "-c",
    "advice.detachedHead=false",
    "-c",
    "safe.directory=*",
];

/// Who the agent's commits are by until they are made anew outside.
pub const IDENTITY: [(&str, &str); 4] = [
    ("GIT_AUTHOR_NAME", "Midwatch agent"),
    ("GIT_AUTHOR_EMAIL", "agent@localhost"),
    ("GIT_COMMITTER_NAME", "Midwatch agent"),
    ("GIT_COMMITTER_EMAIL", "agent@localhost"),
];

/// The files of an empty `.git` beside its objects (see `pack::base_objects`): path and text.
pub fn skeleton(sha256: bool) -> [(&'static str, &'static str); 4] {
    const SHA1: &str = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\
                        \tlogallrefupdates = true\n[gc]\n\tauto = 0\n";
    const SHA256: &str = "[core]\n\trepositoryformatversion = 1\n\tfilemode = true\n\tbare = false\n\
                          \tlogallrefupdates = true\n[extensions]\n\tobjectformat = sha256\n[gc]\n\tauto = 0\n";
    [
        ("HEAD", "ref: refs/heads/main\n"),
        ("config", if sha256 { SHA256 } else { SHA1 }),
        ("refs/heads/.keep", ""),
        ("info/exclude", ""),
    ]
}

fn with_settings(args: impl IntoIterator<Item = String>) -> Vec<String> {
    SETTINGS.iter().map(ToString::to_string).chain(args).collect()
}

fn words(args: &[&str]) -> Vec<String> {
    with_settings(args.iter().map(ToString::to_string))
}

/// Puts a commit into the worktree, in parallel where `workers` is not 1 (0: every core).
pub fn checkout(commit: &CommitId, workers: u32) -> Vec<String> {
    let mut args = vec!["-c".to_owned(), format!("checkout.workers={workers}")];
    args.extend(["checkout", "-q", "-f", "--detach"].map(str::to_owned));
    args.push(commit.to_string());
    with_settings(args)
}

/// Stages everything that is not ignored.
pub fn stage() -> Vec<String> {
    words(&["add", "-A"])
}

/// Commits what is staged; ends with 1 when nothing is.
pub fn commit(message: &str) -> Vec<String> {
    words(&["commit", "-q", "--no-verify", "-m", message])
}

/// Bundles what a ref has beyond the base; ends with 128 when that is nothing.
pub fn bundle(path: &str, base: &CommitId, reference: &str) -> Vec<String> {
    words(&["bundle", "create", "-q", "--version=2", path, &format!("{base}..{reference}")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_before_the_subcommand() {
        let commit = CommitId::parse(&"a".repeat(40)).unwrap();
        let args = checkout(&commit, 0);
        let at = args.iter().position(|arg| arg == "checkout").unwrap();
        assert!(args[..at].iter().step_by(2).all(|arg| arg == "-c"));
        assert_eq!(bundle("/o/b", &commit, "HEAD").last().unwrap(), &format!("{commit}..HEAD"));
    }
}
