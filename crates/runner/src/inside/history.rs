//! Commits of repositories inside the workspace. Their files are committed with all others; their
//! history is in no commit of ours, and goes with the workspace unless it is told of.
//!
//! What a repository has fetched is somebody else's work, and is there again. No git runs on
//! their configuration: ids are read from files, and only their objects are asked about.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use midwatch_core::path;

use super::foreign::{Foreign, IDS_MAX};
use super::nested::SET_ASIDE;
use super::readable;
use super::side::{Side, TOLD_MAX};

/// Where their git directories are: those that we set aside, and those that git keeps for
/// submodules.
const PLACES: [&str; 2] = [SET_ASIDE, ".git/modules"];

/// How deep it is looked for them: a submodule's name may hold slashes.
const DEPTH: usize = 7;

/// So many are looked at; each may cost a start of git.
const LOOKED_AT: usize = 250;

/// What git writes into HEAD's reflog where a clone begins, and where somebody goes to a commit that
/// is there already.
const CLONED: &str = "clone: from ";
const LOOKED_IN: &str = "checkout: ";

/// Git directories in the workspace with commits that are nowhere else, and folders where not all
/// of them were looked at, escaped.
pub(super) fn unsaved(side: &Side, base: Option<&str>) -> Vec<String> {
    let workspace = side.git().tree();
    let mut histories = Histories::default();
    for place in PLACES {
        let place = workspace.join(place);
        readable::make_readable(&place, &[]);
        histories.look(&place, DEPTH);
    }
    let Histories { mut found, unseen } = histories;
    found.retain(|dir| has_own_commits(side, base, dir));
    let below = found.iter().chain(&unseen).filter_map(|dir| dir.strip_prefix(workspace).ok());
    below.take(TOLD_MAX).map(|dir| path::shown(dir.as_os_str().as_bytes())).collect()
}

/// What a walk found.
#[derive(Debug, Default)]
struct Histories {
    /// Git directories.
    found: Vec<PathBuf>,
    /// Folders where it stopped: there may be more.
    unseen: Vec<PathBuf>,
}

impl Histories {
    fn look(&mut self, folder: &Path, depth: usize) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        let folders = entries.flatten().filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir()));
        for dir in folders.map(|entry| entry.path()) {
            if self.found.len() >= LOOKED_AT || depth == 0 {
                self.unseen.push(folder.to_owned());
                return;
            }
            if dir.join("objects").is_dir() {
                // A submodule keeps its own submodules in itself.
                let inner = dir.join("modules");
                self.found.push(dir);
                self.look(&inner, depth - 1);
            } else {
                self.look(&dir, depth - 1);
            }
        }
    }
}

/// What a clone brought beside remote branches: the commit that HEAD began at, and tags. It writes
/// those into `packed-refs`; so does `git gc` with tags of commits that were made here.
fn cloned(nested: &Foreign) -> BTreeSet<String> {
    let went = nested.went_to("HEAD");
    let mut ids = BTreeSet::new();
    let mut made = BTreeSet::new();
    for (id, why) in went {
        if why.starts_with(CLONED) {
            ids.insert(id);
        } else if !why.starts_with(LOOKED_IN) {
            made.insert(id);
        }
    }
    if !ids.is_empty() {
        let tags = nested.packed_tags().into_iter();
        ids.extend(tags.filter(|tag| tag.iter().all(|id| !made.contains(id))).flatten());
    }
    ids
}

/// Whether a repository has a commit that it did not fetch, and that is not in the base. What
/// cannot be told counts as one.
fn has_own_commits(side: &Side, base: Option<&str>, dir: &Path) -> bool {
    let nested = Foreign::of(dir);
    let (fetched, own): (Vec<_>, Vec<_>) =
        nested.refs().into_iter().partition(|(name, _)| name.starts_with("refs/remotes/"));
    let mut fetched: BTreeSet<String> = fetched.into_iter().filter_map(|(_, id)| id).collect();
    fetched.extend(cloned(&nested));
    let mut own: BTreeSet<String> = own.into_iter().filter_map(|(_, id)| id).collect();
    own.extend(nested.head());
    for name in nested.logged().iter().filter(|name| !name.starts_with("refs/remotes/")) {
        own.extend(nested.reflog(name));
    }
    own.retain(|id| !fetched.contains(id) && base != Some(id));
    if own.is_empty() {
        return false;
    }
    let objects = nested.objects().and_then(|path| path.into_os_string().into_string().ok());
    let Some(objects) = objects.filter(|path| !path.contains([':', '\n'])) else { return true };
    // Ids of the other kind of hash are no ids here, and would be passed over.
    let length = base.map_or(40, str::len);
    let ids = || own.iter().chain(&fetched);
    if ids().any(|id| id.len() != length) || ids().count() > IDS_MAX {
        return true;
    }
    let wanted = own.iter().map(|id| format!("{id}\n"));
    let not = fetched.iter().map(String::as_str).chain(base.filter(|base| side.has_commit(base)));
    let asked: String = wanted.chain(not.map(|id| format!("^{id}\n"))).collect();
    // What is missing is lost already: the entries of reflogs, above all.
    let call = side.git().call(["rev-list", "-n1", "--ignore-missing", "--stdin"]);
    let call = call.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", objects).stdin(asked.as_bytes());
    call.line().map_or(true, |found| !found.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(dirs: &[String]) -> (usize, Vec<PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        for dir in dirs {
            fs::create_dir_all(folder.path().join(dir)).unwrap();
        }
        let mut histories = Histories::default();
        histories.look(folder.path(), DEPTH);
        let below = |dir: PathBuf| dir.strip_prefix(folder.path()).unwrap().to_owned();
        (histories.found.len(), histories.unseen.into_iter().map(below).collect())
    }

    #[test]
    fn where_more_may_be_than_is_looked_at_that_is_said() {
        let many = |count: usize| (0..count).map(|at| format!("{at}/objects")).collect::<Vec<_>>();
        assert_eq!(seen(&many(LOOKED_AT + 1)), (LOOKED_AT, vec![PathBuf::new()]));
        let deep = |depth: usize| vec![format!("{}x/objects", "a/".repeat(depth))];
        assert_eq!(seen(&deep(DEPTH)), (0, vec![PathBuf::from("a/".repeat(DEPTH))]));
        // The controls: in bounds everything is looked at.
        assert_eq!(seen(&many(LOOKED_AT)), (LOOKED_AT, vec![]));
        assert_eq!(seen(&deep(DEPTH - 1)), (1, vec![]));
    }
}
