//! One way to call git inside: a fixed environment, nothing of the user's or the system's
//! configuration, a time limit.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::bounded::{self, Answer, Asked, Ended};

/// No single git command may take longer: a huge tree is hashed at 100 MB a second and more.
const LIMIT: Duration = Duration::from_mins(15);

/// stdout that is kept: names of a million files.
const CAP: usize = 64 << 20;

/// Fewer free bytes than this are none: what git writes least is a block.
const NO_ROOM: u64 = 64 << 10;

/// Settings that win over every configuration file. In a fresh git directory most of them change
/// nothing; in the workspace's own they keep programs of the repository from being started.
const SETTINGS: &[&str] = &[
    "safe.directory=*",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.untrackedCache=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.autocrlf=false",
    "core.safecrlf=false",
    "core.fileMode=true",
    "core.symlinks=true",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "core.checkStat=minimal",
    "core.trustctime=false",
    // Files beyond this are streamed, not held in memory.
    "core.bigFileThreshold=32m",
    "core.quotePath=false",
    "commit.gpgSign=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "pack.threads=2",
    "pack.windowMemory=64m",
    "advice.detachedHead=false",
    "advice.addEmbeddedRepo=false",
];

/// Why a git command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum GitError {
    /// git could not be started, or a file of ours not be written.
    #[error("git {what}: {source}")]
    Io {
        what: String,
        #[source]
        source: std::io::Error,
    },
    /// It ended with another code than 0, or by a signal.
    #[error("git {what} ended with {story}")]
    Failed { what: String, story: String },
    /// The disk is full, or the quota.
    #[error("git {what} found no room: {story}")]
    Full { what: String, story: String },
    /// It was killed at its limit.
    #[error("git {what} took longer than its limit")]
    Late { what: String },
    /// It was called off because the run is being stopped.
    #[error("git {what} was called off")]
    Cancelled { what: String },
}

impl GitError {
    /// Whether it may succeed once there is room on the disk.
    pub(super) fn is_full(&self) -> bool {
        match self {
            Self::Full { .. } => true,
            Self::Io { source, .. } => {
                matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
            }
            Self::Failed { .. } | Self::Late { .. } | Self::Cancelled { .. } => false,
        }
    }
}

/// A git directory with a tree, and how to call git on it.
#[derive(Debug, Clone)]
pub(super) struct Git {
    dir: PathBuf,
    tree: PathBuf,
    cancel: Option<Arc<AtomicBool>>,
    limit: Duration,
}

impl Git {
    /// git on this directory and tree.
    pub(super) fn new(dir: &Path, tree: &Path) -> Self {
        Self { dir: dir.to_owned(), tree: tree.to_owned(), cancel: None, limit: LIMIT }
    }

    /// The same, called off when the flag becomes true.
    pub(super) fn cancelled_by(mut self, cancel: &Arc<AtomicBool>) -> Self {
        self.cancel = Some(Arc::clone(cancel));
        self
    }

    /// The same with another limit for each command.
    pub(super) fn limited_to(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The git directory.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The tree.
    pub(super) fn tree(&self) -> &Path {
        &self.tree
    }

    /// Begins a command.
    pub(super) fn call<I, S>(&self, args: I) -> Call<'_>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        Call { git: self, args, settings: Vec::new(), stdin: &[], into: None, env: Vec::new() }
    }

    /// Runs a command that must succeed and answer one line.
    pub(super) fn line<I, S>(&self, args: I) -> Result<String, GitError>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.call(args).line()
    }

    /// Whether a command ends with 0; an error where it gave no answer: it could not be started,
    /// was killed, took too long.
    pub(super) fn answers<I, S>(&self, args: I) -> Result<bool, GitError>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let answer = self.call(args).answer()?;
        match answer.code() {
            Some(0) => Ok(true),
            Some(_) if !answer.full => Ok(false),
            Some(_) | None => Err(answer.refused("question")),
        }
    }

    /// Whether a command ends with 0; not, where it gave no answer.
    pub(super) fn is<I, S>(&self, args: I) -> bool
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.call(args).answer().is_ok_and(|answer| answer.code() == Some(0))
    }
}

/// A git command about to be run.
pub(super) struct Call<'a> {
    git: &'a Git,
    args: Vec<OsString>,
    settings: Vec<String>,
    stdin: &'a [u8],
    into: Option<File>,
    env: Vec<(&'static str, String)>,
}

impl<'a> Call<'a> {
    /// One more `-c`.
    pub(super) fn set(mut self, setting: impl Into<String>) -> Self {
        self.settings.push(setting.into());
        self
    }

    /// What it reads.
    pub(super) fn stdin(mut self, bytes: &'a [u8]) -> Self {
        self.stdin = bytes;
        self
    }

    /// Where stdout goes.
    pub(super) fn into_file(mut self, file: File) -> Self {
        self.into = Some(file);
        self
    }

