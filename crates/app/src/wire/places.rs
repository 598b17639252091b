//! Where the things of a task are, for the publisher.

use std::path::PathBuf;
use std::sync::Arc;

use midwatch_api::task::{CredentialRef, RepositoryRef, TaskOrder};
use midwatch_core::id::{BranchName, RunName, TaskName};
use midwatch_core::input::InvalidInput;
use midwatch_local::folder::StateFolder;
use midwatch_local::store::SqliteStore;
use midwatch_publish::{
    Addresses, Credential, Home, KnownSecret, Places, Remote, Repository, RepositoryUrl, Server,
    UrlRules,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::credential::stored;
use super::proxy;

/// The shortest password that commits are searched for, in bytes.
pub(super) const PASSWORD_MIN: usize = 8;

/// Looked up in the stored order, anew for each action.
pub(crate) struct StoredPlaces {
    pub(crate) folder: StateFolder,
    pub(crate) store: Arc<SqliteStore>,
}

impl Places for StoredPlaces {
    fn repository(&self, task: &TaskName) -> Result<Repository, String> {
        let row = self.store.row(task.as_str()).map_err(|error| error.to_string())?;
        let order = row.ok_or("the task has no stored order")?.order;
        // A name that is no branch of ours by our grammar can never be written anyway.
        let protected = order.repository.protected();
        let protected = protected.iter().filter_map(|name| BranchName::parse(name).ok()).collect();
        Ok(Repository {
            mirror: self.folder.mirror(order.repository.identity()),
            home: home(&self.folder, &order)?,
            ca_bundle: order.ca_bundle.clone(),
            protected,
            secrets: self.secrets(&order),
        })
    }

    fn out(&self, run: &RunName) -> PathBuf {
        midwatch_api::report::out_folder(&self.folder.run(run.as_str()))
    }
}

impl StoredPlaces {
    /// What no commit may hold: the credentials of the task's agents or their login files' tokens, and the
    /// password of the operator's proxy.
    fn secrets(&self, order: &TaskOrder) -> Vec<KnownSecret> {
        let known = |name: &str, value: SecretString| KnownSecret { name: name.to_owned(), value };
        let mut secrets = Vec::new();
        let mut credentials: Vec<&CredentialRef> = Vec::new();
        for worker in order.workers() {
            if credentials.contains(&&worker.credential) {
                continue;
            }
            credentials.push(&worker.credential);
            match &worker.credential {
                CredentialRef::None => {}
                CredentialRef::Stored { id, .. } => {
                    let value = stored(&self.folder, id);
                    secrets.extend(value.map(|value| known("the model credential", value)));
                }
                CredentialRef::ClaudeLogin { path } | CredentialRef::CodexLogin { path } => {
                    let text = std::fs::read_to_string(path);
                    secrets.extend(text.map(|text| tokens(&text)).unwrap_or_default());
                }
            }
        }
        if let Some(kept) = &order.proxy {
            secrets.extend(proxy::secrets(&self.folder, &kept.id));
        }
        let login = order.repository.login().and_then(|id| login(&self.folder, id));
        // Shorter ones would be found in honest work.
        let password = login.map(|login| login.password);
        let password = password.filter(|password| password.expose_secret().len() >= PASSWORD_MIN);
        secrets.extend(password.map(|value| known("the repository's login", value)));
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

fn home(folder: &StateFolder, order: &TaskOrder) -> Result<Home, String> {
    match &order.repository {
        RepositoryRef::Remote(_) => {
            match server(folder, &order.repository).map_err(|error| error.to_string())? {
                Some(server) => Ok(Home::Server(proxied(folder, order, server)?)),
                None => Err("the repository has no URL".into()),
            }
        }
        RepositoryRef::Checkout(checkout) => {
            let remote = match checkout.origin.as_deref().filter(|_| order.push) {
                None => None,
                Some(path) if path.starts_with('/') => Some(Remote::Local(PathBuf::from(path))),
                Some(_) => {
                    let server =
                        server(folder, &order.repository).map_err(|error| error.to_string())?;
                    let server = server.map(|server| proxied(folder, order, server)).transpose()?;
                    server.map(Remote::Server)
                }
            };
            let (path, identity) = (checkout.path.clone(), PathBuf::from(&checkout.identity));
            Ok(Home::Checkout { path, identity, remote })
        }
    }
}

/// The server, by way of the operator's proxy where the order has one.
fn proxied(folder: &StateFolder, order: &TaskOrder, mut server: Server) -> Result<Server, String> {
    if let Some(kept) = &order.proxy {
        server.proxy = proxy::for_git(&proxy::kept(folder, &kept.id)?, &server.url);
    }
    Ok(server)
}

/// The server of a repository and how it is spoken with, but for a proxy; none where there is
/// none.
pub(super) fn server(
    folder: &StateFolder,
    repository: &RepositoryRef,
) -> Result<Option<Server>, InvalidInput> {
    let Some(url) = repository.server() else { return Ok(None) };
    let (ssh_agent, private_addresses, addresses) = match repository {
        // The user's own settings name it: an inner name is theirs to use.
        RepositoryRef::Checkout(checkout) => {
            (&checkout.ssh_agent, checkout.private_addresses, Addresses::Any)
        }
        RepositoryRef::Remote(remote) if remote.private_addresses => {
            (&remote.ssh_agent, true, Addresses::Any)
        }
        RepositoryRef::Remote(remote) => (&remote.ssh_agent, false, Addresses::Public),
    };
    let rules = UrlRules { private_addresses, plain_http: false };
    let url = RepositoryUrl::parse(url, rules)?;
    // Without one the server is asked all the same, and says what it wants.
    let credential = repository.login().and_then(|id| login(folder, id));
    let ssh_agent = ssh_agent.clone();
    Ok(Some(Server { url, credential, ssh_agent, addresses, proxy: None }))
}

/// A login that was handed over.
fn login(folder: &StateFolder, id: &str) -> Option<Credential> {
    let text = stored(folder, id).ok()?;
    let (user, password) = text.expose_secret().strip_suffix('\n')?.split_once('\n')?;
    Some(Credential { user: user.to_owned(), password: password.into() })
}
