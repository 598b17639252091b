//! Repositories inside the workspace. `git add -A` fails on one without a commit and stages a
//! gitlink for the others, which no gate lets pass; either way the work in it is lost.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use midwatch_core::path;

use super::foreign::Foreign;
use super::git::GitError;
use super::names::sanitised;
use super::side::Side;

/// Where their git directories go, in the workspace.
pub(super) const SET_ASIDE: &str = ".git/midwatch-set-aside";

/// Nested repositories may hold nested ones: so many rounds are gone.
const ROUNDS: usize = 16;

/// The most nested repositories that are set aside.
const NESTED_MAX: usize = 200;

/// The most files of nested repositories in one checkpoint.
const FILES_MAX: usize = 20_000;

/// Takes gitlinks that `base` does not know out of the index, so that their folders are
/// untracked and are found as nested repositories. Answers whether there were any.
pub(super) fn drop_links(side: &Side, base: Option<&str>) -> Result<bool, GitError> {
    let staged = side.git().call(["ls-files", "--stage", "-z"]).output()?;
    let mut dropped = Vec::new();
    for entry in staged.split(|byte| *byte == 0) {
        let Some(entry) = entry.strip_prefix(b"160000 ") else {
            continue;
        };
        let Some(tab) = entry.iter().position(|byte| *byte == b'\t') else {
            continue;
        };
        let path = &entry[tab + 1..];
        if !base.is_some_and(|base| is_link_of(side, base, path)) {
            dropped.extend_from_slice(path);
            dropped.push(0);
        }
    }
    if dropped.is_empty() {
        return Ok(false);
    }
    let args = ["update-index", "--force-remove", "-z", "--stdin"];
    side.git().call(args).stdin(&dropped).output()?;
    Ok(true)
}

fn is_link_of(side: &Side, commit: &str, path: &[u8]) -> bool {
    let mut spec = OsString::from_vec(b":(top,literal)".to_vec());
    spec.push(OsStr::from_bytes(path));
    let args = ["ls-tree", commit, "--"].map(OsString::from);
    let listed = side.git().call(args.into_iter().chain([spec])).output();
    listed.is_ok_and(|listed| listed.starts_with(b"160000 "))
}

/// Moves the `.git` of each nested repository out of the tree, into a folder of the workspace's
/// own `.git`. Answers their paths, escaped. One that cannot be moved is left out of the snapshot.
pub(super) fn set_aside(side: &mut Side, foreign: &Foreign) -> Result<Vec<String>, GitError> {
    let mut told = Vec::new();
    for _ in 0..ROUNDS {
        let nested = side.nested(foreign)?;
        if nested.is_empty() {
            break;
        }
        for folder in nested {
            let workspace = side.git().tree().to_owned();
            let moved = told.len() < NESTED_MAX && move_away(&workspace, &folder, told.len());
            if moved {
                told.push(path::shown(folder.as_os_str().as_bytes()));
            } else {
                side.leave_out([folder], foreign)?;
            }
        }
    }
    Ok(told)
}

fn move_away(workspace: &Path, folder: &Path, number: usize) -> bool {
    let from = workspace.join(folder).join(".git");
    let place = workspace.join(SET_ASIDE);
    let name = sanitised(&folder.to_string_lossy());
    workspace.join(".git").is_dir()
        && fs::create_dir_all(&place).is_ok()
        && (number..).take(100).any(|n| {
            let to = place.join(format!("{n}-{name}.git"));
            to.symlink_metadata().is_err() && fs::rename(&from, &to).is_ok()
        })
}

/// Adds the files of nested repositories to the index one by one, their `.git` untouched: for a
/// checkpoint, while the agent works in them.
pub(super) fn add_files(side: &mut Side, foreign: &Foreign) -> Result<(), GitError> {
    let mut paths = Vec::new();
    let mut room = FILES_MAX;
    for folder in side.nested(foreign)? {
        let mut waiting = vec![folder];
        while let Some(folder) = waiting.pop() {
            let Ok(entries) = fs::read_dir(side.git().tree().join(&folder)) else {
                continue;
            };
            for entry in entries.flatten() {
                let Ok(kind) = entry.file_type() else {
                    continue;
                };
                let path: PathBuf = folder.join(entry.file_name());
                if entry.file_name() == ".git" || room == 0 {
                    continue;
                }
                room -= 1;
                if kind.is_dir() {
                    waiting.push(path);
                } else if kind.is_file() || kind.is_symlink() {
                    paths.extend_from_slice(path.as_os_str().as_bytes());
                    paths.push(0);
                }
            }
        }
    }
    if paths.is_empty() {
        return Ok(());
    }
    let args = ["update-index", "--add", "--remove", "-z", "--stdin"];
    side.git().call(args).stdin(&paths).output().map(|_| ())
}
