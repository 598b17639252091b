//! The address of a repository: parsed once, by an allow list, into something that git can be
//! given. Whoever filters bad forms instead forgets one.

mod host;
mod pinned;

use std::path::{Path, PathBuf};

use midwatch_core::input::InvalidInput;
use sha2::{Digest, Sha256};

use crate::hex::hex;

pub(crate) use pinned::Pinned;

/// The longest URL, in bytes.
pub const URL_MAX: usize = 2048;

const FIELD: &str = "repo";

/// What an operator may allow beyond the default, which is nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UrlRules {
    /// Loopback and private addresses may be named.
    pub private_addresses: bool,
    /// Plain http may be used.
    pub plain_http: bool,
}

/// How a repository is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `https://`
    Https,
    /// `http://`, only where the operator allowed it.
    Http,
    /// `ssh://` or `user@host:path`.
    Ssh,
}

impl Scheme {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Https => "https://",
            Self::Http => "http://",
            Self::Ssh => "ssh://",
        }
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
            Self::Ssh => 22,
        }
    }
}

/// A remote repository's URL without credentials, query or surprises.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RepositoryUrl {
    scheme: Scheme,
    user: Option<String>,
    host: String,
    port: Option<u16>,
    path: String,
}

impl RepositoryUrl {
    /// Reads a URL: `https://host/path`, `ssh://user@host/path` or `user@host:path`.
    pub fn parse(text: &str, rules: UrlRules) -> Result<Self, InvalidInput> {
        let bad = |rule: &str, fix: &str| InvalidInput::new(FIELD, text, rule, fix);
        if text.is_empty() {
            return Err(bad("is required", "give an https or ssh URL"));
        }
        if text.len() > URL_MAX {
            return Err(bad(&format!("is longer than {URL_MAX} bytes"), "shorten it"));
        }
        if text.starts_with('-') {
            return Err(bad("must not start with '-'", "give an https or ssh URL"));
        }
        if let Some(at) = control_character(text) {
            return Err(bad(&format!("has a control character at position {at}"), "take it out"));
        }
        let (scheme, rest) = split_scheme(text, rules)?;
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest.as_str(), ""),
        };
        let (user, host_and_port) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let user = match (scheme, user) {
            (_, None) => None,
            (Scheme::Https | Scheme::Http, Some(_)) => {
                return Err(InvalidInput::unshown(
                    FIELD,
                    "must not hold a user name, password or token",
                    "leave it out of the URL and give the credential to Midwatch",
                ));
            }
            (Scheme::Ssh, Some(user)) => Some(ssh_user(user)?),
        };
        let (host, port) = host::parse(host_and_port, rules, text)?;
        let path = checked_path(path, text)?;
        let port = port.filter(|port| *port != scheme.default_port());
        Ok(Self { scheme, user, host, port, path })
    }

    /// How it is reached.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host in lower case; an IPv6 address stands in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Where it is dialled: `host:port`.
    pub fn target(&self) -> String {
        format!("{}:{}", self.host, self.port.unwrap_or(self.scheme.default_port()))
    }

    /// The path without the slash in front and without `.git`.
    pub fn path(&self) -> &str {
        identity_path(&self.path)
    }

    /// What git is given.
    pub fn to_git(&self) -> String {
        let user = self.user.as_ref().map(|u| format!("{u}@")).unwrap_or_default();
        format!("{}{user}{}{}", self.scheme.prefix(), self.authority(), self.path)
    }

    /// `scheme://host[:port]`, the scope of a credential.
    pub fn origin(&self) -> String {
        format!("{}{}", self.scheme.prefix(), self.authority())
    }

    fn authority(&self) -> String {
        let port = self.port.map(|p| format!(":{p}")).unwrap_or_default();
        format!("{}{port}", self.host)
    }
}

impl std::fmt::Display for RepositoryUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_git())
    }
}

/// What makes two orders be about the same repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identity {
    /// The canonical URL: host and path, whatever the scheme, user and `.git` at the end.
    Remote(String),
    /// The real path of the common git directory.
    Local(PathBuf),
}

impl Identity {
    /// The identity of a remote repository.
    pub fn of_url(url: &RepositoryUrl) -> Self {
        Self::Remote(format!("{}/{}", url.authority(), url.path()))
    }

