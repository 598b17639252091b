//! Before the first run: does the installed git still refuse what it must? Known-bad objects
//! are put through the real import. One that is taken, or a good one that is not, and nothing
//! may be imported on this machine.

use std::path::Path;

use midwatch_core::id::CommitId;

use crate::command::{Call, Git, Input};
use crate::error::GitError;
use crate::gates::Scanner;
use crate::import::{ImportError, ImportOrder, ImportOutcome, Limits, import};
use crate::inspect::Checkout;
use crate::mirror::Mirror;
use crate::refs::{self, Before, EMAIL, NAME};
use crate::scratch::Scratch;

/// Why imports are not safe here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SelfTestError {
    /// A known-bad object came through.
    #[error("this machine's git takes malformed objects ({0}); no run is started with it")]
    Taken(&'static str),
    /// A good one did not: the test says nothing.
    #[error("the import self-test could not run: {0}")]
    CouldNotRun(String),
}

impl From<GitError> for SelfTestError {
    fn from(error: GitError) -> Self {
        Self::CouldNotRun(error.to_string())
    }
}

/// One malformed tree.
struct Bad {
    name: &'static str,
    mode: &'static str,
    entry: &'static [u8],
    content: &'static [u8],
}

const BAD: [Bad; 8] = [
    Bad { name: "tree entry .git", mode: "100644", entry: b".git", content: b"x" },
    Bad { name: "tree entry .GIT", mode: "100644", entry: b".GIT", content: b"x" },
    Bad { name: "tree entry ..", mode: "100644", entry: b"..", content: b"x" },
    Bad { name: "tree entry .", mode: "100644", entry: b".", content: b"x" },
    Bad { name: "tree entry with a slash", mode: "100644", entry: b"a/../b", content: b"x" },
    Bad { name: "tree entry git~1", mode: "100644", entry: b"git~1", content: b"x" },
    Bad {
        name: ".gitmodules with an option as url",
        mode: "100644",
        entry: b".gitmodules",
        content: b"[submodule \"s\"]\n\tpath = s\n\turl = --upload-pack=/bin/false\n",
    },
    Bad { name: ".gitmodules as a link", mode: "120000", entry: b".gitmodules", content: b"x" },
];

/// Runs the test in a folder below `dir`, which is removed again. Takes a fraction of a second.
pub fn self_test(git: &Git, dir: &Path) -> Result<(), SelfTestError> {
    let scratch = Scratch::in_dir(dir)?;
    let root = scratch.path();
    let source = root.join("source.git");
    git.call("init").args(["-q", "--bare", "--template=", "--"]).arg(&source).run()?;
    let workshop = Workshop { git, source: &source };
    let empty = workshop.tree("100644", b"README", b"hello\n")?;
    let base = workshop.commit(&empty, None)?;
    refs::set(git.at(&source, "update-ref"), "refs/heads/main", &base, Before::Any)?;
    let mirror = Mirror::open(git, &root.join("mirror"), false)?;
    let checkout = Checkout::find(git, &source).map_err(|e| could_not(&e))?;
    mirror.fetch_local(&checkout, &base)?;

    let good = workshop.tree("100644", b"README", b"hello again\n")?;
    match workshop.import(root, &mirror, &base, &good)? {
        Ok(ImportOutcome::Imported(_)) => {}
        Ok(ImportOutcome::Refused(findings)) => return Err(could_not(&format!("{findings:?}"))),
        Err(error) => return Err(could_not(&error)),
    }
    for bad in &BAD {
        let tree = workshop.tree(bad.mode, bad.entry, bad.content)?;
        match workshop.import(root, &mirror, &base, &tree)? {
            Err(ImportError::Objects(_)) => {}
            Ok(_) => return Err(SelfTestError::Taken(bad.name)),
            Err(error) => return Err(could_not(&error)),
        }
    }
    Ok(())
}

fn could_not(error: &dyn std::fmt::Display) -> SelfTestError {
    SelfTestError::CouldNotRun(error.to_string())
}

/// Makes objects that an ordinary git would not.
struct Workshop<'a> {
    git: &'a Git,
    source: &'a Path,
}

impl Workshop<'_> {
    fn call(&self, subcommand: &'static str) -> Call {
        self.git.at(self.source, subcommand)
    }

    fn object(&self, kind: &str, content: &[u8]) -> Result<String, GitError> {
        self.call("hash-object")
            .args(["-w", "--literally", "-t", kind, "--stdin"])
            .stdin(Input::Bytes(content.to_vec()))
            .text()
    }

    fn tree(&self, mode: &str, entry: &[u8], content: &[u8]) -> Result<Objects, GitError> {
        let blob = self.object("blob", content)?;
        let mut tree = format!("{mode} ").into_bytes();
        tree.extend_from_slice(entry);
        tree.push(0);
        let digits = blob.as_bytes().chunks_exact(2);
        tree.extend(
            digits.filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()),
        );
        let tree = self.object("tree", &tree)?;
        Ok(Objects { blob, tree })
    }

    fn commit(&self, objects: &Objects, parent: Option<&CommitId>) -> Result<CommitId, GitError> {
        let parent = parent.map(|p| format!("parent {p}\n")).unwrap_or_default();
        let text = format!(
            "tree {}\n{parent}author {NAME} <{EMAIL}> 1 +0000\ncommitter {NAME} <{EMAIL}> 1 +0000\n\nwork\n",
            objects.tree
        );
        Ok(CommitId::parse(&self.object("commit", text.as_bytes())?)?)
    }

    /// Bundles a commit on the base with a head of our own writing, and imports it.
    fn import(
        &self,
        root: &Path,
        mirror: &Mirror,
        base: &CommitId,
        objects: &Objects,
    ) -> Result<Result<ImportOutcome, ImportError>, GitError> {
        let commit = self.commit(objects, Some(base))?;
        let list = format!("{}\n{}\n{commit}\n", objects.blob, objects.tree);
        let pack = self
            .call("pack-objects")
            .args(["--stdout", "-q"])
            .stdin(Input::Bytes(list.into_bytes()))
            .run()?;
        let mut bundle =
            format!("# v2 git bundle\n-{base} base\n{commit} refs/heads/work\n\n").into_bytes();
        bundle.extend_from_slice(&pack);
        let path = root.join("work.bundle");
        std::fs::write(&path, bundle).map_err(GitError::io("could not write", &path))?;
        let order = ImportOrder {
            dir: root,
            name: "work.bundle",
            base,
            onto: base,
            known: &[],
            target: "refs/midwatch/self-test",
            when: 1,
            fallback_message: "work",
            limits: Limits::default(),
        };
        Ok(import(mirror, &order, &Scanner::new(&[])))
    }
}

/// The objects of a commit.
struct Objects {
    blob: String,
    tree: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_installed_git_passes() {
        let git = Git::find().unwrap();
        let dir = tempfile::tempdir().unwrap();
        self_test(&git, dir.path()).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
