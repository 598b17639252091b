//! The sample repository: one Python module, its tests, one commit. It needs git and Python 3
//! and no download, and is the same to the byte wherever it is made.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::GOAL;

/// The module's file.
pub(super) const MODULE: &str = "bells.py";
/// The tests' file.
pub(super) const TESTS: &str = "test_bells.py";
/// The tests as committed.
pub(super) const BASE_TESTS: &str = include_str!("../../sample/base/test_bells.py");
/// The module after the first attempt: what failed passes, what passed fails.
pub(super) const FIRST_ATTEMPT: &str = include_str!("../../sample/first/bells.py");
/// The module as it should be.
pub(super) const REPAIRED: &str = include_str!("../../sample/repaired/bells.py");
/// The tests with the one that the reviewer asks for.
pub(super) const REVIEWED_TESTS: &str = include_str!("../../sample/reviewed/test_bells.py");

/// What is committed.
const FILES: [(&str, &str); 4] = [
    (".gitignore", include_str!("../../sample/base/gitignore")),
    ("README.md", include_str!("../../sample/base/README.md")),
    (MODULE, include_str!("../../sample/base/bells.py")),
    (TESTS, BASE_TESTS),
];

/// Who commits: nobody, and never the user.
const NAME: &str = "Midwatch demo";
/// Of a domain that never resolves (RFC 2606).
const MAIL: &str = "demo@midwatch.invalid";
/// When: always the same, so that the commit has one id everywhere.
const DATE: &str = "2026-01-01T00:00:00+0000";

/// Variables by which git would be led to another repository or to settings of the user: those
/// of `git rev-parse --local-env-vars`, and where templates and a second config come from.
const LEADING_AWAY: [&str; 21] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_OBJECT_DIRECTORY",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_COMMON_DIR",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_TEMPLATE_DIR",
    "GIT_DEFAULT_HASH",
    "GIT_LITERAL_PATHSPECS",
    "GIT_ATTR_SOURCE",
];

/// The repository that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The checkout: clean, on `main`.
    pub folder: PathBuf,
    /// What to ask for.
    pub goal: &'static str,
    /// The commit's id.
    pub commit: String,
}

/// Makes the repository in a folder that does not exist yet; its parents are made too. What
/// could not be finished is taken away again.
///
/// # Errors
/// `AlreadyExists`, what writing said, or what git said; `NotFound` when there is no git.
pub fn make(folder: &Path) -> io::Result<Sample> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::create_dir(folder)?;
    let made = fill(folder);
    if made.is_err() {
        // The first error says more than one of the clean-up.
        let _ = fs::remove_dir_all(folder);
    }
    made
}

fn fill(folder: &Path) -> io::Result<Sample> {
    git(
        folder,
        ["init", "--quiet", "--initial-branch=main", "--object-format=sha1", "--template="],
    )?;
    for (name, text) in FILES {
        fs::write(folder.join(name), text)?;
    }
    git(folder, ["add", "--all"])?;
    git(folder, ["commit", "--quiet", "--no-verify", "--message=Bells, and their tests"])?;
    let commit = git(folder, ["rev-parse", "--verify", "HEAD"])?;
    Ok(Sample { folder: folder.to_owned(), goal: GOAL, commit: commit.trim().to_owned() })
}

