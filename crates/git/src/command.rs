//! The one way to start git: a fixed environment, a deadline, capped output, and no shell that reads
//! anything of a call.
//!
//! Nothing of the caller's environment, home or configuration reaches git, and no protocol is
//! allowed that the call does not name. Local paths are never fetched from or pushed to through
//! git's own transport (its other end would read the other repository's configuration): packs
//! are piped between two calls instead.

mod environment;
mod process;

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use environment::Reach;
pub(crate) use process::Running;

use crate::error::{GitError, escaped};

/// Where git and the programs it starts are looked for. The caller's PATH is never consulted.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The deadline of plumbing that only reads: generous, because disks are slow at night too.
const QUICK: Duration = Duration::from_mins(2);

/// The deadline of what moves packs.
pub(crate) const LONG: Duration = Duration::from_mins(30);

/// The cap on collected stdout, in bytes; listings of huge trees still fit.
const STDOUT_CAP: u64 = 256 << 20;

/// The installed git, found once and known to be new enough.
#[derive(Debug, Clone)]
pub struct Git {
    program: PathBuf,
    ca_bundle: Option<PathBuf>,
    version: (u32, u32),
}

impl Git {
    /// Finds git in [`PATH`] and checks that it is 2.39 or later, the oldest that the safety of
    /// this crate was measured with.
    pub fn find() -> Result<Self, GitError> {
        let program = PATH
            .split(':')
            .map(|dir| Path::new(dir).join("git"))
            .find(|path| path.is_file())
            .ok_or(GitError::Missing { searched: PATH })?;
        let mut git = Self { program, ca_bundle: None, version: (0, 0) };
        let said = git.call("version").text()?;
        let version = parse_version(&said);
        match version {
            Some(version) if version >= (2, 39) => git.version = version,
            Some(_) | None => return Err(GitError::TooOld { found: escaped(said.as_bytes()) }),
        }
        Ok(git)
    }

    /// The same git, trusting the certificates of this bundle for https.
    #[must_use]
    pub fn with_ca_bundle(mut self, bundle: Option<PathBuf>) -> Self {
        self.ca_bundle = bundle;
        self
    }

    /// Major and minor version.
    pub fn version(&self) -> (u32, u32) {
        self.version
    }

    /// Begins a call of a subcommand outside any repository.
    pub(crate) fn call(&self, subcommand: &'static str) -> Call {
        Call {
            program: self.program.clone(),
            ca_bundle: self.ca_bundle.clone(),
            subcommand,
            git_dir: None,
            work_tree: None,
            config: Vec::new(),
            args: Vec::new(),
            env: Vec::new(),
            reach: Reach::Nothing,
            stdin: Input::Empty,
            timeout: QUICK,
            cap: STDOUT_CAP,
            memory: None,
            owner: None,
            umask: None,
        }
    }

    /// Begins a call in a repository that is named by its git directory: git discovers nothing.
    pub(crate) fn at(&self, git_dir: &Path, subcommand: &'static str) -> Call {
        let mut call = self.call(subcommand);
        call.git_dir = Some(git_dir.to_owned());
        call
    }
}

