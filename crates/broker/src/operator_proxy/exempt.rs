//! `NO_PROXY`: what goes past the proxy. There is no standard; this reads what curl, Go and
//! Python read alike, and is generous where they differ.

use std::net::IpAddr;

use crate::proxy::host::{Host, Target};

/// The entries that could be read; others are left out, as every client does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Exempt(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    what: What,
    /// Only this port.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// `*`.
    Everything,
    /// A name, and everything below it.
    Domain(String),
    /// An address, with the bits that count.
    Network(IpAddr, u32),
}

impl Exempt {
    /// Entries apart by commas or spaces.
    pub(super) fn parse(text: &str) -> Self {
        let words = text.split([',', ' ', '\t', '\n']).filter(|word| !word.is_empty());
        Self(words.filter_map(Entry::parse).collect())
    }

    /// Whether a target is dialled straight. This machine always is: no proxy can reach it.
    pub(super) fn covers(&self, target: &Target) -> bool {
        target.host.is_loopback() || self.0.iter().any(|entry| entry.covers(target))
    }
}

impl Entry {
    fn parse(word: &str) -> Option<Self> {
        if word == "*" {
            return Some(Self { what: What::Everything, port: None });
        }
        if let Some((address, bits)) = word.split_once('/') {
            let address: IpAddr = address.parse().ok()?;
            let bits = bits.parse().ok().filter(|bits| *bits <= size(address))?;
            return Some(Self { what: What::Network(address, bits), port: None });
        }
        // IPv6 stands here without brackets too.
        if let Ok(address) = word.parse::<IpAddr>() {
            return Some(Self { what: What::Network(address, size(address)), port: None });
        }
        // `.example.com` and `*.example.com` are meant as `example.com`.
        let word = word.strip_prefix('*').unwrap_or(word);
        let word = word.strip_prefix('.').unwrap_or(word);
        let (host, port) = match Target::parse(word, None) {
            Ok(Target { host, port }) => (host, Some(port)),
            Err(_) => (Host::parse(word.strip_suffix('.').unwrap_or(word)).ok()?, None),
        };
        let what = match host {
            Host::Name(name) => What::Domain(name),
            Host::Address(address) => What::Network(address, size(address)),
        };
        Some(Self { what, port })
    }

    fn covers(&self, target: &Target) -> bool {
        let here = match (&self.what, &target.host) {
            (What::Everything, _) => true,
            (What::Domain(domain), Host::Name(name)) => name
                .strip_suffix(domain.as_str())
                .is_some_and(|before| before.is_empty() || before.ends_with('.')),
            (What::Network(network, bits), Host::Address(address)) => {
                is_in(*address, *network, *bits)
            }
            (What::Domain(_), Host::Address(_)) | (What::Network(..), Host::Name(_)) => false,
        };
        here && self.port.is_none_or(|port| port == target.port)
    }
}

fn size(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn is_in(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => {
            (a.to_bits() ^ n.to_bits()).checked_shr(32 - bits).is_none_or(|left| left == 0)
        }
        (IpAddr::V6(a), IpAddr::V6(n)) => {
            (a.to_bits() ^ n.to_bits()).checked_shr(128 - bits).is_none_or(|left| left == 0)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_networks_and_ports_are_matched() {
        let list = ".corp.example, *.near.example,exact.example:8443 10.0.0.0/8,192.0.2.7,::1,\
                    [2001:db8::1]:443,fd00::/8,trailing.example.,odd/entry,1.2.3.4/99,";
        let exempt = Exempt::parse(list);
        for (target, expected) in [
            ("corp.example:443", true),
            ("a.b.corp.example:443", true),
            ("notcorp.example:443", false),
            ("corp.example.evil.example:443", false),
            ("x.near.example:80", true),
            ("exact.example:8443", true),
            ("exact.example:443", false),
            ("10.255.0.1:443", true),
            ("11.0.0.1:443", false),
            ("192.0.2.7:443", true),
            ("192.0.2.8:443", false),
            ("[2001:db8::1]:443", true),
            ("[2001:db8::1]:80", false),
            ("[fd12::1]:80", true),
            ("trailing.example:80", true),
            ("1.2.3.4:80", false),
            ("localhost:80", true),
            ("127.0.0.9:80", true),
            ("[::1]:80", true),
            ("registry.npmjs.org:443", false),
        ] {
            assert_eq!(exempt.covers(&Target::parse(target, None).unwrap()), expected, "{target}");
        }
        let all = Exempt::parse("*");
        assert!(all.covers(&Target::parse("a.example:1", None).unwrap()));
        assert!(Exempt::parse("0.0.0.0/0").covers(&Target::parse("8.8.8.8:1", None).unwrap()));
    }
}