/// Runs git with nothing of the user's: no config, no hook, no list of ignored files.
fn git<'a>(folder: &Path, words: impl IntoIterator<Item = &'a str>) -> io::Result<String> {
    let nothing = OsStr::new("/dev/null");
    let mut command = Command::new("git");
    for name in LEADING_AWAY {
        command.env_remove(name);
    }
    command
        .args(["-c", "core.hooksPath=/dev/null", "-c", "core.excludesFile=/dev/null"])
        .args(["-c", "core.attributesFile=/dev/null", "-c", "core.autocrlf=false"])
        .args(["-c", "commit.gpgSign=false", "-c", "gc.auto=0"])
        .arg("-c")
        .arg(format!("user.name={NAME}"))
        .arg("-c")
        .arg(format!("user.email={MAIL}"))
        .args(words)
        .envs([("GIT_CONFIG_GLOBAL", nothing), ("GIT_CONFIG_SYSTEM", nothing)])
        .envs([("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_TERMINAL_PROMPT", "0"), ("LC_ALL", "C")])
        .envs([("GIT_AUTHOR_NAME", NAME), ("GIT_AUTHOR_EMAIL", MAIL), ("GIT_AUTHOR_DATE", DATE)])
        .envs([("GIT_COMMITTER_NAME", NAME), ("GIT_COMMITTER_EMAIL", MAIL)])
        .env("GIT_COMMITTER_DATE", DATE)
        .current_dir(folder)
        .stdin(Stdio::null());
    let output = command.output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("git could not make the sample: {}", told.trim().escape_debug())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new folder below the system's, taken away at the end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let folder = format!("midwatch-rehearsal-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(folder);
            fs::create_dir(&folder).unwrap();
            Self(folder)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn it_is_one_clean_commit_of_nobody_on_main() {
        let scratch = Scratch::new("sample");
        let sample = make(&scratch.0.join("deep/bells")).unwrap();
        let say = |words: &[&str]| git(&sample.folder, words.iter().copied()).unwrap();
        assert_eq!(say(&["status", "--porcelain"]), "");
        assert_eq!(say(&["symbolic-ref", "HEAD"]).trim(), "refs/heads/main");
        assert_eq!(
            say(&["log", "--format=%an <%ae> %cn <%ce> %s"]).trim(),
            "Midwatch demo <demo@midwatch.invalid> Midwatch demo <demo@midwatch.invalid> \
             Bells, and their tests"
        );
        assert_eq!(say(&["ls-files"]), ".gitignore\nREADME.md\nbells.py\ntest_bells.py\n");
        assert!(!sample.folder.join(".git/hooks").exists());
        assert_eq!(sample.goal, "make the tests pass");
        let twin = make(&scratch.0.join("twin")).unwrap();
        assert_eq!(twin.commit, sample.commit, "the same wherever it is made");
    }

    /// The test above, once more, in a process that a user's settings lead astray; and a bare git
    /// in the same place, which follows them.
    #[test]
    fn a_users_settings_do_not_reach_it() {
        let scratch = Scratch::new("settings");
        let home = &scratch.0;
        fs::create_dir_all(home.join("template/hooks")).unwrap();
        fs::write(home.join("ignored"), "*.py\n").unwrap();
        let settings = "[core]\n\texcludesFile = ~/ignored\n[init]\n\tdefaultBranch = trunk\n\
                        \ttemplateDir = ~/template\n[commit]\n\tgpgSign = true\n";
        fs::write(home.join(".gitconfig"), settings).unwrap();
        let astray = |program: &Path| {
            let mut command = Command::new(program);
            command.env("HOME", home).env("GIT_DIR", home.join("elsewhere.git"));
            command.env_remove("GIT_CONFIG_GLOBAL").current_dir(home);
            command
        };
        let again = "demo::sample::tests::it_is_one_clean_commit_of_nobody_on_main";
        let told = astray(&std::env::current_exe().unwrap()).args(["--exact", again]).output();
        let told = String::from_utf8(told.unwrap().stdout).unwrap();
        assert!(told.contains("1 passed"), "{told}");
        assert!(!home.join("elsewhere.git").exists());
        let bare = astray(Path::new("git")).args(["init", "--quiet"]).status().unwrap();
        assert!(bare.success() && home.join("elsewhere.git/hooks").exists(), "the control");
        let head = fs::read_to_string(home.join("elsewhere.git/HEAD")).unwrap();
        assert!(head.contains("trunk"), "the control");
    }

    #[test]
    fn what_is_there_is_left_alone() {
        let scratch = Scratch::new("there");
        fs::write(scratch.0.join("kept"), "").unwrap();
        assert_eq!(make(&scratch.0).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(scratch.0.join("kept").exists());
        let file = scratch.0.join("kept/below");
        assert!(make(&file).is_err());
    }

    #[test]
    fn the_variables_are_those_that_git_calls_local() {
        let told = git(Path::new("/"), ["rev-parse", "--local-env-vars"]).unwrap();
        for name in told.lines() {
            assert!(LEADING_AWAY.contains(&name), "{name}");
        }
    }
}