    /// One more variable.
    pub(super) fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    /// Runs it; any exit code is an answer.
    pub(super) fn answer(self) -> Result<Answer, GitError> {
        let what = self.args.first().map(|arg| arg.to_string_lossy().into_owned());
        let what = what.unwrap_or_default();
        let mut command = Command::new(program());
        command.env_clear().envs([
            ("PATH", "/usr/bin:/bin"),
            ("HOME", "/nonexistent"),
            ("LC_ALL", "C"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_ALLOW_PROTOCOL", "none"),
            ("GIT_EDITOR", "false"),
            ("GIT_PAGER", "cat"),
        ]);
        command.env("GIT_DIR", &self.git.dir).env("GIT_WORK_TREE", &self.git.tree);
        command.envs(self.env).current_dir(&self.git.tree);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        command.args(&self.args);
        let asked = Asked {
            stdin: self.stdin,
            limit: self.git.limit,
            cap: CAP,
            cancel: self.git.cancel.as_deref(),
            into: self.into,
        };
        let answer = bounded::run(&mut command, asked)
            .map_err(|source| GitError::Io { what: what.clone(), source })?;
        match answer.ended {
            Ended::Itself(_) => {
                let failed = answer.code() != Some(0);
                let full = failed && (answer.says_full() || has_no_room(&self.git.dir));
                Ok(Answer { full, ..answer })
            }
            Ended::Late => Err(GitError::Late { what }),
            Ended::Cancelled => Err(GitError::Cancelled { what }),
        }
    }

    /// Runs it; it must end with 0.
    pub(super) fn output(self) -> Result<Vec<u8>, GitError> {
        let what = self.args.first().map(|arg| arg.to_string_lossy().into_owned());
        self.answer()?.whole(&what.unwrap_or_default())
    }

    /// Runs it; it must end with 0; the answer without the last newline.
    pub(super) fn line(self) -> Result<String, GitError> {
        Ok(String::from_utf8_lossy(&self.output()?).trim_end().to_owned())
    }
}

impl Answer {
    /// All that was printed by a command that has to end with 0.
    pub(super) fn whole(self, what: &str) -> Result<Vec<u8>, GitError> {
        if self.cut {
            // Half a list would pass for a whole one.
            let story = "more output than can be read".to_owned();
            return Err(GitError::Failed { what: what.to_owned(), story });
        }
        if self.code() == Some(0) { Ok(self.stdout) } else { Err(self.refused(what)) }
    }

    /// Of a command that did not end with 0.
    pub(super) fn refused(&self, what: &str) -> GitError {
        let (what, story) = (what.to_owned(), self.story());
        if self.full { GitError::Full { what, story } } else { GitError::Failed { what, story } }
    }

    /// Whether git says that the disk is full, or the quota: in the system's words (strerror(3) in
    /// the C locale), or in its own (csum-file.c, of an index or a pack) at the end of a line. A
    /// file's name stands before them, or in quotes.
    fn says_full(&self) -> bool {
        let words = [
            &b": No space left on device"[..],
            b": Disk quota exceeded",
            b" write error. Out of diskspace",
        ];
        let mut lines = self.stderr.split(|byte| *byte == b'\n');
        lines.any(|line| words.iter().any(|words| line.ends_with(words)))
    }
}

/// Whether the disk below a folder is used up: not each of git's words for that names a reason.
fn has_no_room(folder: &Path) -> bool {
    rustix::fs::statvfs(folder).is_ok_and(|stat| {
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        free < NO_ROOM || stat.f_files > 0 && stat.f_favail == 0
    })
}

/// The system's git: a toolchain earlier in PATH must not decide with what work is saved.
fn program() -> &'static str {
    const SYSTEM: &str = "/usr/bin/git";
    if Path::new(SYSTEM).exists() { SYSTEM } else { "git" }
}

/// Whether the text is a whole object id in git's own writing.
pub(super) fn is_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64)
        && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    #[test]
    fn a_full_disk_is_told_from_a_name_that_says_so() {
        let says = |stderr: &str| {
            let ended = Ended::Itself(ExitStatus::from_raw(128 << 8));
            let (stdout, stderr) = (Vec::new(), stderr.as_bytes().to_vec());
            Answer { ended, stdout, cut: false, full: false, stderr }.says_full()
        };
        // As git 2.39 says it of a loose object.
        assert!(says("error: unable to write loose object file: No space left on device\nmore\n"));
        // A name that an agent gave.
        assert!(!says("error: open(\"a: No space left on device\"): Permission denied\n"));
        assert!(!says("error: unable to index file 'a: No space left on device'\n"));
    }

    /// By the git that is here, and a device that is full for everybody.
    #[test]
    fn a_pack_that_finds_no_room_is_told_as_such() {
        let place = tempfile::tempdir().unwrap();
        let git = Git::new(&place.path().join(".git"), place.path());
        git.call(["init", "-q"]).output().unwrap();
        let blob = git.call(["hash-object", "-w", "--stdin"]).stdin(b"x").line().unwrap();
        let pack = |to: &Path| {
            let into = File::options().write(true).create(true).truncate(false).open(to).unwrap();
            let packed = git.call(["pack-objects", "-q", "--stdout"]).stdin(blob.as_bytes());
            packed.into_file(into).output()
        };
        let full = pack(Path::new("/dev/full")).unwrap_err();
        assert!(full.is_full(), "{full}");
        pack(&place.path().join("pack")).expect("the control: a file with room");
    }

    #[test]
    fn a_question_that_git_does_not_answer_is_no_no() {
        let place = tempfile::tempdir().unwrap();
        let git = Git::new(&place.path().join(".git"), place.path());
        git.call(["init", "-q"]).output().unwrap();
        assert!(!git.answers(["cat-file", "-e", &"0".repeat(40)]).unwrap());
        assert!(git.answers(["rev-parse", "--git-dir"]).unwrap());
        let hasty = git.clone().limited_to(Duration::ZERO);
        assert!(hasty.answers(["rev-parse", "--git-dir"]).is_err());
    }
}
