//! New orders at the desk: whether this machine can carry one out, and where its base is.

use midwatch_api::control::{Refusal, Submit};
use midwatch_api::task::{CredentialRef, TaskOrder};
use midwatch_local::folder::StateFolder;
use midwatch_publish::Git;

use super::desk::{Local, refusal};
use super::machine::Confirmed;
use super::{layers, machine, remote_order};
use crate::problem::{Problem, exit};

/// Orders that come together. What was confirmed for one of them holds for the others.
pub(super) struct Intake<'a> {
    server: &'a Local,
    folder: &'a StateFolder,
    /// Or why none of them can be carried out.
    git: Result<&'a Git, &'a Refusal>,
    confirmed: Confirmed,
}

impl<'a> Intake<'a> {
    pub(super) fn new(
        server: &'a Local,
        folder: &'a StateFolder,
        git: Result<&'a Git, &'a Refusal>,
    ) -> Self {
        Self { server, folder, git, confirmed: Confirmed::default() }
    }

    /// Everything that a task needs of this machine; the base of a repository that is on a server
    /// is fixed. Nothing is stored.
    pub(super) fn fit(&mut self, mut submit: Submit) -> Result<Submit, Refusal> {
        let git = self.git.map_err(Clone::clone)?;
        let known = self.known(submit.name.as_deref())?;
        // A task that is there stays what it is, wherever its checkout is by now.
        if known.is_none() {
            machine::check(git, self.folder, &submit.order, &mut self.confirmed).map_err(told)?;
        }
        if let CredentialRef::Stored { id, .. } = &submit.order.agent.credential
            && submit.secret.is_none()
            && !self.folder.credential(id).is_file()
        {
            return Err(Refusal {
                hint: Some("set the key's variable again and repeat the command".into()),
                ..refusal(exit::CANNOT, "the task's key is no longer kept here")
            });
        }
        layers::check(self.folder.root(), &submit.order.accept_missing)?;
        submit.order = remote_order::settled(self.folder, git, &submit, known).map_err(told)?;
        Ok(submit)
    }

    /// The order of a task that has this name already.
    fn known(&self, name: Option<&str>) -> Result<Option<TaskOrder>, Refusal> {
        let Some(name) = name else { return Ok(None) };
        match self.server.order(name) {
            Ok(order) => Ok(Some(order)),
            // Nobody has it: every other refusal is of a store that cannot tell.
            Err(refusal) if refusal.exit == exit::USAGE => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }
}

fn told(problem: Problem) -> Refusal {
    let Problem { message, hint, exit, reason: _ } = problem;
    Refusal { message, hint, exit }
}
