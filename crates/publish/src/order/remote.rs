//! What a server says about an order before there is a task: the base, the branch, and whether a
//! push would be let in. Nothing is fetched and nothing sent.

use std::path::Path;

use midwatch_core::id::{BranchName, CommitId};
use midwatch_git::deliver::{DeliverError, Delivery, Where};
use midwatch_git::remote::{Advertised, Inquiry, Named, RemoteError};
use midwatch_git::url::Identity;
use midwatch_git::{Git, Mirror};

use super::OrderError;
use crate::places::Server;
use crate::publisher::is_sha256;

/// A server that answered.
#[derive(Debug)]
pub struct Remote {
    git: Git,
    inquiry: Inquiry,
    told: Advertised,
    server: Server,
}

/// Asks a server for its branches. Another answer than those is an error: no credential, a wrong
/// one, a redirect, nobody there.
pub fn ask(git: &Git, server: &Server) -> Result<Remote, OrderError> {
    let inquiry = Inquiry::begin(git)?;
    let told = inquiry.advertised(server.access())?;
    Ok(Remote { git: git.clone(), inquiry, told, server: server.clone() })
}

impl Remote {
    /// What makes two orders be about this repository: host and path.
    pub fn identity(&self) -> String {
        match Identity::of_url(&self.server.url) {
            Identity::Remote(url) => url,
            Identity::Local(path) => path.to_string_lossy().into_owned(),
        }
    }

    /// The server's default branch.
    pub fn default_branch(&self) -> Option<&str> {
        self.told.default_branch.as_deref()
    }

    /// The commit that a branch, tag or id names, and its branch; without a reference those of
    /// the default branch. A commit that the server does not tell of is fetched into `mirror`,
    /// for there is no other way to know that it is there.
    pub fn base(
        &self,
        reference: Option<&str>,
        mirror: &Path,
    ) -> Result<(CommitId, Option<String>), OrderError> {
        let Named { commit, branch, advertised } = self.told.name(reference)?;
        if !advertised {
            let mirror = Mirror::open(&self.git, mirror, is_sha256(&commit))?;
            mirror.fetch_commit(self.server.access(), &commit, None)?;
        }
        Ok((commit, branch))
    }

    /// Refuses a branch of ours that could not be made there: one that exists, one beside which
    /// it cannot be, a protected one, and any where this credential may not write.
    pub fn check_branch(
        &self,
        branch: &BranchName,
        base: &CommitId,
        protected: &[BranchName],
    ) -> Result<(), OrderError> {
        let delivery = Delivery { commit: base, branch, ours_at: None, protected };
        if let Some(at) = self.told.branch(branch)
            && !protected.contains(branch)
        {
            // Not the task's, even when it stands at the base.
            let (branch, at) = (branch.clone(), at.clone());
            return Err(DeliverError::NotOurs { branch, at, place: Where::Remote }.into());
        }
        delivery.check(&self.told.branches)?;
        self.inquiry.would_take(self.server.access(), &delivery)?;
        Ok(())
    }
}

impl OrderError {
    /// Nobody answered: the order may be right all the same.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Remote(RemoteError::Unreachable(_)))
    }

    /// A credential is missing, or is not taken for this.
    pub fn is_login(&self) -> bool {
        matches!(
            self,
            Self::Remote(
                RemoteError::NoCredential(_)
                    | RemoteError::Authentication(_)
                    | RemoteError::NotAllowed(_)
            )
        )
    }
}
