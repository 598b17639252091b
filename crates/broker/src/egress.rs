//! Which names a run may reach through the proxy.

use std::collections::BTreeSet;

use midwatch_core::input::InvalidInput;

use crate::proxy::host::{Host, Target};

/// What the proxy of a run lets through. The address check applies in every mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Egress {
    /// Nothing.
    None,
    /// The named registries.
    Registries(Registries),
    /// Any public address, ports 80 and 443.
    Public,
}

impl Egress {
    /// The name in settings and records.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Registries(_) => "registries",
            Self::Public => "public",
        }
    }
}

/// The package registries that this machine's clients are set to use. They are discovered by
/// asking the clients, elsewhere; here they are only names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Registries {
    /// Host, and the port where it is not 80 or 443. Ordered, because it is shown to people.
    entries: BTreeSet<(String, Option<u16>)>,
}

impl Registries {
    /// Adds `host` (ports 80 and 443) or `host:port` (that port only).
    pub fn add(&mut self, text: &str) -> Result<(), InvalidInput> {
        let bad = |rule: &str| {
            InvalidInput::new("egress", text, rule, "give a host such as registry.npmjs.org")
        };
        if text.contains('*') {
            return Err(bad("holds a wildcard"));
        }
        if text.contains('/') {
            return Err(bad("is a URL, not a host"));
        }
        let has_port = match text.strip_prefix('[') {
            Some(rest) => rest.contains("]:"),
            None => text.contains(':'),
        };
        let entry = if has_port {
            let target = Target::parse(text, None).map_err(|e| bad(&e.to_string()))?;
            (target.host.to_string(), Some(target.port))
        } else {
            (Host::parse(text).map_err(|e| bad(&e.to_string()))?.to_string(), None)
        };
        self.entries.insert(entry);
        Ok(())
    }

    /// Reads a list of names; the first bad one is the error.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidInput> {
        let mut registries = Self::default();
        for name in names {
            registries.add(name)?;
        }
        Ok(registries)
    }

    /// The names as they are shown to people, in order.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.entries.iter().map(|(host, port)| match port {
            Some(port) => format!("{host}:{port}"),
            None => host.clone(),
        })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether the host is named, with any port.
    pub(crate) fn has_host(&self, host: &Host) -> bool {
        let host = host.to_string();
        self.entries.iter().any(|(name, _)| *name == host)
    }

    /// Whether the host is named with this very port.
    pub(crate) fn has_port(&self, host: &Host, port: u16) -> bool {
        self.entries.contains(&(host.to_string(), Some(port)))
    }

    /// Whether the host is named without a port, which stands for 80 and 443.
    pub(crate) fn has_default_ports(&self, host: &Host) -> bool {
        self.entries.contains(&(host.to_string(), None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_grammar_and_say_what_is_wrong() {
        let list = Registries::parse(["Registry.npmjs.org", "nexus:8081", "[2001:db8::1]:8443"]);
        let names: Vec<_> = list.unwrap().names().collect();
        assert_eq!(names, ["[2001:db8::1]:8443", "nexus:8081", "registry.npmjs.org"]);
        for bad in [
            "*",
            "*.com",
            "https://x",
            "x:99999",
            "x:",
            "x:0",
            "a.com%00.b.com",
            "a.com.",
            "",
            "a b",
            "user@x",
            "0x7f.1",
            "2130706433",
            "x:1:2",
        ] {
            assert!(Registries::parse([bad]).is_err(), "{bad}");
        }
    }
}
