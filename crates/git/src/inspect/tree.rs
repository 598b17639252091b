//! What a commit's tree holds, by listing it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use midwatch_core::detect::is_lock_file;
use midwatch_core::id::CommitId;
use midwatch_core::path;
use sha2::{Digest, Sha256};

use crate::command::{Git, Owner};
use crate::error::GitError;
use crate::hex::hex;
use crate::listing::{self, Mode};

/// The longest `.gitattributes` that is read, in bytes.
const ATTRIBUTES_CAP: u64 = 1 << 20;

/// Facts about a commit's tree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TreeFacts {
    /// `.gitattributes` files that hand files to Git LFS.
    pub lfs: Vec<String>,
    /// Other filters that `.gitattributes` files name; they are not run.
    pub filters: Vec<String>,
    /// Paths of submodules.
    pub submodules: Vec<String>,
    /// How many files.
    pub files: usize,
}

pub(super) fn facts(
    git: &Git,
    git_dir: &Path,
    owner: Option<Owner>,
    commit: &CommitId,
) -> Result<TreeFacts, GitError> {
    let mut facts = TreeFacts::default();
    for entry in listing::tree(git.at(git_dir, "ls-tree").owner(owner), commit)? {
        match entry.mode {
            Mode::Gitlink => facts.submodules.push(path::shown(&entry.path)),
            Mode::Link => {}
            Mode::File | Mode::Executable => {
                facts.files += 1;
                if entry.path == b".gitattributes" || entry.path.ends_with(b"/.gitattributes") {
                    let call = git.at(git_dir, "cat-file").owner(owner);
                    let text = call.args(["blob", &entry.id]).cap(ATTRIBUTES_CAP).run()?;
                    for filter in filters(&String::from_utf8_lossy(&text)) {
                        if filter == "lfs" {
                            facts.lfs.push(path::shown(&entry.path));
                        } else {
                            facts.filters.push(filter);
                        }
                    }
                }
            }
        }
    }
    facts.lfs.dedup();
    facts.filters.sort();
    facts.filters.dedup();
    Ok(facts)
}

fn filters(attributes: &str) -> Vec<String> {
    attributes
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace)
        .filter_map(|word| word.strip_prefix("filter="))
        .map(ToOwned::to_owned)
        .collect()
}

/// A commit's files, for reading settings from it: what a worktree holds is never looked at.
#[derive(Debug, Clone)]
pub struct CommitTree {
    git: Git,
    git_dir: PathBuf,
    owner: Option<Owner>,
    commit: CommitId,
}

impl CommitTree {
    pub(crate) fn new(
        git: &Git,
        git_dir: PathBuf,
        owner: Option<Owner>,
        commit: &CommitId,
    ) -> Self {
        Self { git: git.clone(), git_dir, owner, commit: commit.clone() }
    }

    /// Every file with a path in UTF-8; links and submodules are left out.
    pub fn files(&self) -> Result<BTreeSet<String>, GitError> {
        let call = self.git.at(&self.git_dir, "ls-tree").owner(self.owner);
        Ok(listing::tree(call, &self.commit)?
            .into_iter()
            .filter(|entry| matches!(entry.mode, Mode::File | Mode::Executable))
            .filter_map(|entry| String::from_utf8(entry.path).ok())
            .collect())
    }

    /// The text of a file of at most `cap` bytes; `None` when it is not there, larger or no text.
    pub fn read(&self, path: &str, cap: u64) -> Result<Option<String>, GitError> {
        let call = self.git.at(&self.git_dir, "cat-file").owner(self.owner);
        let ended = call.args(["blob", &format!("{}:{path}", self.commit)]).cap(cap).finish();
        match ended {
            Ok(ended) if ended.code == Some(0) => Ok(String::from_utf8(ended.stdout).ok()),
            Ok(_) | Err(GitError::TooMuchOutput { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Identifies the lock files of a commit's tree: the same hash, the same paths and contents.
pub(crate) fn lock_hash(git: &Git, git_dir: &Path, commit: &CommitId) -> Result<String, GitError> {
    let mut hash = Sha256::new();
    for entry in listing::tree(git.at(git_dir, "ls-tree"), commit)? {
        if is_lock_file(&String::from_utf8_lossy(&entry.path)) {
            hash.update(&entry.path);
            hash.update(b"\0");
            hash.update(entry.id.as_bytes());
            hash.update(b"\n");
        }
    }
    Ok(hex(&hash.finalize()[..16]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_found_in_attributes() {
        let text = "# filter=no\n*.bin filter=lfs diff=lfs -text\n*.ipynb filter=nbstrip\n";
        assert_eq!(filters(text), ["lfs", "nbstrip"]);
    }
}
