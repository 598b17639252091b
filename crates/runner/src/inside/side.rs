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

use super::foreign::Foreign;
use super::git::{Git, GitError};
use super::leave;

/// A new untracked file beyond this is left out and told: a core dump or a disk image, which no
/// forge takes, would otherwise cost the whole night's bundle. 256 MiB.
const HUGE: u64 = 256 << 20;

/// The most of the agent's own `info/exclude` that is taken over, bytes.
const EXCLUDE_MAX: usize = 64 << 10;

/// What agents leave behind for themselves and nobody wants in a commit.
pub(super) const LITTER: &str = ".aider*";

/// A git directory of our own over somebody's tree.
#[derive(Debug)]
pub(super) struct Side {
    git: Git,
    exclude: Vec<String>,
    left_out: BTreeSet<PathBuf>,
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
        if let Some(theirs) = foreign
            .file("info/exclude")
            .filter(|f| f.len() <= EXCLUDE_MAX)
        {
            file.write_all(&theirs)?;
            file.write_all(b"\n")?;
        }
        writeln!(file, "{LITTER}")?;
        for path in &self.exclude {
            writeln!(file, "{}", pattern(path.as_bytes()))?;
        }
        for path in &self.left_out {
            writeln!(file, "{}", pattern(path.as_os_str().as_bytes()))?;
        }
        Ok(())
    }

    /// Begins the index: the agent's own where it can be read, because it knows which files are
    /// unchanged; else the tree of `fallback`; else nothing.
    pub(super) fn seed_index(
        &self,
        foreign: &Foreign,
        fallback: Option<&str>,
    ) -> Result<(), GitError> {
        let index = self.git.dir().join("index");
        if let Some(theirs) = foreign.index()
            && copy_with_time(&theirs, &index).is_ok()
            && self.unhide(&index).is_ok()
        {
            return Ok(());
        }
        leave::remove(&index).map_err(told("index"))?;
        if let Some(fallback) = fallback
            && self.git.call(["read-tree", fallback]).output().is_err()
        {
            leave::remove(&index).map_err(told("index"))?;
        }
        Ok(())
    }

    /// Takes the marks off that hide changes: assume-unchanged, and skip-worktree where the file
    /// is there after all. A sparse checkout keeps its absent files.
    fn unhide(&self, index: &Path) -> Result<(), GitError> {
        let listed = self.git.call(["ls-files", "-v", "-z"]).output()?;
        let (mut assumed, mut skipped) = (Vec::new(), Vec::new());
        for entry in listed.split(|byte| *byte == 0) {
            let [mark, b' ', path @ ..] = entry else {
                continue;
            };
            if mark.is_ascii_lowercase() {
                assumed.extend_from_slice(path);
                assumed.push(0);
            }
            let there = || {
                self.git
                    .tree()
                    .join(OsStr::from_bytes(path))
                    .symlink_metadata()
                    .is_ok()
            };
            if mark.eq_ignore_ascii_case(&b'S') && there() {
                skipped.extend_from_slice(path);
                skipped.push(0);
            }
        }
        let time = index
            .metadata()
            .and_then(|meta| meta.modified())
            .map_err(told("index"))?;
        let mut touched = false;
        for (flag, paths) in [
            ("--no-assume-unchanged", assumed),
            ("--no-skip-worktree", skipped),
        ] {
            if !paths.is_empty() {
                self.git
                    .call(["update-index", flag, "-z", "--stdin"])
                    .stdin(&paths)
                    .output()?;
                touched = true;
            }
        }
        if touched {
            set_time(index, time).map_err(told("index"))?;
        }
        Ok(())
    }

    /// Untracked folders that are repositories of their own; git does not look into them.
    /// Also finds files that are too big, which are excluded from here on.
    pub(super) fn nested(&mut self, foreign: &Foreign) -> Result<Vec<PathBuf>, GitError> {
        let listed = self
            .git
            .call(["ls-files", "--others", "--exclude-standard", "-z"])
            .output()?;
        let mut nested = Vec::new();
        let before = self.left_out.len();
        for path in listed
            .split(|byte| *byte == 0)
            .filter(|path| !path.is_empty())
        {
            if let Some(folder) = path.strip_suffix(b"/") {
                nested.push(PathBuf::from(OsStr::from_bytes(folder)));
                continue;
            }
            let path = Path::new(OsStr::from_bytes(path));
            let meta = self.git.tree().join(path).symlink_metadata();
            if meta.is_ok_and(|meta| meta.is_file() && meta.len() > HUGE) {
                self.left_out.insert(path.to_owned());
            }
        }
        if self.left_out.len() > before {
            self.write_exclude(foreign).map_err(told("exclude"))?;
        }
        Ok(nested)
    }

    /// Leaves a path out of every snapshot from here on.
    pub(super) fn leave_out(&mut self, path: &Path, foreign: &Foreign) -> Result<(), GitError> {
        self.left_out.insert(path.to_owned());
        self.write_exclude(foreign).map_err(told("exclude"))
    }

    /// What was left out because of its size or because it could not be set aside, escaped.
    pub(super) fn left_out(&self) -> Vec<String> {
        self.left_out
            .iter()
            .map(|path| escaped(path.as_os_str().as_bytes()))
            .collect()
    }

    /// Puts the tree as it is now into the index and answers its id, and what could not be added.
    /// `base` decides which excluded paths belong to the repository after all.
    pub(super) fn snapshot(
        &self,
        base: Option<&str>,
    ) -> Result<(String, Option<String>), GitError> {
        self.drop_excluded(base)?;
        let missed = self.add_all()?;
        match self.git.line(["write-tree"]) {
            Ok(tree) => Ok((tree, missed)),
            // The index names objects that are gone: begin from nothing, hash everything.
            Err(GitError::Failed { .. }) => {
                let index = self.git.dir().join("index");
                leave::remove(&index).map_err(told("index"))?;
                if base.is_some_and(|base| self.git.call(["read-tree", base]).output().is_err()) {
                    leave::remove(&index).map_err(told("index"))?;
                }
                let missed = self.add_all()?;
                Ok((self.git.line(["write-tree"])?, missed))
            }
            Err(error) => Err(error),
        }
    }

    fn add_all(&self) -> Result<Option<String>, GitError> {
        leave::remove(&self.git.dir().join("index.lock")).map_err(told("index.lock"))?;
        let add = || {
            self.git
                .call(["add", "-A", "--ignore-errors", "--", "."])
                .answer()
        };
        let answer = add()?;
        if answer.code() == Some(0) && answer.stderr.is_empty() {
            return Ok(None);
        }
        // Files and folders that only their own mode keeps from us.
        if contains(&answer.stderr, b"Permission denied") {
            super::readable::make_readable(self.git.tree(), &self.exclude);
        }
        let answer = add()?;
        match answer.code() {
            Some(0) => Ok(None),
            // 1: everything else was added.
            Some(1) => Ok(Some(answer.story())),
            _ => Err(GitError::Failed {
                what: "add".to_owned(),
                story: answer.story(),
            }),
        }
    }

    /// Adds those of the paths (NUL-separated) that are there, whatever ignore rules say.
    /// Answers whether there were any.
    pub(super) fn add_anyway(&self, paths: &[u8]) -> Result<bool, GitError> {
        let mut there = Vec::new();
        for path in paths
            .split(|byte| *byte == 0)
            .filter(|path| !path.is_empty())
        {
            if self
                .git
                .tree()
                .join(OsStr::from_bytes(path))
                .symlink_metadata()
                .is_ok()
            {
                there.extend_from_slice(path);
                there.push(0);
            }
        }
        if !there.is_empty() {
            let args = ["update-index", "--add", "-z", "--stdin"];
            self.git.call(args).stdin(&there).output()?;
        }
        Ok(!there.is_empty())
    }

    /// Deps that the agent staged before it could know better.
    fn drop_excluded(&self, base: Option<&str>) -> Result<(), GitError> {
        for path in &self.exclude {
            let of_base =
                base.is_some_and(|base| self.git.is(["cat-file", "-e", &format!("{base}:{path}")]));
            if !of_base {
                let spec = format!(":(top,literal){path}");
                let args = ["rm", "-r", "-q", "-f", "--cached", "--ignore-unmatch", "--"];
                self.git
                    .call(args.iter().copied().chain([spec.as_str()]))
                    .output()?;
            }
        }
        Ok(())
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
        let call = self
            .git
            .call(["commit-tree", tree, "-p", parent])
            .stdin(message.as_bytes());
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
        let args = [
            "ls-files",
            "--others",
            "--ignored",
            "--exclude-standard",
            "-z",
        ];
        // A list that was cut is still a list, but for its last line.
        let listed = self
            .git
            .call(args)
            .answer()
            .map(|answer| answer.stdout)
            .unwrap_or_default();
        let whole = listed
            .iter()
            .rposition(|byte| *byte == 0)
            .unwrap_or_default();
        let newer = |path: &[u8]| {
            let meta = self
                .git
                .tree()
                .join(OsStr::from_bytes(path))
                .symlink_metadata();
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
            .map(|path| String::from_utf8_lossy(path).into_owned())
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
    let (version, extension) = if sample.len() == 64 {
        (1, "[extensions]\n\tobjectFormat = sha256\n")
    } else {
        (0, "")
    };
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

/// A line of `info/exclude` that means exactly this path from the top.
pub(super) fn pattern(path: &[u8]) -> String {
    let mut line = String::from("/");
    for character in String::from_utf8_lossy(path).trim_matches('/').chars() {
        match character {
            '*' | '?' | '[' | '\\' | ' ' => {
                line.push('\\');
                line.push(character);
            }
            // No pattern can hold a newline or what is not UTF-8; one character stands for it.
            '\n' | '\r' | char::REPLACEMENT_CHARACTER => line.push('?'),
            other => line.push(other),
        }
    }
    line
}

/// A path for people: control characters escaped.
pub(super) fn escaped(path: &[u8]) -> String {
    String::from_utf8_lossy(path)
        .chars()
        .flat_map(|c| -> Vec<char> {
            if c.is_control() {
                c.escape_default().collect()
            } else {
                vec![c]
            }
        })
        .collect()
}

/// The index's own time tells which entries may have been changed in the second of their
/// writing; a copy with a newer time would hide such a change.
fn copy_with_time(from: &Path, to: &Path) -> std::io::Result<()> {
    leave::remove(to)?;
    let time = from.metadata()?.modified()?;
    fs::copy(from, to)?;
    set_time(to, time)
}

fn set_time(path: &Path, time: SystemTime) -> std::io::Result<()> {
    fs::File::options()
        .write(true)
        .open(path)?
        .set_modified(time)
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

fn told(what: &'static str) -> impl Fn(std::io::Error) -> GitError {
    move |source| GitError::Io {
        what: what.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_one_path() {
        assert_eq!(pattern(b"node_modules"), "/node_modules");
        assert_eq!(pattern(b"a b*[x]"), "/a\\ b\\*\\[x]");
        assert_eq!(pattern(b"new\nline"), "/new?line");
        assert_eq!(pattern(b"!x"), "/!x");
    }

    #[test]
    fn a_path_with_a_newline_is_no_alternate() {
        assert!(is_alternate(Path::new("/a b/objects")));
        assert!(!is_alternate(Path::new("/a\nb/objects")));
        assert!(!is_alternate(Path::new("relative")));
    }
}
