//! The operator's own proxy, as the client hands it over and the server keeps it: like a
//! credential, because its addresses may hold a password.

use midwatch_broker::{OperatorProxy, ProxyServer, Speech, Target, UnknownNames};
use midwatch_core::input::InvalidInput;
use midwatch_local::folder::StateFolder;
use midwatch_publish::{Credential, KnownSecret, Proxy, RepositoryUrl, Scheme};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::credential::stored;
use super::places::PASSWORD_MIN;

/// What the variables say, as one text. No `Debug`, so that it cannot be printed.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ProxyText {
    /// Of `HTTPS_PROXY`.
    pub(crate) https: Option<String>,
    /// Of `HTTP_PROXY`.
    pub(crate) http: Option<String>,
    /// Of `NO_PROXY`.
    pub(crate) no_proxy: String,
    /// Names that this machine cannot resolve go to it unchecked.
    pub(crate) resolves: bool,
}

impl ProxyText {
    /// The proxies that it names, or what is wrong with one.
    pub(crate) fn proxy(&self) -> Result<OperatorProxy, InvalidInput> {
        let read = |text: &Option<String>, name: &str| {
            let read = text.as_deref().map(ProxyServer::parse).transpose();
            read.map_err(|error| error.of(name))
        };
        let (tls, plain) = (read(&self.https, "HTTPS_PROXY")?, read(&self.http, "HTTP_PROXY")?);
        let unknown = if self.resolves { UnknownNames::Passed } else { UnknownNames::Refused };
        Ok(OperatorProxy::new(tls, plain, &self.no_proxy, unknown))
    }

    /// What is handed over.
    pub(crate) fn text(&self) -> Result<SecretString, serde_json::Error> {
        serde_json::to_string(self).map(SecretString::from)
    }
}

/// What git is told of it for a server; `None` where git dials that one straight.
pub(crate) fn for_git(proxy: &OperatorProxy, url: &RepositoryUrl) -> Option<Proxy> {
    let speech = match url.scheme() {
        Scheme::Https => Speech::Tls,
        Scheme::Http => Speech::Plain,
        Scheme::Ssh => return None,
    };
    let target = Target::parse(&url.target(), None).ok()?;
    let server = proxy.server_for(&target, speech)?;
    let login = server.login().map(|(user, password)| Credential { user, password });
    let resolves = proxy.unknown_names() == UnknownNames::Passed;
    Some(Proxy { address: server.target().to_string(), login, resolves })
}

/// The proxy of a client's text, which the server does not keep yet.
pub(super) fn handed_over(text: &str) -> Result<OperatorProxy, InvalidInput> {
    let read: Result<ProxyText, _> = serde_json::from_str(text);
    read.map_err(|_| InvalidInput::unshown("proxy", NOT_UNDERSTOOD, AGAIN))?.proxy()
}

/// The proxy that was kept under an id. The error repeats nothing of it.
pub(super) fn kept(folder: &StateFolder, id: &str) -> Result<OperatorProxy, String> {
    read(folder, id)?.proxy().map_err(|error| error.to_string())
}

/// The user names with passwords in it, which no commit may hold.
pub(super) fn secrets(folder: &StateFolder, id: &str) -> Vec<KnownSecret> {
    let Ok(text) = read(folder, id) else { return vec![] };
    let servers = [text.https, text.http].into_iter().flatten();
    let users = servers.filter_map(|server| {
        let (user, _) = server.rsplit_once('@')?;
        let user = user.split_once("://").map_or(user, |(_, user)| user);
        // Shorter ones would be found in honest work.
        let password = user.split_once(':')?.1;
        (password.len() >= PASSWORD_MIN).then(|| SecretString::from(password))
    });
    let name = "the proxy's password";
    users.map(|value| KnownSecret { name: name.to_owned(), value }).collect()
}

/// Why a text is not read, and what to do.
const NOT_UNDERSTOOD: &str = "is in a form that is not understood";
const AGAIN: &str = "use a client of the server's version";

fn read(folder: &StateFolder, id: &str) -> Result<ProxyText, String> {
    let text = stored(folder, id)?;
    serde_json::from_str(text.expose_secret())
        .map_err(|_| "the proxy of this task is kept in a form that is not understood".to_owned())
}
