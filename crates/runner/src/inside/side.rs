//! A git directory of our own beside the agent's: a fresh configuration, its own index and its
//! own objects, with the agent's objects as an alternate. Trees are made and bundles written
//! here, so that neither a hostile nor a broken `.git` stands in the way, and the agent's index,
//! refs and objects are never written.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use midwatch_core::path;

use super::closed;
use super::foreign::Foreign;
use super::git::{Git, GitError};
use super::leave;
use super::names::pattern;
use super::readable;

mod big;
mod index;

/// Paths that are told: more than the outside tells, so that it knows of the rest.
pub(super) const TOLD_MAX: usize = 60;

/// The most of the agent's own `info/exclude` that is taken over, bytes.
const EXCLUDE_MAX: usize = 64 << 10;

/// What agents and test runs leave behind for themselves and nobody wants in a commit. Python
/// writes its caches wherever it runs, and one in a commit can stand for a source (PEP 552).
pub(super) const LITTER: [&str; 6] =
    [".aider*", "__pycache__/", "*.pyc", ".pytest_cache/", ".mypy_cache/", ".ruff_cache/"];

/// A git directory of our own over somebody's tree.
#[derive(Debug)]
pub(super) struct Side {
    git: Git,
    exclude: Vec<String>,
    left_out: BTreeSet<PathBuf>,
    /// The commit that the index is compared with, where it is whole.
    stands_on: Option<String>,
}

impl Side {
    /// Makes it at `dir`, replacing what is there. `sample` is any id of the repository: its
    /// length tells the kind of hash.
    pub(super) fn make(
        dir: &Path,
        workspace: &Path,
        foreign: &Foreign,
        sample: &str,
        exclude: &[String],
    ) -> Result<Self, GitError> {
        let side = Self {
            git: Git::new(dir, workspace),
            exclude: exclude.to_vec(),
            left_out: BTreeSet::new(),
            stands_on: None,
        };
        side.lay_out(foreign, sample).map_err(told("init"))?;
        Ok(side)
    }

    /// The same, called off when the flag becomes true.
    pub(super) fn cancelled_by(mut self, cancel: &Arc<AtomicBool>) -> Self {
        self.git = self.git.cancelled_by(cancel);
        self
    }

    /// git on this directory.
    pub(super) fn git(&self) -> &Git {
        &self.git
    }

    fn lay_out(&self, foreign: &Foreign, sample: &str) -> std::io::Result<()> {
        let dir = self.git.dir();
        leave::remove(dir)?;
        for folder in ["objects/info", "objects/pack", "refs", "info"] {
            fs::create_dir_all(dir.join(folder))?;
        }
        fs::write(dir.join("HEAD"), "ref: refs/heads/none\n")?;
        fs::write(dir.join("config"), configuration(sample))?;
        if let Some(objects) = foreign.objects().filter(|path| is_alternate(path)) {
            let mut line = objects.into_os_string();
            line.push("\n");
            fs::write(dir.join("objects/info/alternates"), line.as_bytes())?;
        }
        if let Some(shallow) = foreign.file("shallow") {
            fs::write(dir.join("shallow"), shallow)?;
        }
        self.write_exclude(foreign)
    }

    /// Ours stand last, because the last match decides.
    fn write_exclude(&self, foreign: &Foreign) -> std::io::Result<()> {
        let mut file = fs::File::create(self.git.dir().join("info/exclude"))?;
        if let Some(theirs) = foreign.file("info/exclude").filter(|f| f.len() <= EXCLUDE_MAX) {
            file.write_all(&theirs)?;
            file.write_all(b"\n")?;
        }
        for pattern in LITTER {
            writeln!(file, "{pattern}")?;
        }
        for path in &self.exclude {
            writeln!(file, "{}", pattern(path.as_bytes()))?;
        }
        for path in &self.left_out {
            writeln!(file, "{}", pattern(path.as_os_str().as_bytes()))?;
        }
        Ok(())
    }

    /// Untracked folders that are repositories of their own; git does not look into them.
    /// Also finds what no commit takes, which is excluded from here on: files that are too big or
    /// whose path is too long, and folders that cannot be opened.
    pub(super) fn nested(&mut self, foreign: &Foreign) -> Result<Vec<PathBuf>, GitError> {
        let listed = self.untracked(foreign)?;
        let (mut nested, mut big) = (Vec::new(), Vec::new());
        for path in listed.split(|byte| *byte == 0).filter(|path| !path.is_empty()) {
            if let Some(folder) = path.strip_suffix(b"/") {
                nested.push(PathBuf::from(OsStr::from_bytes(folder)));
                continue;
            }
            let path = Path::new(OsStr::from_bytes(path));
            if closed::is_too_long(path.as_os_str().as_bytes()) || self.is_too_big(path) {
                big.push(path.to_owned());
            }
        }
        if !big.is_empty() {
            self.leave_out(big, foreign)?;
        }
        Ok(nested)
    }

