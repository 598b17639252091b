//! Where the things of a task are, for the publisher.

use std::path::PathBuf;
use std::sync::Arc;

use midwatch_api::task::{CredentialRef, TaskOrder};
use midwatch_core::id::{BranchName, RunName, TaskName};
use midwatch_local::folder::StateFolder;
use midwatch_local::store::SqliteStore;
use midwatch_publish::{
    Addresses, Home, KnownSecret, Places, Remote, Repository, RepositoryUrl, Server, UrlRules,
};
use secrecy::SecretString;

use super::credential::stored;
use super::proxy;

/// Looked up in the stored order, anew for each action.
pub(crate) struct StoredPlaces {
    pub(crate) folder: StateFolder,
    pub(crate) store: Arc<SqliteStore>,
}

impl Places for StoredPlaces {
    fn repository(&self, task: &TaskName) -> Result<Repository, String> {
        let row = self.store.row(task.as_str()).map_err(|error| error.to_string())?;
        let order = row.ok_or("the task has no stored order")?.order;
        let remote = match &order.repository.origin {
            Some(origin) if order.push => Some(remote(origin, order.repository.ssh_agent.clone())?),
            Some(_) | None => None,
        };
        let protected = order.repository.head_branch.as_deref();
        Ok(Repository {
            mirror: self.folder.mirror(&order.repository.identity),
            home: Home::Checkout { path: order.repository.path.clone(), remote },
            ca_bundle: order.ca_bundle.clone(),
            // A name that is no branch of ours by our grammar can never be written anyway.
            protected: protected
                .and_then(|name| BranchName::parse(name).ok())
                .into_iter()
                .collect(),
            secrets: self.secrets(&order),
        })
    }

    fn out(&self, run: &RunName) -> PathBuf {
        midwatch_api::report::out_folder(&self.folder.run(run.as_str()))
    }
}

impl StoredPlaces {
    /// What no commit may hold: the credential of the task or its login file's tokens, and the
    /// password of the operator's proxy.
    fn secrets(&self, order: &TaskOrder) -> Vec<KnownSecret> {
        let known = |name: &str, value: SecretString| KnownSecret { name: name.to_owned(), value };
        let mut secrets = match &order.agent.credential {
            CredentialRef::None => vec![],
            CredentialRef::Stored { id, .. } => stored(&self.folder, id)
                .map(|value| vec![known("the model credential", value)])
                .unwrap_or_default(),
            CredentialRef::ClaudeLogin { path } | CredentialRef::CodexLogin { path } => {
                std::fs::read_to_string(path).map(|text| tokens(&text)).unwrap_or_default()
            }
        };
        if let Some(kept) = &order.proxy {
            secrets.extend(proxy::secrets(&self.folder, &kept.id));
        }
        secrets
    }
}

/// Every long text in a login file that looks like a token.
fn tokens(text: &str) -> Vec<KnownSecret> {
    let Ok(value) = serde_json::from_str::<serde_json::Value>(text) else { return vec![] };
    let mut found = Vec::new();
    let mut open = vec![(String::from("login"), value)];
    while let Some((name, value)) = open.pop() {
        match value {
            serde_json::Value::Object(fields) => open.extend(fields),
            serde_json::Value::Array(items) => {
                open.extend(items.into_iter().map(|item| (name.clone(), item)));
            }
            serde_json::Value::String(text) if text.len() >= 20 && !text.contains(' ') => {
                found.push(KnownSecret { name, value: SecretString::from(text) });
            }
            serde_json::Value::String(_)
            | serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Number(_) => {}
        }
    }
    found
}

fn remote(origin: &str, ssh_agent: Option<PathBuf>) -> Result<Remote, String> {
    if origin.starts_with('/') {
        return Ok(Remote::Local(PathBuf::from(origin)));
    }
    let url = RepositoryUrl::parse(origin, UrlRules::default()).map_err(|e| e.to_string())?;
    let addresses = Addresses::Any;
    Ok(Remote::Server(Server { url, credential: None, ssh_agent, addresses }))
}
