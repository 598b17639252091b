//! A branch of ours at a remote: by commit id, with a lease on what was there, and read back.

use midwatch_core::id::{BranchName, CommitId};

use crate::deliver::{DeliverError, Delivery};
use crate::error::{GitError, escaped};
use crate::mirror::Mirror;
use crate::refs::Before;
use crate::remote::{Access, Advertised, RemoteError, advertised};

fn list(mirror: &Mirror, access: Access<'_>) -> Result<Advertised, RemoteError> {
    advertised(mirror.git(), &mirror.work(), &mirror.scratch_dir(), access)
}

/// The id that a remote's branch stands at; `None` when there is none.
pub fn remote_branch(
    mirror: &Mirror,
    access: Access<'_>,
    branch: &BranchName,
) -> Result<Option<CommitId>, DeliverError> {
    Ok(list(mirror, access)?.branch(branch).cloned())
}

/// Pushes a branch and reads it back. Doing it again changes nothing.
pub fn push(
    mirror: &Mirror,
    access: Access<'_>,
    delivery: &Delivery<'_>,
) -> Result<CommitId, DeliverError> {
    let there = list(mirror, access)?;
    let before = delivery.before(&there.branches).map_err(DeliverError::at_remote)?;
    if let Some(before) = before {
        let lease = match before {
            Before::At(old) => old.as_str(),
            Before::Absent | Before::Any => "",
        };
        let branch = delivery.branch;
        let call = mirror.git().at(&mirror.work(), "push");
        let (call, _helper) = access.prepare(call, &mirror.scratch_dir())?;
        let ended = call
            .args(["--no-verify", "--porcelain", "--no-follow-tags", "--no-signed"])
            .arg(format!("--force-with-lease=refs/heads/{branch}:{lease}"))
            .args(["--", &access.url.to_git()])
            .arg(format!("{}:refs/heads/{branch}", delivery.commit))
            .finish()?;
        if ended.code != Some(0) {
            return Err(refused(branch, &ended.stdout, ended.code, ended.stderr));
        }
    }
    match remote_branch(mirror, access, delivery.branch)? {
        Some(id) if id == *delivery.commit => Ok(id),
        Some(_) | None => Err(DeliverError::NotThere(delivery.branch.clone())),
    }
}

/// Why a push ended with another code than 0.
pub(crate) fn refused(
    branch: &BranchName,
    stdout: &[u8],
    code: Option<i32>,
    stderr: String,
) -> DeliverError {
    // `!<tab>from:to<tab>[rejected] (stale info)` is the remote's answer; without it git did not
    // get that far.
    let said = String::from_utf8_lossy(stdout);
    match said.lines().find(|line| line.starts_with('!')) {
        Some(line) => {
            let why = line.rsplit('\t').next().unwrap_or(line);
            let remote: Vec<&str> =
                stderr.split("; ").filter(|part| part.starts_with("remote:")).collect();
            let why = format!("{why} {}", remote.join("; "));
            DeliverError::Rejected { branch: branch.clone(), why: escaped(why.as_bytes()) }
        }
        None => RemoteError::from(GitError::Failed { what: "push", code, stderr }).into(),
    }
}