    /// Every untracked file, and folders that are repositories. A folder that its mode closes is
    /// opened; what stays closed is left out.
    fn untracked(&mut self, foreign: &Foreign) -> Result<Vec<u8>, GitError> {
        let list = |git: &Git| {
            let answer = git.call(["ls-files", "--others", "--exclude-standard", "-z"]).answer()?;
            let said = closed::may_be_there(&answer.stderr);
            answer.whole("ls-files").map(|listed| (listed, said))
        };
        let (listed, said) = list(&self.git)?;
        if !said {
            return Ok(listed);
        }
        readable::make_readable(self.git.tree(), &self.exclude);
        let closed = closed::folders(&self.git)?;
        if !closed.is_empty() {
            self.leave_out(closed, foreign)?;
        }
        list(&self.git).map(|(listed, _)| listed)
    }

    /// Leaves paths out of every snapshot from here on.
    pub(super) fn leave_out(
        &mut self,
        paths: impl IntoIterator<Item = PathBuf>,
        foreign: &Foreign,
    ) -> Result<(), GitError> {
        self.left_out.extend(paths);
        self.write_exclude(foreign).map_err(told("exclude"))
    }

    /// What was left out because of its size or because it could not be set aside, escaped.
    pub(super) fn left_out(&self) -> Vec<String> {
        self.left_out
            .iter()
            .take(TOLD_MAX)
            .map(|path| path::shown(path.as_os_str().as_bytes()))
            .collect()
    }

    /// What differs from the index after everything was added to it, escaped.
    pub(super) fn unadded(&self) -> Result<Vec<String>, GitError> {
        let args = ["ls-files", "--others", "--modified", "--exclude-standard", "-z"];
        let listed = self.git.call(args).output()?;
        let paths = listed.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        Ok(paths.take(TOLD_MAX).map(path::shown).collect())
    }

    /// Whether the commit and its tree are there.
    pub(super) fn has_commit(&self, id: &str) -> bool {
        self.git.is(["cat-file", "-e", &format!("{id}^{{tree}}")])
    }

    /// A commit of `tree` on `parent`.
    pub(super) fn commit(
        &self,
        tree: &str,
        parent: &str,
        message: &str,
    ) -> Result<String, GitError> {
        let call = self.git.call(["commit-tree", tree, "-p", parent]).stdin(message.as_bytes());
        signed(call).line()
    }

    /// A commit of `tree` on a parent that is not here.
    pub(super) fn commit_on_absent(
        &self,
        tree: &str,
        parent: &str,
        message: &str,
    ) -> Result<String, GitError> {
        let when = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let when = when.map(|since| since.as_secs()).unwrap_or_default();
        let who = format!("{NAME} <{EMAIL}> {when} +0000");
        let text =
            format!("tree {tree}\nparent {parent}\nauthor {who}\ncommitter {who}\n\n{message}\n");
        let args = ["hash-object", "-t", "commit", "-w", "--stdin"];
        self.git.call(args).stdin(text.as_bytes()).line()
    }

    /// Files that ignore rules hide and that are newer than `since`, escaped, at most `max`.
    pub(super) fn ignored(&self, since: Option<SystemTime>, max: usize) -> Vec<String> {
        let args = ["ls-files", "--others", "--ignored", "--exclude-standard", "-z"];
        // A list that was cut is still a list, but for its last line.
        let listed = self.git.call(args).answer().map(|answer| answer.stdout).unwrap_or_default();
        let whole = listed.iter().rposition(|byte| *byte == 0).unwrap_or_default();
        let newer = |path: &[u8]| {
            let meta = self.git.tree().join(OsStr::from_bytes(path)).symlink_metadata();
            let changed = meta.and_then(|meta| meta.modified()).ok();
            changed.is_some_and(|changed| since.is_none_or(|since| changed >= since))
        };
        let of_deps = |path: &[u8]| {
            self.exclude.iter().any(|dep| {
                path.strip_prefix(dep.as_bytes())
                    .is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
            })
        };
        listed[..whole]
            .split(|byte| *byte == 0)
            .filter(|path| !path.is_empty() && !of_deps(path) && newer(path))
            .take(max)
            .map(path::shown)
            .collect()
    }
}

const NAME: &str = "Midwatch";
const EMAIL: &str = "midwatch@localhost";

fn signed(call: super::git::Call<'_>) -> super::git::Call<'_> {
    call.env("GIT_AUTHOR_NAME", NAME)
        .env("GIT_AUTHOR_EMAIL", EMAIL)
        .env("GIT_COMMITTER_NAME", NAME)
        .env("GIT_COMMITTER_EMAIL", EMAIL)
}

/// The configuration of a fresh git directory for ids as long as the sample.
fn configuration(sample: &str) -> String {
    let (version, extension) =
        if sample.len() == 64 { (1, "[extensions]\n\tobjectFormat = sha256\n") } else { (0, "") };
    // Objects here live for minutes: what counts is the bundle, which is synced.
    format!(
        "[core]\n\trepositoryformatversion = {version}\n\tbare = false\n\tfsync = none\n\
         \tlogAllRefUpdates = false\n{extension}"
    )
}

/// `info/alternates` is lines; a quote or `#` in front has a meaning.
fn is_alternate(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    bytes.starts_with(b"/") && !bytes.contains(&b'\n')
}

fn told(what: &'static str) -> impl Fn(std::io::Error) -> GitError {
    move |source| GitError::Io { what: what.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_a_newline_is_no_alternate() {
        assert!(is_alternate(Path::new("/a b/objects")));
        assert!(!is_alternate(Path::new("/a\nb/objects")));
        assert!(!is_alternate(Path::new("relative")));
    }
}