fn parse_version(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.trim().strip_prefix("git version ")?.split(['.', ' ', '-']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// What a call reads on its stdin.
pub(crate) enum Input {
    /// Nothing.
    Empty,
    /// These bytes.
    Bytes(Vec<u8>),
    /// Whatever this gives, until its end.
    Stream(Box<dyn Read + Send>),
    /// The stdout of another call, which must succeed too.
    Call(Box<Call>),
}

/// The user that a call runs as, when that is not us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// A git call under construction.
pub(crate) struct Call {
    program: PathBuf,
    ca_bundle: Option<PathBuf>,
    subcommand: &'static str,
    git_dir: Option<PathBuf>,
    work_tree: Option<PathBuf>,
    config: Vec<(String, String)>,
    args: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
    reach: Reach,
    stdin: Input,
    timeout: Duration,
    cap: u64,
    memory: Option<u64>,
    owner: Option<Owner>,
    umask: Option<u32>,
}

/// How a call ended, whatever its code.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Call {
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub(crate) fn config(mut self, key: &str, value: &str) -> Self {
        self.config.push((key.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn env(mut self, key: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key, value.as_ref().to_owned()));
        self
    }

    pub(crate) fn work_tree(mut self, path: &Path) -> Self {
        self.work_tree = Some(path.to_owned());
        self
    }

    pub(crate) fn reach(mut self, reach: Reach) -> Self {
        self.reach = reach;
        self
    }

    pub(crate) fn stdin(mut self, input: Input) -> Self {
        self.stdin = input;
        self
    }

    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub(crate) fn cap(mut self, bytes: u64) -> Self {
        self.cap = bytes;
        self
    }

    /// Limits the memory that the process may write to, in bytes.
    pub(crate) fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Runs as somebody else; only root can, and `None` changes nothing.
    pub(crate) fn owner(mut self, owner: Option<Owner>) -> Self {
        self.owner = owner;
        self
    }

    /// Makes files and folders with these bits left out of their modes, whatever ours are: what
    /// is left in a user's repository is as the user's own, and not as our state folder.
    pub(crate) fn umask(mut self, bits: u32) -> Self {
        self.umask = Some(bits & 0o777);
        self
    }

    /// Runs the call to its end, whatever its code.
    pub(crate) fn finish(self) -> Result<Ended, GitError> {
        process::finish(self)
    }

    /// Runs the call; another code than 0 is an error.
    pub(crate) fn run(self) -> Result<Vec<u8>, GitError> {
        let what = self.subcommand;
        let ended = self.finish()?;
        if ended.code == Some(0) {
            Ok(ended.stdout)
        } else {
            Err(GitError::Failed { what, code: ended.code, stderr: ended.stderr })
        }
    }

    /// Runs the call and takes its stdout as one trimmed text.
    pub(crate) fn text(self) -> Result<String, GitError> {
        let what = self.subcommand;
        let bytes = self.run()?;
        match String::from_utf8(bytes) {
            Ok(text) => Ok(text.trim_end_matches('\n').to_owned()),
            Err(bad) => Err(GitError::unexpected(what, bad.as_bytes())),
        }
    }

    /// Runs a call that answers a question by code 0 or 1.
    pub(crate) fn yes_or_no(self) -> Result<bool, GitError> {
        let what = self.subcommand;
        let ended = self.finish()?;
        match ended.code {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            code => Err(GitError::Failed { what, code, stderr: ended.stderr }),
        }
    }

    /// Starts a call that is spoken with over its pipes.
    pub(crate) fn start(self) -> Result<Running, GitError> {
        process::start(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(parse_version("git version 2.39.5"), Some((2, 39)));
        assert_eq!(parse_version("git version 2.50.1 (Apple Git-155)"), Some((2, 50)));
        assert_eq!(parse_version("hub"), None);
    }

    #[test]
    fn a_call_past_its_deadline_or_cap_is_killed_with_its_children() {
        let git = Git::find().unwrap();
        // hash-object waits for a stdin that the other call never ends.
        let (reader, _writer) = std::io::pipe().unwrap();
        let late = git
            .call("hash-object")
            .arg("--stdin")
            .stdin(Input::Stream(Box::new(reader)))
            .timeout(Duration::from_millis(50))
            .finish();
        assert!(matches!(late, Err(GitError::TimedOut { .. })), "{late:?}");
        let long = git.call("help").arg("-a").cap(10).finish();
        assert!(matches!(long, Err(GitError::TooMuchOutput { .. })), "{long:?}");
    }

    #[test]
    fn nothing_of_the_callers_environment_reaches_git() {
        let git = Git::find().unwrap();
        let seen = git.call("var").arg("GIT_EDITOR").text().unwrap();
        assert_eq!(seen, "false");
        let configured = git.call("config").args(["--list", "--show-scope"]).text().unwrap();
        assert!(configured.lines().all(|line| line.starts_with("command\t")), "{configured}");
    }
}
