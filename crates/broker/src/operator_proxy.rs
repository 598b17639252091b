//! The HTTP proxy of the network that this machine is in, as its user's variables name it.

mod exempt;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use midwatch_core::input::InvalidInput;
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use self::exempt::Exempt;
use crate::proxy::host::Target;
use crate::refusal::{No, RefusalReason};
use crate::upstream::may_be_asked;
use crate::way::Speech;

/// The longest address of a proxy in bytes.
const URL_MAX: usize = 2048;

/// The port of a proxy whose address names none.
const DEFAULT_PORT: u16 = 80;

/// The largest head of a proxy's answer to CONNECT, in bytes.
const ANSWER_MAX: usize = 16 << 10;

/// What stands before user and password.
const BASIC: &str = "Basic ";

/// What is done with a name that this machine cannot resolve and no operator listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownNames {
    /// Refused: its address cannot be checked.
    Refused,
    /// Handed to the proxy unchecked.
    Passed,
}

/// The proxies for TLS and for plain HTTP, and what goes past them.
#[derive(Debug, Clone)]
pub struct OperatorProxy {
    tls: Option<ProxyServer>,
    plain: Option<ProxyServer>,
    exempt: Exempt,
    unknown: UnknownNames,
}

impl OperatorProxy {
    /// From the two servers and the text of `NO_PROXY`: names (with their subdomains),
    /// addresses, networks such as `10.0.0.0/8`, each perhaps with a port, or `*`. This machine
    /// itself always goes past.
    pub fn new(
        tls: Option<ProxyServer>,
        plain: Option<ProxyServer>,
        no_proxy: &str,
        unknown: UnknownNames,
    ) -> Self {
        Self { tls, plain, exempt: Exempt::parse(no_proxy), unknown }
    }

    /// Who is asked for a target; `None` dials it straight.
    pub fn server_for(&self, target: &Target, speech: Speech) -> Option<&ProxyServer> {
        let server = match speech {
            Speech::Tls => &self.tls,
            Speech::Plain => &self.plain,
        };
        server.as_ref().filter(|_| !self.exempt.covers(target))
    }

    /// Where a tunnel to `host:port` is to be asked for, and with which words, which hold the
    /// login; the answer comes before the tunnel's own bytes. `None` dials it straight.
    pub fn tunnel_request(&self, target: &str) -> Option<(String, Zeroizing<String>)> {
        let target = Target::parse(target, None).ok()?;
        let server = self.server_for(&target, Speech::Tls)?;
        Some((server.target.to_string(), server.request(&target)))
    }

    /// What is done with names that this machine cannot resolve.
    pub fn unknown_names(&self) -> UnknownNames {
        self.unknown
    }
}

/// One proxy: where it is, and what it is shown. The second is never printed.
#[derive(Clone)]
pub struct ProxyServer {
    target: Target,
    /// The value of `proxy-authorization`.
    authorization: Option<SecretString>,
}

impl ProxyServer {
    /// Reads `http://user:password@host:port`, of which only the host is needed. The scheme is
    /// how the proxy is spoken to, not what is asked of it.
    pub fn parse(text: &str) -> Result<Self, InvalidInput> {
        let text = text.trim();
        let bad = |rule: &str, fix: &str| {
            // What stands before an @ may be a password.
            if text.contains('@') {
                InvalidInput::unshown("proxy", rule, fix)
            } else {
                InvalidInput::new("proxy", text, rule, fix)
            }
        };
        let example = "give one such as http://proxy.example.com:3128";
        if text.len() > URL_MAX {
            return Err(bad(&format!("is over {URL_MAX} bytes"), example));
        }
        let rest = match text.split_once("://") {
            None => text,
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some(_) => return Err(bad("is not the address of an http:// proxy", example)),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user, host) = match rest.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, rest),
        };
        let target = Target::parse(host, Some(DEFAULT_PORT))
            .map_err(|error| bad(&format!("has a host that {error}"), example))?;
        may_be_asked(&target.host).map_err(|(rule, _)| bad(&rule, "name the proxy's own host"))?;
        let authorization = user.map(basic).transpose().map_err(|rule| {
            bad(rule, "write other signs than letters and digits as %XX, as in URLs")
        })?;
        Ok(Self { target, authorization })
    }

    /// Its host and port.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The user and the password that it is shown, for a program that has to be told them; none
    /// where they are no UTF-8.
    pub fn login(&self) -> Option<(String, SecretString)> {
        let text = self.authorization.as_ref()?.expose_secret();
        let both = Zeroizing::new(STANDARD.decode(text.strip_prefix(BASIC)?).ok()?);
        let (user, password) = std::str::from_utf8(&both).ok()?.split_once(':')?;
        Some((user.to_owned(), SecretString::from(password)))
    }

    /// What it is shown, if anything.
    pub(crate) fn authorization(&self) -> Option<HeaderValue> {
        let text = self.authorization.as_ref()?.expose_secret();
        // It is base64 after a word.
        let mut value = HeaderValue::from_str(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    fn request(&self, target: &Target) -> Zeroizing<String> {
        let mut request = Zeroizing::new(format!(
            "CONNECT {target} HTTP/1.1\r\nhost: {target}\r\nproxy-connection: keep-alive\r\n"
        ));
        if let Some(authorization) = &self.authorization {
            request.push_str("proxy-authorization: ");
            request.push_str(authorization.expose_secret());
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        request
    }

    /// Asks for a tunnel on a fresh connection to it. Not a byte after its answer is read.
    pub(crate) async fn open_tunnel(
        &self,
        stream: &mut TcpStream,
        target: &Target,
    ) -> Result<(), No> {
        let cut = |error: std::io::Error| {
            (RefusalReason::Unreachable, format!("the operator's proxy broke off: {error}"))
        };
        stream.write_all(self.request(target).as_bytes()).await.map_err(cut)?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() == ANSWER_MAX {
                return Err(no_proxy());
            }
            // One byte at a time: what follows the head belongs to the tunnel.
            head.push(stream.read_u8().await.map_err(cut)?);
        }
        match status(&head) {
            Some(200..=299) => Ok(()),
            Some(status) => Err(refused(status)),
            None => Err(no_proxy()),
        }
    }
}

impl fmt::Debug for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyServer").field("target", &self.target).finish_non_exhaustive()
    }
}

