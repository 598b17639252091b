//! Credentials that came with orders: kept for as long as an open task names them.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use midwatch_api::control::{Refusal, Secret, Submit};
use midwatch_api::task::{CredentialRef, TaskOrder};
use midwatch_core::id::TaskName;
use midwatch_core::input::InvalidInput;
use midwatch_core::ports::ActOnLand;

use super::Server;
use super::refusal::{self, refused};
use crate::access::Access;

impl<A: Access, L: ActOnLand> Server<A, L> {
    /// Keeps what came with an order. Whoever calls this holds `keeping`, and forgets what it
    /// kept when the order is refused.
    pub(super) fn keep(&self, submit: &Submit) -> Result<TaskOrder, Refusal> {
        let mut order = submit.order.clone();
        let fallbacks = submit.fallback_secrets.iter().map(Option::as_ref);
        let secrets = std::iter::once(submit.secret.as_ref()).chain(fallbacks);
        let mut secrets = secrets.chain(std::iter::repeat(None));
        // What a client named, and what it is kept as: agents may share a key.
        let mut kept: Vec<(CredentialRef, CredentialRef)> = Vec::new();
        for worker in order.workers_mut() {
            let secret = secrets.next().flatten();
            if let Some((_, known)) = kept.iter().find(|(named, _)| *named == worker.credential) {
                worker.credential = known.clone();
            } else if let Some(secret) = secret {
                let keep = || self.folder.keep_credential(secret);
                let id = self.between("KeyKept", keep).map_err(|e| refusal::kept(&e))?;
                let variable = match &worker.credential {
                    CredentialRef::Stored { variable, .. } => variable.clone(),
                    CredentialRef::None
                    | CredentialRef::ClaudeLogin { .. }
                    | CredentialRef::CodexLogin { .. } => None,
                };
                let now = CredentialRef::Stored { id, variable };
                kept.push((std::mem::replace(&mut worker.credential, now.clone()), now));
            }
        }
        if let (Some(text), Some(proxy)) = (&submit.proxy, &mut order.proxy) {
            let keep = || self.folder.keep_credential(text);
            proxy.id = self.between("ProxyKept", keep).map_err(|e| refusal::kept(&e))?;
        }
        if let (Some(login), Some(url)) = (&submit.login, order.repository.server()) {
            let text = format!("{}\n{}\n", login.user, login.password);
            let keep = || self.folder.keep_login(url, &text);
            let id = self.between("LoginKept", keep).map_err(|e| refusal::kept(&e))?;
            order.repository.set_login(Some(id));
        }
        if order.kept_ids().any(|id| !self.folder.credential(id).exists()) {
            self.forget_unnamed(order.kept_ids().map(ToOwned::to_owned).collect());
            return Err(Refusal {
                message: "the key of that order is not kept any more: its task is over".into(),
                hint: Some("run it again with the key in the environment".into()),
                exit: 6,
            });
        }
        Ok(order)
    }

    /// Puts keys in the place of those of a task's agents, in the order of the agents: every task
    /// that names one gets it.
    pub(super) fn renew_credentials(
        &self,
        name: &TaskName,
        keys: &[Option<Secret>],
    ) -> Result<(), Refusal> {
        let order = self.row(name.as_str())?.order;
        let mut renewed = false;
        for (worker, key) in order.workers().zip(keys) {
            if let (CredentialRef::Stored { id, .. }, Some(key)) = (&worker.credential, key) {
                let replace = || self.folder.replace_credential(id, &key.0);
                self.between("KeyReplaced", replace).map_err(|e| refusal::kept(&e))?;
                renewed = true;
            }
        }
        if !renewed {
            return Err(refused(InvalidInput::unshown(
                "secret",
                "is not what the task's login is made of",
                "log in with the agent's own command, then resume",
            )));
        }
        Ok(())
    }

    /// What was handed over goes with the last open task that names it.
    pub(super) fn forget_credential(&self, ended: &str) {
        let ids = self.kept_of(ended);
        if ids.is_empty() {
            return;
        }
        // Against a task that is being submitted with the same key just now.
        let _keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        self.forget_unnamed(ids);
    }

    /// What no open task names: a server may have died before it was removed.
    pub(super) fn forget_strays(&self) {
        let _keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(entries) = std::fs::read_dir(self.folder.credential("")) else { return };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        self.forget_unnamed(names.collect());
    }

    fn kept_of(&self, name: &str) -> BTreeSet<String> {
        match self.store.row(name) {
            Ok(Some(row)) => row.order.kept_ids().map(ToOwned::to_owned).collect(),
            Ok(None) | Err(_) => BTreeSet::new(),
        }
    }

    /// Removes what no open task names. Whoever calls this holds the lock on keeping.
    pub(super) fn forget_unnamed(&self, mut ids: BTreeSet<String>) {
        for task in self.engine.open_tasks() {
            for named in self.kept_of(task.spec.name.as_str()) {
                ids.remove(&named);
            }
        }
        for id in ids {
            let file = self.folder.credential(&id);
            if let Err(error) = self.between("KeyForgotten", || std::fs::remove_file(file))
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(%error, "a credential that nobody needs could not be removed");
            }
        }
    }
}
