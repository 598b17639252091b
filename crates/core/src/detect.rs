//! Finds out, from a commit's files alone, how a repository is set up and checked.
//!
//! Both lists are read from the **base** commit and said aloud with their `why`. Only the root
//! folder is searched; lock files count anywhere (a workspace keeps manifests in every member).

mod cargo;
mod go;
pub(crate) mod json;
mod jvm;
mod lock_files;
mod make;
mod node;
mod python;

use std::collections::BTreeSet;
use std::fmt;

pub use lock_files::{is_lock_file, lock_files};

/// A commit: its file names, with `/` between folders, and the text of a file that is asked
/// for (`None`: not text, too large, not there).
#[derive(Clone, Copy)]
pub struct Tree<'a> {
    /// Every tracked file.
    pub files: &'a BTreeSet<String>,
    /// Reads one of them. Asked for a few dozen at most.
    pub read: &'a dyn Fn(&str) -> Option<String>,
}

impl fmt::Debug for Tree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

impl Tree<'_> {
    fn has(&self, path: &str) -> bool {
        self.files.contains(path)
    }

    /// The first of some names that is there.
    fn first<'n>(&self, names: &[&'n str]) -> Option<&'n str> {
        names.iter().copied().find(|name| self.has(name))
    }

    fn text(&self, path: &str) -> Option<String> {
        if self.has(path) { (self.read)(path) } else { None }
    }
}

/// A command that was found, and what it needs around it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detected {
    /// One line for `sh -c`, run in the root of the workspace.
    pub command: String,
    /// The same where there is no network, when it has to be written otherwise (`mvn -o`).
    pub offline_command: Option<String>,
    /// What was found, as half a sentence: `Cargo.toml`, `package.json has a test script`.
    pub why: String,
    /// Folders of the workspace to put first in PATH, such as `.venv/bin`. Of a setup: for
    /// everything that runs after it, the agent too.
    pub path: Vec<String>,
    /// Variables the command needs; of a setup: also everything that runs after it.
    pub env: Vec<(String, String)>,
    /// Variables that tell the tools not to try the network, where there is none. Of a setup:
    /// for what runs after it, never for itself.
    pub offline_env: Vec<(String, String)>,
    /// Folders below HOME that a setup fills and later runs need.
    pub keep_home: Vec<String>,
}

impl Detected {
    fn new(command: &str, why: impl Into<String>) -> Self {
        Self { command: command.to_owned(), why: why.into(), ..Self::default() }
    }

    fn offline(mut self, command: &str) -> Self {
        self.offline_command = Some(command.to_owned());
        self
    }

    fn with_path(mut self, folder: &str) -> Self {
        self.path.push(folder.to_owned());
        self
    }

    fn with_env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    fn with_offline_env(mut self, name: &str, value: &str) -> Self {
        self.offline_env.push((name.to_owned(), value.to_owned()));
        self
    }

    fn keeping(mut self, folders: &[&str]) -> Self {
        self.keep_home.extend(folders.iter().map(|&folder| folder.to_owned()));
        self
    }
}

/// The commands that check a commit, in the order to run them; empty where nothing is found.
/// `make test` is taken only where no language was recognised: it mostly runs the same again.
pub fn checks(tree: &Tree<'_>) -> Vec<Detected> {
    let found: Vec<Detected> = [
        cargo::check(tree),
        go::check(tree),
        node::check(tree),
        python::check(tree),
        jvm::maven_check(tree),
        jvm::gradle_check(tree),
    ]
    .into_iter()
    .flatten()
    .collect();
    if found.is_empty() { make::check(tree).into_iter().collect() } else { found }
}

/// The commands that install dependencies, in the order to run them; one per ecosystem.
pub fn setups(tree: &Tree<'_>) -> Vec<Detected> {
    [
        cargo::setup(tree),
        go::setup(tree),
        node::setup(tree),
        python::setup(tree),
        jvm::maven_setup(tree),
        jvm::gradle_setup(tree),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Several found commands as one: joined by `&&`, what they need put together. `None` for an
/// empty list.
pub fn joined(found: &[Detected]) -> Option<Detected> {
    if found.is_empty() {
        return None;
    }
    let mut all = Detected::default();
    let mut offline = Vec::new();
    for one in found {
        let Detected { command, offline_command, why, path, env, offline_env, keep_home } = one;
        for (text, part, glue) in [(&mut all.command, command, " && "), (&mut all.why, why, ", ")] {
            if !text.is_empty() {
                text.push_str(glue);
            }
            text.push_str(part);
        }
        offline.push(offline_command.as_ref().unwrap_or(command).as_str());
        all.path.extend_from_slice(path);
        all.env.extend_from_slice(env);
        all.offline_env.extend_from_slice(offline_env);
        all.keep_home.extend_from_slice(keep_home);
    }
    if found.iter().any(|one| one.offline_command.is_some()) {
        all.offline_command = Some(offline.join(" && "));
    }
    Some(all)
}

#[cfg(test)]
mod tests;
