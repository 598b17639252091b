//! Where a task's repository is: a checkout on this machine, or a server and nothing here.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The repository of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "Shape", into = "Shape")]
pub enum RepositoryRef {
    /// The user's checkout: the base comes from it, and the branch is left in it or pushed.
    Checkout(CheckoutRef),
    /// A server: the base is fetched from it, and the branch pushed to it.
    Remote(RemoteRef),
}

/// A checkout on this machine, as a client found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckoutRef {
    /// The identity: real path of the common git folder.
    pub identity: String,
    /// The top folder, where the branch is left.
    pub path: PathBuf,
    /// The URL of `origin` without credentials, or its path; for `push`.
    pub origin: Option<String>,
    /// The branch that the checkout is on.
    pub head_branch: Option<String>,
    /// The socket of the user's ssh agent, for `push` over ssh.
    pub ssh_agent: Option<PathBuf>,
    /// `origin` may be at a private address.
    pub private_addresses: bool,
    /// The login at `origin` is kept by the server in `credentials/<id>`; empty until it is.
    pub login: Option<String>,
}

/// A repository on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteRef {
    /// An `https` or `ssh` URL, without credentials.
    pub url: String,
    /// The socket of the user's ssh agent.
    pub ssh_agent: Option<PathBuf>,
    /// It may be at a private address.
    pub private_addresses: bool,
    /// The login there is kept by the server in `credentials/<id>`; empty until it is.
    pub login: Option<String>,
    /// What the server told when the task was taken; none in an order that is yet to be.
    pub found: Option<Found>,
}

/// What a server told of a repository, once and for all of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Found {
    /// The identity: the canonical URL.
    pub identity: String,
    /// The base as it was asked for: a branch, a tag, an id, or empty for the default branch.
    pub asked: String,
    /// The branch that the base is on, where it was named.
    pub base_branch: Option<String>,
    /// The server's default branch.
    pub default_branch: Option<String>,
}

/// The fields of both on a wire and in rows.
#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Shape {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    found: Option<Found>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    head_branch: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ssh_agent: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    private_addresses: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    login: Option<String>,
}

/// A repository that is neither of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a repository has either a url, or an identity and a path")]
pub struct NoPlace;

impl TryFrom<Shape> for RepositoryRef {
    type Error = NoPlace;

    fn try_from(shape: Shape) -> Result<Self, NoPlace> {
        let Shape {
            url,
            found,
            identity,
            path,
            origin,
            head_branch,
            ssh_agent,
            private_addresses,
            login,
        } = shape;
        match (url, identity, path) {
            (Some(url), None, None) if origin.is_none() && head_branch.is_none() => {
                Ok(Self::Remote(RemoteRef { url, ssh_agent, private_addresses, login, found }))
            }
            (None, Some(identity), Some(path)) if found.is_none() => {
                Ok(Self::Checkout(CheckoutRef {
                    identity,
                    path,
                    origin,
                    head_branch,
                    ssh_agent,
                    private_addresses,
                    login,
                }))
            }
            (Some(_) | None, Some(_) | None, Some(_) | None) => Err(NoPlace),
        }
    }
}

impl From<RepositoryRef> for Shape {
    fn from(place: RepositoryRef) -> Self {
        match place {
            RepositoryRef::Checkout(checkout) => Self {
                url: None,
                found: None,
                identity: Some(checkout.identity),
                path: Some(checkout.path),
                origin: checkout.origin,
                head_branch: checkout.head_branch,
                ssh_agent: checkout.ssh_agent,
                private_addresses: checkout.private_addresses,
                login: checkout.login,
            },
            RepositoryRef::Remote(remote) => Self {
                url: Some(remote.url),
                found: remote.found,
                identity: None,
                path: None,
                origin: None,
                head_branch: None,
                ssh_agent: remote.ssh_agent,
                private_addresses: remote.private_addresses,
                login: remote.login,
            },
        }
    }
}

impl RepositoryRef {
    /// What makes two tasks be about the same repository.
    pub fn identity(&self) -> &str {
        match self {
            Self::Checkout(checkout) => &checkout.identity,
            Self::Remote(remote) => {
                remote.found.as_ref().map_or(&remote.url, |found| &found.identity)
            }
        }
    }

    /// The checkout's top folder, where there is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Checkout(checkout) => Some(&checkout.path),
            Self::Remote(_) => None,
        }
    }

    /// Where it is, for people.
    pub fn shown(&self) -> String {
        match self {
            Self::Checkout(checkout) => checkout.path.to_string_lossy().into_owned(),
            Self::Remote(remote) => remote.url.clone(),
        }
    }

    /// The branches that are never written to: the base's, and the server's default.
    pub fn protected(&self) -> Vec<&str> {
        match self {
            Self::Checkout(checkout) => checkout.head_branch.as_deref().into_iter().collect(),
            Self::Remote(remote) => {
                let found = remote.found.iter();
                let both = found.flat_map(|found| [&found.base_branch, &found.default_branch]);
                both.filter_map(|branch| branch.as_deref()).collect()
            }
        }
    }

    /// Where the login of the repository's server is kept.
    pub fn login(&self) -> Option<&str> {
        match self {
            Self::Checkout(CheckoutRef { login, .. }) | Self::Remote(RemoteRef { login, .. }) => {
                login.as_deref()
            }
        }
    }

    /// Says where the login is kept; none forgets it.
    pub fn set_login(&mut self, id: Option<String>) {
        match self {
            Self::Checkout(CheckoutRef { login, .. }) | Self::Remote(RemoteRef { login, .. }) => {
                *login = id;
            }
        }
    }

    /// The server whose login it is: a URL, or for an `origin` on this machine its path.
    pub fn server(&self) -> Option<&str> {
        match self {
            Self::Checkout(checkout) => checkout.origin.as_deref(),
            Self::Remote(remote) => Some(&remote.url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<RepositoryRef, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn both_kinds_are_read_and_written() {
        let remote = read(r#"{"url":"https://h.example/o/r"}"#).unwrap();
        let RepositoryRef::Remote(inner) = &remote else { panic!("{remote:?}") };
        assert_eq!((inner.found.is_none(), inner.private_addresses), (true, false));
        assert_eq!(serde_json::to_string(&remote).unwrap(), r#"{"url":"https://h.example/o/r"}"#);
        // As rows of earlier versions have it.
        let old = r#"{"identity":"/r/.git","path":"/r","origin":null,"headBranch":"main"}"#;
        let old = read(old).unwrap();
        assert_eq!((old.path(), old.protected()), (Some(Path::new("/r")), vec!["main"]));
        let again = read(&serde_json::to_string(&old).unwrap()).unwrap();
        assert_eq!(again, old);
    }

    #[test]
    fn what_is_neither_is_refused() {
        for bad in [
            "{}",
            r#"{"path":"/r"}"#,
            r#"{"url":"https://h/r","path":"/r","identity":"/r/.git"}"#,
            r#"{"url":"https://h/r","origin":"https://h/x"}"#,
            r#"{"url":"https://h/r","rul":"x"}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read("{}").unwrap_err().contains("either a url"));
    }
}
