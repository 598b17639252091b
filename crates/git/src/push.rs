//! A branch of ours at a remote: by commit id, with a lease on what was there, and read back.

use midwatch_core::id::{BranchName, CommitId};

use crate::deliver::{DeliverError, Delivery};
use crate::error::{GitError, escaped};
use crate::mirror::{Access, Mirror};
use crate::refs::Before;

/// The heads that a remote has.
fn heads(mirror: &Mirror, access: Access<'_>) -> Result<Vec<(String, CommitId)>, DeliverError> {
    let call = mirror.git().at(&mirror.work(), "ls-remote");
    let (call, _helper) = access.prepare(call, &mirror.scratch_dir())?;
    let out = call.args(["-q", "--heads", "--", &access.url.to_git()]).run().map_err(typed)?;
    let mut heads = Vec::new();
    for line in String::from_utf8_lossy(&out).lines() {
        let Some((id, name)) = line.split_once('\t') else {
            return Err(GitError::unexpected("ls-remote", line.as_bytes()).into());
        };
        if let Some(name) = name.strip_prefix("refs/heads/") {
            heads.push((name.to_owned(), CommitId::parse(id).map_err(GitError::Input)?));
        }
    }
    Ok(heads)
}

/// The id that a remote's branch stands at; `None` when there is none.
pub fn remote_branch(
    mirror: &Mirror,
    access: Access<'_>,
    branch: &BranchName,
) -> Result<Option<CommitId>, DeliverError> {
    let all = heads(mirror, access)?;
    Ok(all.into_iter().find(|(name, _)| name == branch.as_str()).map(|(_, id)| id))
}

/// Pushes a branch and reads it back. Doing it again changes nothing.
pub fn push(
    mirror: &Mirror,
    access: Access<'_>,
    delivery: &Delivery<'_>,
) -> Result<CommitId, DeliverError> {
    let there = heads(mirror, access)?;
    if let Some(before) = delivery.before(&there)? {
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
        Some(_) | None => {
            Err(GitError::unexpected("push", b"the remote does not hold what was pushed").into())
        }
    }
}

fn refused(branch: &BranchName, stdout: &[u8], code: Option<i32>, stderr: String) -> DeliverError {
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
        None => typed(GitError::Failed { what: "push", code, stderr }),
    }
}

fn typed(error: GitError) -> DeliverError {
    let asks = [
        "Authentication failed",
        "could not read Username",
        "could not read Password",
        "Permission denied (publickey",
    ];
    if asks.iter().any(|text| error.says(text)) {
        DeliverError::Authentication(error.to_string())
    } else {
        DeliverError::Git(error)
    }
}