    /// The identity of a local one, by its common git directory (see `inspect`).
    pub fn of_common_dir(real_path: &Path) -> Self {
        Self::Local(real_path.to_owned())
    }

    /// A name for folders: 32 hex digits.
    pub fn key(&self) -> String {
        use std::os::unix::ffi::OsStrExt;
        let mut hash = Sha256::new();
        match self {
            Self::Remote(url) => {
                hash.update(b"remote\0");
                hash.update(url.as_bytes());
            }
            Self::Local(path) => {
                hash.update(b"local\0");
                hash.update(path.as_os_str().as_bytes());
            }
        }
        hex(&hash.finalize()[..16])
    }
}

/// The position (from 0, in bytes) of a control character, plain or percent-encoded.
fn control_character(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    (0..bytes.len()).find(|&at| {
        bytes[at].is_ascii_control()
            || (bytes[at] == b'%'
                && std::str::from_utf8(bytes.get(at + 1..at + 3).unwrap_or_default())
                    .ok()
                    .and_then(|hex| u8::from_str_radix(hex, 16).ok())
                    .is_some_and(|byte| byte.is_ascii_control()))
    })
}

fn split_scheme(text: &str, rules: UrlRules) -> Result<(Scheme, String), InvalidInput> {
    let bad = |rule: &str, fix: &str| Err(InvalidInput::new(FIELD, text, rule, fix));
    let scheme_rule = || bad("has a scheme that is not allowed", "use https or ssh");
    if text.trim() != text || text.contains("::") && !text.contains("://") {
        return scheme_rule();
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        return match scheme {
            "https" => Ok((Scheme::Https, rest.to_owned())),
            "ssh" => Ok((Scheme::Ssh, rest.to_owned())),
            "http" if rules.plain_http => Ok((Scheme::Http, rest.to_owned())),
            "http" => bad("uses plain http, which anybody on the way can change", "use https"),
            "file" => local_rule(text),
            _ => scheme_rule(),
        };
    }
    // user@host:path, as ssh and people write it. Anything else without a scheme is a path.
    match text.split_once(':') {
        Some((before, path)) if before.contains('@') && !before.contains('/') => {
            let path = path.trim_start_matches('/');
            Ok((Scheme::Ssh, format!("{before}/{path}")))
        }
        Some((before, _)) if !before.contains(['/', '.']) => scheme_rule(),
        Some(_) | None => local_rule(text),
    }
}

fn local_rule(text: &str) -> Result<(Scheme, String), InvalidInput> {
    Err(InvalidInput::new(
        FIELD,
        text,
        "is a local path, which is only taken where you run it",
        "run `midwatch run` inside that checkout, or give an https or ssh URL",
    ))
}

fn ssh_user(user: &str) -> Result<String, InvalidInput> {
    if user.contains(':') {
        return Err(InvalidInput::unshown(
            FIELD,
            "must not hold a password",
            "leave it out of the URL",
        ));
    }
    let fine = !user.is_empty()
        && !user.starts_with('-')
        && user.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if fine {
        Ok(user.to_owned())
    } else {
        Err(InvalidInput::new(FIELD, user, "has a user that is no login name", "usually it is git"))
    }
}

fn checked_path(path: &str, text: &str) -> Result<String, InvalidInput> {
    let bad = |rule: &str, fix: &str| Err(InvalidInput::new(FIELD, text, rule, fix));
    let path = path.trim_end_matches('/');
    if path.is_empty() {
        return bad("names no repository", "add the path, such as /owner/name");
    }
    if path.contains(['?', '#']) {
        return bad("has a query or a fragment", "leave it away");
    }
    if !path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._~+%@:-".contains(&b)) {
        return bad("has a character outside [A-Za-z0-9/._~+%@:-] in its path", "take it out");
    }
    if path.split('/').skip(1).any(|part| matches!(part, "" | "." | "..")) {
        return bad("has an empty, '.' or '..' part in its path", "write the path out");
    }
    Ok(path.to_owned())
}

