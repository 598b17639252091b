//! The grammar of hosts and targets: one spelling for each, everything odd refused.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest name in bytes, by RFC 1035.
const NAME_MAX: usize = 253;

/// The longest label in bytes.
const LABEL_MAX: usize = 63;

/// Why a host or a target is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing there.
    #[error("is empty")]
    Empty,
    /// Over 253 bytes, or a label over 63.
    #[error("is too long")]
    TooLong,
    /// A character outside letters, digits, `-` and `.`; international names go as `xn--`.
    #[error("holds a character that no host has (international names go as xn--)")]
    Character,
    /// A name and a password before the host.
    #[error("holds a user name before the host")]
    UserInfo,
    /// An empty label, or a dot at the end.
    #[error("has an empty label or a dot at its end")]
    Label,
    /// A label that begins or ends with `-`.
    #[error("has a label that begins or ends with '-'")]
    Hyphen,
    /// An IPv4 address that is not four plain decimal numbers.
    #[error("is an address that is not written as four plain decimal numbers")]
    Number,
    /// Brackets around what is no IPv6 address, or an IPv6 address without them.
    #[error("is not a bracketed IPv6 address")]
    Bracket,
    /// The port is missing or is not a number from 1 to 65535.
    #[error("has no port from 1 to 65535")]
    Port,
}

/// A host in its only spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A name: lower-case letters, digits and `-`, in labels.
    Name(String),
    /// An address. IPv4 mapped into IPv6 becomes IPv4.
    Address(IpAddr),
}

impl Host {
    /// Whether it is this machine, whatever the network.
    pub(crate) fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost",
            Self::Address(address) => address.is_loopback(),
        }
    }

    /// Reads a host. Upper case is the same name, all else must be as it will be dialled.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        if text.contains('@') {
            return Err(HostError::UserInfo);
        }
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(HostError::Bracket)?;
            let address: Ipv6Addr = inner.parse().map_err(|_| HostError::Bracket)?;
            return Ok(Self::Address(IpAddr::V6(address).to_canonical()));
        }
        if text.contains([':', ']']) {
            return Err(HostError::Bracket);
        }
        if text.len() > NAME_MAX {
            return Err(HostError::TooLong);
        }
        if !text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'.') {
            return Err(HostError::Character);
        }
        for label in text.split('.') {
            if label.is_empty() {
                return Err(HostError::Label);
            }
            if label.len() > LABEL_MAX {
                return Err(HostError::TooLong);
            }
            if label.starts_with('-') || label.ends_with('-') {
                return Err(HostError::Hyphen);
            }
        }
        let text = text.to_ascii_lowercase();
        if is_numeric(text.rsplit('.').next().unwrap_or_default()) {
            // Only the strict reader: no octal, no hexadecimal, no short forms.
            let address: Ipv4Addr = text.parse().map_err(|_| HostError::Number)?;
            return Ok(Self::Address(IpAddr::V4(address)));
        }
        Ok(Self::Name(text))
    }
}

/// Whether some resolver would read a name with this last label as an address, by the URL
/// standard's "ends in a number" rule.
fn is_numeric(label: &str) -> bool {
    label.bytes().all(|c| c.is_ascii_digit())
        || label.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|c| c.is_ascii_hexdigit()))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The host.
    pub host: Host,
    /// The port, never 0.
    pub port: u16,
}

impl Target {
    /// Reads `host:port`, or `host` where there is a default.
    pub fn parse(text: &str, default: Option<u16>) -> Result<Self, HostError> {
        if text.contains('@') {
            return Err(HostError::UserInfo);
        }
        let split = match text.rfind(']') {
            Some(end) => match text[end + 1..].strip_prefix(':') {
                Some(port) => Some((&text[..=end], port)),
                None if end + 1 == text.len() => None,
                None => return Err(HostError::Bracket),
            },
            None => text.split_once(':'),
        };
        let (host, port) = match split {
            Some((host, port)) => (host, parse_port(port)?),
            None => (text, default.ok_or(HostError::Port)?),
        };
        Ok(Self { host: Host::parse(host)?, port })
    }
}

/// A port in its only spelling: no sign, no leading zero.
fn parse_port(text: &str) -> Result<u16, HostError> {
    let plain = !text.starts_with('0') && text.bytes().all(|c| c.is_ascii_digit());
    if plain { text.parse().map_err(|_| HostError::Port) } else { Err(HostError::Port) }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_hosts_have_one_spelling() {
        for (text, spelling) in [
            ("Example.COM", "example.com"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("a-b.c1", "a-b.c1"),
            ("9.9.9.9", "9.9.9.9"),
            ("1.2.3.4.example", "1.2.3.4.example"),
            ("[2001:DB8:0::1]", "[2001:db8::1]"),
            ("[::ffff:9.9.9.9]", "9.9.9.9"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(Host::parse(text).unwrap().to_string(), spelling);
        }
    }

    #[test]
    fn odd_hosts_are_refused() {
        for bad in [
            "",
            ".",
            "a.",
            "a..b",
            ".a",
            "-a",
            "a-",
            "a_b",
            "a b",
            "a\0b",
            "a\rb",
            "a\nb",
            "a%00b",
            "a%2eb",
            "u@h",
            "u:p@h",
            "0x7f.0.0.1",
            "0177.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "1.2.3.4.5",
            "1.2.3.256",
            "1.2.3.04",
            "1.2.3.0x4",
            "::1",
            "[::1",
            "::1]",
            "[fe80::1%eth0]",
            "[1.2.3.4]",
            "[]",
            "b\u{fc}cher",
            "127\u{3002}0.0.1",
            "a/b",
            "a\\b",
            "a#b",
            "a?b",
            &"a".repeat(64),
            &"a.".repeat(130),
        ] {
            assert!(Host::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn targets_have_one_port() {
        assert_eq!(Target::parse("a.b:443", None).unwrap().to_string(), "a.b:443");
        assert_eq!(Target::parse("[::2]:80", None).unwrap().to_string(), "[::2]:80");
        assert_eq!(Target::parse("a.b", Some(80)).unwrap().port, 80);
        for bad in [
            "a.b",
            "a.b:",
            "a.b:0",
            "a.b:0443",
            "a.b:+443",
            "a.b:65536",
            "a.b:44 3",
            "a:1:2",
            "[::2]",
            "[::2]x:1",
            "[::2]:",
            "u@a.b:443",
            ":443",
            "a.b:443/x",
        ] {
            assert!(Target::parse(bad, None).is_err(), "{bad:?}");
        }
    }
}