/// What a proxy's own status means, for people.
pub(crate) fn refused(status: u16) -> No {
    let text = match status {
        407 => "the operator's proxy wants a login, or another one; set it in HTTPS_PROXY as \
             http://user:password@host:port"
            .to_owned(),
        status => format!("the operator's proxy does not let this through (status {status})"),
    };
    (RefusalReason::OperatorProxy, text)
}

fn no_proxy() -> No {
    let text = "what HTTPS_PROXY names did not answer as an HTTP proxy does";
    (RefusalReason::OperatorProxy, text.into())
}

/// The status of an answer's first line.
fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let rest = line.strip_prefix(b"HTTP/1.1 ").or_else(|| line.strip_prefix(b"HTTP/1.0 "))?;
    let digits = rest.get(..3).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    if rest.get(3).is_some_and(|next| *next != b' ') {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Basic authentication (RFC 7617) of what stands before the host.
fn basic(user: &str) -> Result<SecretString, &'static str> {
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    let decode = |part| percent_decode_str(part).collect::<Vec<u8>>();
    let (name, password) = (Zeroizing::new(decode(name)), Zeroizing::new(decode(password)));
    if name.contains(&b':') {
        return Err("has a user name with a colon, which no proxy can read");
    }
    if name.iter().chain(&*password).any(u8::is_ascii_control) {
        return Err("has a control character in its user name or password");
    }
    let joined = Zeroizing::new([&name, &b":"[..], &password].concat());
    Ok(SecretString::from(format!("{BASIC}{}", STANDARD.encode(&*joined))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_proxies_are_read_and_their_passwords_not_shown() {
        for (text, target, authorization) in [
            ("http://proxy.example:3128", "proxy.example:3128", None),
            ("HTTP://proxy.example:3128/", "proxy.example:3128", None),
            ("proxy.example", "proxy.example:80", None),
            (" 10.0.0.1:8080 ", "10.0.0.1:8080", None),
            ("http://[fd00::1]:3128", "[fd00::1]:3128", None),
            ("http://u:p@proxy:3128", "proxy:3128", Some("Basic dTpw")),
            ("http://u@proxy:3128", "proxy:3128", Some("Basic dTo=")),
            ("http://u:p%40%3a@proxy:3128", "proxy:3128", Some("Basic dTpwQDo=")),
            ("u:a@b@proxy:1", "proxy:1", Some("Basic dTphQGI=")),
        ] {
            let server = ProxyServer::parse(text).unwrap();
            assert_eq!(server.target().to_string(), target);
            let shown = server.authorization().map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(shown.as_deref(), authorization, "{text}");
            assert!(!format!("{server:?}").contains("Basic"), "{server:?}");
            let login = server.login().map(|(user, password)| {
                format!(
                    "{BASIC}{}",
                    STANDARD.encode(format!("{user}:{}", password.expose_secret()))
                )
            });
            assert_eq!(login.as_deref(), authorization);
        }
        for bad in [
            "",
            "https://proxy:3128",
            "socks5://proxy:1080",
            "http://",
            "http://proxy:0",
            "http://proxy:3128/path",
            "http://169.254.169.254:80",
            "http://0x7f.1:3128",
            "http://metadata.google.internal",
            "http://canary:s%0as@proxy:3128",
            "http://canary%3a:x@proxy:3128",
            "http://u:canary@pro xy:3128",
        ] {
            let error = ProxyServer::parse(bad).unwrap_err().of("HTTPS_PROXY").to_string();
            assert!(error.starts_with("HTTPS_PROXY") && !error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn only_an_answer_of_http_counts() {
        for (head, expected) in [
            ("HTTP/1.1 200 Connection established\r\n\r\n", Some(200)),
            ("HTTP/1.0 200\r\n\r\n", Some(200)),
            ("HTTP/1.1 407 Proxy\r\n\r\n", Some(407)),
            ("HTTP/2 200 OK\r\n\r\n", None),
            ("HTTP/1.1 2000 OK\r\n\r\n", None),
            ("HTTP/1.1 +20 OK\r\n\r\n", None),
            ("SSH-2.0-x\r\n\r\n", None),
            ("\r\n\r\n", None),
        ] {
            assert_eq!(status(head.as_bytes()), expected, "{head:?}");
        }
    }
}
