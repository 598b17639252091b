//! The index of our own: begun from the agent's, cleared of what hides changes, and made to say
//! what the tree is now.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::SystemTime;

use super::{Side, told};
use crate::inside::foreign::Foreign;
use crate::inside::git::GitError;
use crate::inside::{leave, readable};

/// Attributes that stand above those of the tree: no file is taken for another encoding.
const PLAIN: &str = "* !working-tree-encoding\n";

impl Side {
    /// Begins the index: the agent's own where it can be read, because it knows which files are
    /// unchanged; else the tree of `fallback`; else nothing. `fallback` is what the work stands on.
    pub(in crate::inside) fn seed_index(
        &mut self,
        foreign: &Foreign,
        fallback: Option<&str>,
    ) -> Result<(), GitError> {
        self.begin_index(foreign, fallback)?;
        self.stands_on = fallback.filter(|commit| self.has_commit(commit)).map(ToOwned::to_owned);
        self.unstage_big(foreign)
    }

    fn begin_index(&self, foreign: &Foreign, fallback: Option<&str>) -> Result<(), GitError> {
        let index = self.git.dir().join("index");
        if let Some(theirs) = foreign.index()
            && copy_with_time(&theirs, &index).is_ok()
            && self.unhide(&index).is_ok()
        {
            return Ok(());
        }
        leave::remove(&index).map_err(told("index"))?;
        fallback.map_or(Ok(()), |fallback| self.read_tree(fallback, &index))
    }

    /// Begins the index from a commit; from nothing, where its objects are gone.
    fn read_tree(&self, commit: &str, index: &Path) -> Result<(), GitError> {
        match self.git.call(["read-tree", commit]).output() {
            Ok(_) => Ok(()),
            // Without room the tree would be taken for one that has only what is not ignored.
            Err(error) if error.is_full() => Err(error),
            Err(_) => leave::remove(index).map_err(told("index")),
        }
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
            let there = || self.git.tree().join(OsStr::from_bytes(path)).symlink_metadata().is_ok();
            if mark.eq_ignore_ascii_case(&b'S') && there() {
                skipped.extend_from_slice(path);
                skipped.push(0);
            }
        }
        let time = index.metadata().and_then(|meta| meta.modified()).map_err(told("index"))?;
        let mut touched = false;
        for (flag, paths) in [("--no-assume-unchanged", assumed), ("--no-skip-worktree", skipped)] {
            if !paths.is_empty() {
                self.git.call(["update-index", flag, "-z", "--stdin"]).stdin(&paths).output()?;
                touched = true;
            }
        }
        if touched {
            set_time(index, time).map_err(told("index"))?;
        }
        Ok(())
    }

    /// Puts the tree as it is now into the index and answers its id, and what could not be added.
    /// `base` decides which excluded paths belong to the repository after all.
    pub(in crate::inside) fn snapshot(
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
                base.map_or(Ok(()), |base| self.read_tree(base, &index))?;
                let missed = self.add_all()?;
                Ok((self.git.line(["write-tree"])?, missed))
            }
            Err(error) => Err(error),
        }
    }

    fn add_all(&self) -> Result<Option<String>, GitError> {
        leave::remove(&self.git.dir().join("index.lock")).map_err(told("index.lock"))?;
        let add = || self.git.call(["add", "-A", "--ignore-errors", "--", "."]).answer();
        let answer = add()?;
        if answer.code() == Some(0) && answer.stderr.is_empty() {
            return Ok(None);
        }
        // Files and folders that only their own mode keeps from us.
        if contains(&answer.stderr, b"Permission denied") {
            readable::make_readable(self.git.tree(), &self.exclude);
        }
        let answer = add()?;
        match answer.code() {
            Some(0) => Ok(None),
            // What is not in the commit would be told as left out for good.
            Some(_) | None if answer.full => Err(answer.refused("add")),
            // 1: everything else was added.
            Some(1) => Ok(Some(answer.story())),
            _ => self.add_plainly(&answer.story()),
        }
    }

    /// Adds files as their bytes are: git ends at the first one that is not in the encoding that
    /// an attribute names.
    fn add_plainly(&self, story: &str) -> Result<Option<String>, GitError> {
        let attributes = self.git.dir().join("info/attributes");
        std::fs::write(&attributes, PLAIN).map_err(told("info/attributes"))?;
        leave::remove(&self.git.dir().join("index.lock")).map_err(told("index.lock"))?;
        let answer = self.git.call(["add", "-A", "--ignore-errors", "--", "."]).answer()?;
        match answer.code() {
            Some(0 | 1) if !answer.full => Ok(Some(format!("as their attributes say: {story}"))),
            Some(_) | None => Err(answer.refused("add")),
        }
    }

    /// Adds those of the paths (NUL-separated) that are there, whatever ignore rules say.
    /// Answers whether there were any.
    pub(in crate::inside) fn add_anyway(&self, paths: &[u8]) -> Result<bool, GitError> {
        let mut there = Vec::new();
        for path in paths.split(|byte| *byte == 0).filter(|path| !path.is_empty()) {
            if self.git.tree().join(OsStr::from_bytes(path)).symlink_metadata().is_ok() {
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
                self.git.call(args.iter().copied().chain([spec.as_str()])).output()?;
            }
        }
        Ok(())
    }
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
    fs::File::options().write(true).open(path)?.set_modified(time)
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}
