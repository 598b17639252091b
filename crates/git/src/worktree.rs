//! `midwatch open`: a result, or rescued work, in a worktree of the user's repository, or in a
//! repository of its own.

use std::path::Path;

use midwatch_core::id::CommitId;

use crate::command::{Call, LONG};
use crate::deliver::send;
use crate::error::GitError;
use crate::inspect::{Checkout, InspectError};
use crate::mirror::Mirror;
use crate::refs::{self, Before};

/// Makes a worktree at `folder`, which must not exist, with `commit` checked out and no branch.
/// `name` (a ref name part of our own) keeps the commit at `refs/midwatch/open/<name>`.
///
/// What is checked out may be an agent's: no hook, monitor or filter runs, not even the user's
/// own, because the commit says which files would be given to them. `umask` holds the bits that
/// the modes of its files leave out; none takes those of the repository.
pub fn open(
    mirror: &Mirror,
    repository: &Checkout,
    commit: &CommitId,
    name: &str,
    folder: &Path,
    umask: Option<u32>,
) -> Result<(), GitError> {
    let git = mirror.git();
    send(mirror, repository, commit)?;
    let keep = repository.write(git, "update-ref");
    refs::set(keep, &format!("refs/midwatch/open/{name}"), commit, Before::Any)?;
    let mut call = repository
        .write(git, "worktree")
        .args(["add", "--detach", "--"])
        .arg(folder)
        .arg(commit.as_str())
        .config("core.symlinks", "true")
        .config("core.autocrlf", "false")
        .timeout(LONG);
    if let Some(bits) = umask {
        call = call.umask(bits);
    }
    for filter in filters(mirror, repository)? {
        for key in ["smudge", "clean", "process"] {
            call = call.config(&format!("filter.{filter}.{key}"), "");
        }
        call = call.config(&format!("filter.{filter}.required"), "false");
    }
    call.run().map(drop)
}

/// Makes a repository of its own at `folder`, which must not exist, with `commit` and its history
/// in it, checked out and on no branch: for repositories of which there is no checkout here.
pub fn open_alone(
    mirror: &Mirror,
    commit: &CommitId,
    folder: &Path,
    umask: Option<u32>,
) -> Result<(), InspectError> {
    let git = mirror.git();
    let format = if mirror.is_sha256() { "sha256" } else { "sha1" };
    let masked = |call: Call| match umask {
        Some(bits) => call.umask(bits),
        None => call,
    };
    let init = git.call("init").args(["-q", "--template=", &format!("--object-format={format}")]);
    masked(init.arg("--").arg(folder)).run()?;
    let repository = Checkout::find(git, folder)?;
    send(mirror, &repository, commit)?;
    // Its settings are git's own: there is no filter that could run.
    let checkout = repository
        .read(git, "checkout")
        .work_tree(folder)
        .args(["-q", "-f", "--detach", commit.as_str()])
        .config("core.symlinks", "true")
        .timeout(LONG);
    masked(checkout).run()?;
    Ok(())
}

/// The names of every filter that the repository's settings know.
fn filters(mirror: &Mirror, repository: &Checkout) -> Result<Vec<String>, GitError> {
    let ended = repository
        .read(mirror.git(), "config")
        .args(["-z", "--name-only", "--get-regexp", r"^filter\."])
        .finish()?;
    if !matches!(ended.code, Some(0 | 1)) {
        let stderr = ended.stderr;
        return Err(GitError::Failed { what: "config", code: ended.code, stderr });
    }
    let mut names: Vec<String> = String::from_utf8_lossy(&ended.stdout)
        .split('\0')
        .filter_map(|key| Some(key.strip_prefix("filter.")?.rsplit_once('.')?.0.to_owned()))
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}
