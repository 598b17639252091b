//! A branch of ours in a repository on this machine.
//!
//! Objects are piped from a pack of `work` into an `index-pack` in the target, run as its owner,
//! and the ref is set there in one step with hooks off. Neither end of git's own transport is
//! used: a push by path runs five hooks of the target, and a fetch inside it reads settings that
//! can name programs (`remote.<path>.uploadpack`, `core.alternateRefsCommand`, `insteadOf`).

use midwatch_core::id::{BranchName, CommitId};

use crate::command::{Git, Input, LONG};
use crate::error::GitError;
use crate::inspect::Checkout;
use crate::mirror::{Mirror, strict_but_for_the_past};
use crate::refs::{self, Before};
use crate::remote::RemoteError;
use crate::revisions::Revisions;

/// Why a branch was not set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliverError {
    /// The branch is the base or protected.
    #[error(
        "{0} is the base or a protected branch; Midwatch only writes to branches of its own: choose \
         another with --branch"
    )]
    Protected(BranchName),
    /// The branch exists and is not this task's, or was moved since we set it. One that a task
    /// made which was deleted is the user's.
    #[error(
        "branch {branch} already exists at {}, where this task did not put it; choose another \
         with --branch, or {} where nobody needs it", at.short(), removal(*place, branch)
    )]
    NotOurs {
        /// The branch.
        branch: BranchName,
        /// Where it stands.
        at: CommitId,
        /// Where it is.
        place: Where,
    },
    /// `a` and `a/b` cannot both be branches.
    #[error(
        "branch {branch} cannot be made beside the existing branch {other}; choose another with --branch"
    )]
    Conflict {
        /// The branch asked for.
        branch: BranchName,
        /// The one in its way, escaped.
        other: String,
    },
    /// A worktree has the branch checked out.
    #[error("branch {0} is checked out; switch to another one, then retry")]
    CheckedOut(BranchName),
    /// The remote refused.
    #[error("the remote refused branch {branch}: {why}")]
    Rejected {
        /// The branch.
        branch: BranchName,
        /// What it said, escaped.
        why: String,
    },
    /// The remote called it taken, and does not have it.
    #[error("the remote said that it took branch {0}, but does not have it")]
    NotThere(BranchName),
    /// The remote did not let us in, or did not answer.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// Where a branch is that stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// In the user's repository.
    Here,
    /// At the remote that would be pushed to.
    Remote,
}

/// What takes a branch away. Branch names hold nothing that a shell would read.
fn removal(place: Where, branch: &BranchName) -> String {
    match place {
        Where::Here => format!("`git branch -D {branch}`"),
        Where::Remote => format!("`git push REMOTE --delete {branch}`"),
    }
}

impl DeliverError {
    /// The same about a branch at a remote.
    pub(crate) fn at_remote(self) -> Self {
        match self {
            Self::NotOurs { branch, at, place: _ } => {
                Self::NotOurs { branch, at, place: Where::Remote }
            }
            other => other,
        }
    }
}

/// A branch to set.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// What it is to hold.
    pub commit: &'a CommitId,
    /// Its name.
    pub branch: &'a BranchName,
    /// Where we set it before, if we did. Only then it may exist, and only there.
    pub ours_at: Option<&'a CommitId>,
    /// The base branch and others that are never written to.
    pub protected: &'a [BranchName],
}

impl Delivery<'_> {
    /// Says whether the branch could be set beside these heads of a remote.
    pub fn check(&self, heads: &[(String, CommitId)]) -> Result<(), DeliverError> {
        self.before(heads).map(drop).map_err(DeliverError::at_remote)
    }

    /// What has to be in the branch's place, by the heads that exist: `Ok(None)` when it already
    /// holds the commit.
    pub(crate) fn before<'h>(
        &self,
        heads: &'h [(String, CommitId)],
    ) -> Result<Option<Before<'h>>, DeliverError> {
        let branch = self.branch.as_str();
        if self.protected.contains(self.branch) {
            return Err(DeliverError::Protected(self.branch.clone()));
        }
        let beside = |other: &str| {
            other.strip_prefix(branch).is_some_and(|rest| rest.starts_with('/'))
                || branch.strip_prefix(other).is_some_and(|rest| rest.starts_with('/'))
        };
        if let Some((other, _)) = heads.iter().find(|(other, _)| beside(other)) {
            let other = crate::error::escaped(other.as_bytes());
            return Err(DeliverError::Conflict { branch: self.branch.clone(), other });
        }
        match heads.iter().find(|(name, _)| name == branch) {
            None => Ok(Some(Before::Absent)),
            Some((_, at)) if at == self.commit => Ok(None),
            Some((_, at)) if Some(at) == self.ours_at => Ok(Some(Before::At(at))),
            Some((_, at)) => Err(DeliverError::NotOurs {
                branch: self.branch.clone(),
                at: at.clone(),
                place: Where::Here,
            }),
        }
    }
}

/// Says whether a branch could be set, before the work for it begins.
pub fn check(git: &Git, target: &Checkout, delivery: &Delivery<'_>) -> Result<(), DeliverError> {
    let heads = heads(git, target)?;
    if delivery.before(&heads)?.is_some()
        && target.checked_out()?.iter().any(|name| name == delivery.branch.as_str())
    {
        return Err(DeliverError::CheckedOut(delivery.branch.clone()));
    }
    Ok(())
}

/// Sets a branch and reads it back. Doing it again changes nothing.
pub fn deliver(
    mirror: &Mirror,
    target: &Checkout,
    delivery: &Delivery<'_>,
) -> Result<CommitId, DeliverError> {
    let git = mirror.git();
    check(git, target, delivery)?;
    let heads = heads(git, target)?;
    if let Some(before) = delivery.before(&heads)? {
        send(mirror, target, delivery.commit)?;
        let name = format!("refs/heads/{}", delivery.branch);
        let set = target.write(git, "update-ref");
        refs::set(set, &name, delivery.commit, before)?;
    }
    match target.branch(git, delivery.branch)? {
        Some(there) if there == *delivery.commit => Ok(there),
        Some(_) | None => {
            Err(GitError::unexpected("update-ref", b"the branch does not hold what was set").into())
        }
    }
}

/// Copies what a commit reaches and the target lacks.
pub(crate) fn send(mirror: &Mirror, target: &Checkout, commit: &CommitId) -> Result<(), GitError> {
    let asked = Revisions::wanted([commit]).without(mirror.common_with(target)?);
    let pack = mirror
        .git()
        .at(&mirror.work(), "pack-objects")
        .args(["--revs", "--stdout", "-q", "--delta-base-offset"])
        .timeout(LONG)
        .stdin(asked.input());
    target
        .write(mirror.git(), "index-pack")
        .args([strict_but_for_the_past().as_str(), "--stdin"])
        .timeout(LONG)
        .stdin(Input::Call(Box::new(pack)))
        .run()
        .map(drop)
}

fn heads(git: &Git, target: &Checkout) -> Result<Vec<(String, CommitId)>, GitError> {
    let all = refs::list(target.read(git, "for-each-ref"), "refs/heads/")?;
    Ok(all
        .into_iter()
        .filter_map(|(name, id)| Some((name.strip_prefix("refs/heads/")?.to_owned(), id)))
        .collect())
}