fn identity_path(path: &str) -> &str {
    let path = path.trim_start_matches('/');
    path.strip_suffix(".git").unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> InvalidInput {
        match RepositoryUrl::parse(text, UrlRules::default()) {
            Err(error) => error,
            Ok(url) => panic!("{text:?} was taken as {url}"),
        }
    }

    #[test]
    fn good_urls_are_taken_as_they_are() {
        for (text, git, key) in [
            ("https://github.com/o/r.git", "https://github.com/o/r.git", "github.com/o/r"),
            ("https://GitHub.com:443/o/r/", "https://github.com/o/r", "github.com/o/r"),
            ("git@github.com:o/r.git", "ssh://git@github.com/o/r.git", "github.com/o/r"),
            ("ssh://git@h.example:2222/a/b", "ssh://git@h.example:2222/a/b", "h.example:2222/a/b"),
            ("https://8.8.8.8/x", "https://8.8.8.8/x", "8.8.8.8/x"),
            ("https://[2606:4700::1111]/x", "https://[2606:4700::1111]/x", "[2606:4700::1111]/x"),
        ] {
            let url = RepositoryUrl::parse(text, UrlRules::default()).unwrap();
            assert_eq!(url.to_git(), git);
            assert_eq!(Identity::of_url(&url), Identity::Remote(key.to_owned()));
        }
    }

    /// Rows 1 to 13 of the table of bad inputs, and some neighbours.
    #[test]
    fn bad_urls_get_their_rule() {
        let long = format!("https://h.example/{}", "a".repeat(10_000));
        for (text, says) in [
            ("ext::sh -c id", "scheme"),
            ("EXT::sh -c id", "scheme"),
            (" ext::sh", "scheme"),
            ("HTTPS://h.example/x", "scheme"),
            ("fd::17", "scheme"),
            ("git://h.example/x", "scheme"),
            ("file:///etc", "local path"),
            ("../x", "local path"),
            ("/srv/x", "local path"),
            ("x", "local path"),
            ("--upload-pack=x", "start with '-'"),
            ("ssh://-oProxyCommand=x/y", "start with '-'"),
            ("-oProxyCommand=x@h:y", "start with '-'"),
            ("git@-oProxyCommand=x:y", "start with '-'"),
            ("ssh://-x@h.example/y", "login name"),
            ("http://h.example/x", "plain http"),
            ("https://169.254.169.254/x", "link-local"),
            ("https://0x7f.1/", "canonical"),
            ("https://2130706433/", "canonical"),
            ("https://127.1/x", "canonical"),
            ("https://[::ffff:10.0.0.1]/x", "private"),
            ("https://[::1]/x", "loopback"),
            ("https://127.0.0.1/x", "loopback"),
            ("https://localhost/x", "loopback"),
            ("https://[fe80::1]/x", "link-local"),
            ("https://[64:ff9b::a00:1]/x", "private"),
            ("https://h\0.example/x", "control character at position 9"),
            ("https://h.example/x\r\ny", "control character"),
            ("https://h%00.example/x", "control character at position 9"),
            ("https://g\u{456}thub.com/x", "xn--gthub-n2e.com"),
            ("https://h.example./x", "host"),
            ("https://h_.example/x", "host"),
            ("https://h.example:99999/x", "port"),
            ("https://h.example/a/../b", "'..'"),
            ("https://h.example", "no repository"),
            ("https://h.example/x?y", "query"),
            ("https://h.example/$(id)", "character"),
            ("", "required"),
            (&long, "2048"),
        ] {
            let error = refused(text).to_string();
            assert!(error.contains(says), "{text:?}: {error}");
            assert!(error.contains("; "), "a fix: {error}");
        }
    }

    #[test]
    fn a_credential_is_never_repeated() {
        for text in [
            "https://user:tok@host.example/x",
            "https://tok@host.example/x",
            "ssh://u:tok@h.example/x",
        ] {
            let error = refused(text).to_string();
            assert!(!error.contains("tok@") && !error.contains(":tok"), "{error}");
        }
    }

    #[test]
    fn the_operator_can_open_private_addresses_and_http() {
        let rules = UrlRules { private_addresses: true, plain_http: true };
        assert!(RepositoryUrl::parse("http://127.0.0.1:3000/o/r", rules).is_ok());
        assert!(RepositoryUrl::parse("https://0x7f.1/x", rules).is_err());
    }
}
