//! A remote: how it is spoken with, and why it does not do what it is asked.

mod inquiry;
mod proxy;

use std::ffi::OsString;
use std::path::Path;

use midwatch_core::id::CommitId;
use midwatch_core::input::InvalidInput;

use crate::command::{Call, LONG, Reach};
use crate::credential::{Credential, Helper};
use crate::error::GitError;
use crate::url::{Pinned, RepositoryUrl, Scheme};

pub(crate) use inquiry::advertised;
pub use inquiry::{Advertised, Inquiry, Named};
pub use proxy::Proxy;

/// How a remote is spoken with.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    /// Where.
    pub url: &'a RepositoryUrl,
    /// For https; shown to that host only, and kept nowhere.
    pub credential: Option<&'a Credential>,
    /// For ssh: the socket of the user's agent.
    pub ssh_agent: Option<&'a Path>,
    /// What the host's name may stand for.
    pub addresses: Addresses,
    /// For http and https: what is asked instead of the host itself.
    pub proxy: Option<&'a Proxy>,
}

/// Which addresses a host's name may stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addresses {
    /// Any: the user's own settings name the host.
    Any,
    /// Public ones. The name is looked up here, and git dials the addresses that were checked.
    Public,
}

impl Access<'_> {
    /// Prepares a call that speaks with the remote. The helpers must outlive the call.
    pub(crate) fn prepare(
        &self,
        call: Call,
        scratch: &Path,
    ) -> Result<(Call, Vec<Helper>), RemoteError> {
        let pinned = match self.addresses {
            Addresses::Any => None,
            Addresses::Public => {
                let found = Pinned::look_up(self.url);
                match self.proxy {
                    Some(proxy) => proxy.settled(found)?,
                    None => found?,
                }
            }
        };
        let reach = match self.url.scheme() {
            Scheme::Https => Reach::Http { plain: false },
            Scheme::Http => Reach::Http { plain: true },
            Scheme::Ssh => Reach::Ssh {
                agent: self.ssh_agent.map(OsString::from),
                dial: pinned.as_ref().map(Pinned::for_ssh),
            },
        };
        let mut call = call.reach(reach).timeout(LONG);
        let mut helpers = Vec::new();
        match self.url.scheme() {
            Scheme::Ssh => {}
            Scheme::Https | Scheme::Http => {
                if let Some(proxy) = self.proxy {
                    let helper;
                    (call, helper) = proxy.told(call, scratch)?;
                    helpers.extend(helper);
                } else if let Some(pinned) = pinned {
                    call = call.config("http.curloptResolve", &pinned.for_curl());
                }
                if let Some(credential) = self.credential {
                    let helper = Helper::new(scratch, credential)?;
                    let key = format!("credential.{}.helper", self.url.origin());
                    call = call.config(&key, &helper.setting());
                    helpers.push(helper);
                }
            }
        }
        Ok((call, helpers))
    }
}

/// Why a remote did not do what it was asked. Holds nothing of a credential.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// It asks for a credential, and none was given.
    #[error("the remote asks for a credential, and there is none: {0}")]
    NoCredential(String),
    /// It does not take the credential.
    #[error("the remote did not accept the credential: {0}")]
    Authentication(String),
    /// It takes the credential, which may not do this.
    #[error("the remote does not let this credential do it: {0}")]
    NotAllowed(String),
    /// It sends elsewhere.
    #[error(
        "the remote redirects to another place, and redirects are not followed: {0}; \
         give the URL that the repository has now"
    )]
    Redirected(String),
    /// There is no repository, or this credential may not see it.
    #[error("the remote has no such repository, or hides it from this credential: {0}")]
    NotFound(String),
    /// The operator's own proxy before it does not let us through: 407.
    #[error("the operator's proxy (HTTPS_PROXY) wants a login, or another one: {0}")]
    ProxyLogin(String),
    /// Nobody answers there, or nobody that we trust.
    #[error("the remote cannot be reached: {0}")]
    Unreachable(String),
    /// The repository there has no commit.
    #[error("the repository has no commit yet; push one first")]
    Empty,
    /// It does not have the commit, or does not any more.
    #[error("the remote has no commit {0}; it may have been removed by a forced push")]
    NoCommit(CommitId),
    /// The address is refused.
    #[error(transparent)]
    Input(#[from] InvalidInput),
    /// Git failed for another reason.
    #[error(transparent)]
    Git(GitError),
}

/// A part of what git says, and the error that it means.
type Saying = (&'static str, fn(String) -> RemoteError);

/// What git says (2.39 to 2.50, `LC_ALL=C`), and what that means.
const SAYINGS: [Saying; 20] = [
    ("could not read Username", RemoteError::NoCredential),
    ("could not read Password", RemoteError::NoCredential),
    ("Authentication failed", RemoteError::Authentication),
    ("Permission denied (publickey", RemoteError::Authentication),
    ("Host key verification failed", RemoteError::Unreachable),
    ("HTTP code 407", RemoteError::ProxyLogin),
    ("response 407", RemoteError::ProxyLogin),
    ("returned error: 407", RemoteError::ProxyLogin),
    ("returned error: 403", RemoteError::NotAllowed),
    ("returned error: 301", RemoteError::Redirected),
    ("returned error: 302", RemoteError::Redirected),
    ("returned error: 303", RemoteError::Redirected),
    ("returned error: 307", RemoteError::Redirected),
    ("returned error: 308", RemoteError::Redirected),
    ("' not found", RemoteError::NotFound),
    ("Could not resolve host", RemoteError::Unreachable),
    ("Failed to connect", RemoteError::Unreachable),
    ("unable to access", RemoteError::Unreachable),
    ("returned error: 5", RemoteError::Unreachable),
    ("Could not read from remote repository", RemoteError::Unreachable),
];

impl From<GitError> for RemoteError {
    fn from(error: GitError) -> Self {
        match SAYINGS.iter().find(|(text, _)| error.says(text)) {
            Some((_, meaning)) => meaning(error.to_string()),
            None if matches!(error, GitError::TimedOut { .. }) => {
                Self::Unreachable(error.to_string())
            }
            None => Self::Git(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_says_has_a_meaning() {
        let meaning = |stderr: &str| {
            let stderr = stderr.to_owned();
            RemoteError::from(GitError::Failed { what: "push", code: Some(128), stderr })
        };
        let access = "fatal: unable to access 'https://h/r.git/': ";
        for (said, says) in [
            ("fatal: could not read Username for 'https://h': terminal prompts disabled", "none"),
            ("fatal: Authentication failed for 'https://h/r.git/'", "did not accept"),
            (&format!("{access}The requested URL returned error: 403"), "does not let"),
            (&format!("{access}The requested URL returned error: 302"), "redirects"),
            (&format!("{access}The requested URL returned error: 503"), "be reached"),
            (&format!("{access}Received HTTP code 407 from proxy after CONNECT"), "HTTPS_PROXY"),
            (&format!("{access}CONNECT tunnel failed, response 407"), "HTTPS_PROXY"),
            (&format!("{access}SSL certificate problem: self-signed"), "be reached"),
            ("fatal: repository 'https://h/none.git/' not found", "no such repository"),
            ("fatal: the remote end hung up", "git push failed"),
        ] {
            let error = meaning(said).to_string();
            assert!(error.contains(says), "{said}: {error}");
        }
    }
}
