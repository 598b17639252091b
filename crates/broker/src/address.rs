//! Which addresses the proxy never dials.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not dialled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockedAddress {
    /// It stands in the list of ranges that are not public.
    #[error("{address} is in {range}, which is not public")]
    Range {
        /// The address, unmapped.
        address: IpAddr,
        /// The range, as in the list.
        range: &'static str,
    },
    /// It belongs to this machine.
    #[error("{0} is an address of this machine")]
    Own(IpAddr),
    /// This machine's own addresses could not be read, so nothing can be said: refused.
    #[error("the addresses of this machine cannot be read: {0}")]
    Unknown(String),
}

/// The ranges of IPv4 that are blocked: first address, prefix length, name. Documentation ranges
/// are not among them: some sites give their mirrors such addresses.
const V4: &[(Ipv4Addr, u32, &str)] = &[
    (Ipv4Addr::UNSPECIFIED, 8, "0.0.0.0/8"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "10.0.0.0/8"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "100.64.0.0/10"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "127.0.0.0/8"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "169.254.0.0/16"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "172.16.0.0/12"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "192.0.0.0/24"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "192.168.0.0/16"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "198.18.0.0/15"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "224.0.0.0/4"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "240.0.0.0/4"),
];

/// The ranges of IPv6 that are blocked. `::ffff:0:0/96` is not here: it is unmapped first.
const V6: &[(Ipv6Addr, u32, &str)] = &[
    (Ipv6Addr::UNSPECIFIED, 128, "::"),
    (Ipv6Addr::LOCALHOST, 128, "::1"),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96, "64:ff9b::/96"),
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), 128, "fd00:ec2::254"),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, "fc00::/7"),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "fe80::/10"),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "ff00::/8"),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "2002::/16"),
];

/// What no model's provider and no proxy of the operator's is, in any network: link-local addresses, where
/// clouds answer with credentials of the machine; the same at addresses elsewhere (Oracle's older
/// one, Alibaba's, Azure's wire server); and what is no single machine at all.
const NEVER_V4: &[(Ipv4Addr, u32, &str)] = &[
    (Ipv4Addr::UNSPECIFIED, 8, "0.0.0.0/8"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "169.254.0.0/16"),
    (Ipv4Addr::new(192, 0, 0, 192), 32, "192.0.0.192"),
    (Ipv4Addr::new(100, 100, 100, 200), 32, "100.100.100.200"),
    (Ipv4Addr::new(168, 63, 129, 16), 32, "168.63.129.16"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "224.0.0.0/4"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "240.0.0.0/4"),
];

/// The same of IPv6: AWS's and Google's metadata besides link-local and multicast addresses.
const NEVER_V6: &[(Ipv6Addr, u32, &str)] = &[
    (Ipv6Addr::UNSPECIFIED, 128, "::"),
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), 128, "fd00:ec2::254"),
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128, "fd20:ce::254"),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "fe80::/10"),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "ff00::/8"),
];

/// Names of cloud metadata services, refused whatever they resolve to.
const METADATA_NAMES: [&str; 5] = [
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "instance-data",
    "instance-data.ec2.internal",
];

/// Whether a name, in lower case, is that of a metadata service.
pub(crate) fn is_metadata_name(name: &str) -> bool {
    METADATA_NAMES.contains(&name)
}

/// The range that keeps an address from being dialled even where the operator names it: for
/// providers and proxies, which may be on private networks and on this machine.
pub(crate) fn never_dialled(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(v4) => in_v4(NEVER_V4, v4),
        IpAddr::V6(v6) => in_v6(NEVER_V6, v6).or_else(|| in_v4(NEVER_V4, embedded(v6)?)),
    }
}

/// The IPv4 address that a translator or a tunnel would reach by an IPv6 one: `64:ff9b::/96`,
/// `2002::/16` and the old `::/96`.
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, a, b] | [0, 0, 0, 0, 0, 0, a, b] | [0x2002, a, b, ..] => {
            Some(Ipv4Addr::from_bits(u32::from(a) << 16 | u32::from(b)))
                // `::1` is this machine, and no address of the old form.
                .filter(|_| v6 != Ipv6Addr::LOCALHOST)
        }
        _ => None,
    }
}

/// The check of every address before it is dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressCheck {
    /// The list, and this machine's own addresses.
    Enforced,
    /// No check: the positive control of the tests, never for a run.
    Off,
}

impl AddressCheck {
    /// The address of a provider or of the operator's proxy, unmapped, or the range that it is in.
    /// Private addresses and this machine's own are theirs to use.
    pub(crate) fn check_named(self, address: IpAddr) -> Result<IpAddr, &'static str> {
        match (self, never_dialled(address)) {
            (Self::Enforced, Some(range)) => Err(range),
            (Self::Enforced, None) | (Self::Off, _) => Ok(address.to_canonical()),
        }
    }

    /// The address to dial, unmapped, or why not.
    pub fn check(self, address: IpAddr) -> Result<IpAddr, BlockedAddress> {
        let address = address.to_canonical();
        match self {
            Self::Off => Ok(address),
            Self::Enforced => {
                if let Some(range) = blocked_range(address) {
                    return Err(BlockedAddress::Range { address, range });
                }
                match is_own(address) {
                    Ok(false) => Ok(address),
                    Ok(true) => Err(BlockedAddress::Own(address)),
                    Err(error) => Err(BlockedAddress::Unknown(error.to_string())),
                }
            }
        }
    }
}

/// The blocked range that holds an address.
fn blocked_range(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => in_v4(V4, v4).or_else(|| in_v4(NEVER_V4, v4)),
        IpAddr::V6(v6) => in_v6(V6, v6).or_else(|| in_v6(NEVER_V6, v6)),
    }
}

fn in_v4(ranges: &[(Ipv4Addr, u32, &'static str)], v4: Ipv4Addr) -> Option<&'static str> {
    ranges
        .iter()
        .find(|(net, bits, _)| v4.to_bits() >> (32 - bits) == net.to_bits() >> (32 - bits))
        .map(|(_, _, name)| *name)
}

fn in_v6(ranges: &[(Ipv6Addr, u32, &'static str)], v6: Ipv6Addr) -> Option<&'static str> {
    ranges
        .iter()
        .find(|(net, bits, _)| v6.to_bits() >> (128 - bits) == net.to_bits() >> (128 - bits))
        .map(|(_, _, name)| *name)
}

/// Whether the kernel would deliver to this machine. Read at every dial: addresses come and go.
fn is_own(address: IpAddr) -> io::Result<bool> {
    match address {
        IpAddr::V4(v4) => Ok(own_v4(&std::fs::read_to_string("/proc/net/fib_trie")?, v4)),
        IpAddr::V6(v6) => match std::fs::read_to_string("/proc/net/if_inet6") {
            Ok(table) => Ok(own_v6(&table, v6)),
            // A kernel without IPv6 has neither the file nor such an address.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        },
    }
}

/// Reads the kernel's routing trie: a line with a network, then what it is (`/32 host LOCAL`).
/// Whole prefixes may be local too (`ip route add local`).
fn own_v4(trie: &str, address: Ipv4Addr) -> bool {
    let mut leaf: Option<Ipv4Addr> = None;
    for line in trie.lines() {
        let line = line.trim_start();
        if let Some(network) = line.strip_prefix("|-- ") {
            leaf = network.trim().parse().ok();
            continue;
        }
        let Some((bits, kind)) = line.strip_prefix('/').and_then(|l| l.split_once(' ')) else {
            continue;
        };
        let ours = kind.starts_with("host LOCAL") || kind.starts_with("link BROADCAST");
        if let (true, Some(network), Ok(bits @ 1..=32)) = (ours, leaf, bits.parse::<u32>())
            && address.to_bits() >> (32 - bits) == network.to_bits() >> (32 - bits)
        {
            return true;
        }
    }
    false
}

/// Reads the kernel's list of IPv6 addresses: 32 hex digits at the start of each line.
fn own_v6(table: &str, address: Ipv6Addr) -> bool {
    table.lines().any(|line| {
        let digits = line.split_whitespace().next().unwrap_or_default();
        u128::from_str_radix(digits, 16) == Ok(address.to_bits())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Option<&'static str> {
        blocked_range(text.parse::<IpAddr>().unwrap().to_canonical())
    }

    #[test]
    fn every_range_is_blocked_at_both_ends_and_open_just_outside() {
        for (first, last, before, after) in [
            ("0.0.0.0", "0.255.255.255", "", "1.0.0.0"),
            ("10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"),
            ("100.64.0.0", "100.127.255.255", "100.63.255.255", "100.128.0.0"),
            ("127.0.0.0", "127.255.255.255", "126.255.255.255", "128.0.0.0"),
            ("169.254.0.0", "169.254.255.255", "169.253.255.255", "169.255.0.0"),
            ("172.16.0.0", "172.31.255.255", "172.15.255.255", "172.32.0.0"),
            ("192.0.0.0", "192.0.0.255", "191.255.255.255", "192.0.1.0"),
            ("192.168.0.0", "192.168.255.255", "192.167.255.255", "192.169.0.0"),
            ("198.18.0.0", "198.19.255.255", "198.17.255.255", "198.20.0.0"),
            ("224.0.0.0", "239.255.255.255", "223.255.255.255", ""),
            ("240.0.0.0", "255.255.255.255", "", ""),
            ("::", "::1", "", "::2"),
            ("64:ff9b::", "64:ff9b::ffff:ffff", "64:ff9a::", "64:ff9c::"),
            ("fc00::", "fdff:ffff::", "fbff::", "fe00::"),
            ("fe80::", "febf:ffff::", "fe7f::", "fec0::"),
            ("ff00::", "ffff:ffff::", "feff::", ""),
            ("2002::", "2002:ffff::", "2001:ffff::", "2003::"),
            ("fd00:ec2::254", "fd00:ec2::254", "", ""),
            ("::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:9.9.9.9", "::ffff:8.8.8.8"),
        ] {
            assert!(range(first).is_some() && range(last).is_some(), "{first} {last}");
            for open in [before, after] {
                assert!(open.is_empty() || range(open).is_none(), "{open}");
            }
        }
    }

    #[test]
    fn metadata_is_never_dialled_however_it_is_written_and_private_addresses_are() {
        for never in [
            "169.254.169.254",
            "169.254.0.1",
            "0.0.0.0",
            "100.100.100.200",
            "168.63.129.16",
            "255.255.255.255",
            "224.0.0.1",
            "::",
            "fe80::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "ff02::1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "::169.254.169.254",
        ] {
            let address = never.parse().unwrap();
            assert!(never_dialled(address).is_some(), "{never}");
            assert!(AddressCheck::Enforced.check_named(address).is_err());
            assert!(AddressCheck::Off.check_named(address).is_ok());
        }
        for open in [
            "127.0.0.1",
            "10.0.0.1",
            "192.168.1.1",
            "100.100.100.201",
            "::1",
            "fd00::1",
            "2001:db8::1",
            "64:ff9b::808:808",
        ] {
            assert_eq!(never_dialled(open.parse().unwrap()), None, "{open}");
        }
    }

    #[test]
    fn metadata_at_a_public_address_is_blocked_for_sandboxes_too() {
        for (address, expected) in [
            ("168.63.129.16", Some("168.63.129.16")),
            ("::ffff:168.63.129.16", Some("168.63.129.16")),
            ("fd20:ce::254", Some("fc00::/7")),
            ("168.63.129.17", None),
        ] {
            assert_eq!(range(address), expected, "{address}");
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(AddressCheck::Enforced.check(address).is_err(), expected.is_some());
            assert!(AddressCheck::Off.check(address).is_ok(), "the control");
        }
    }

    #[test]
    fn documentation_ranges_are_open() {
        for open in ["192.0.2.1", "198.51.100.1", "203.0.113.80", "2001:db8::1"] {
            assert_eq!(range(open), None, "{open}");
        }
    }

    #[test]
    fn own_addresses_are_read_from_the_kernel() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 192.0.2.0\n        /24 link UNICAST\n\
                    \x20    |-- 192.0.2.2\n        /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n\
                    \x20    |-- 198.51.100.0\n        /24 host LOCAL\n";
        assert!(own_v4(trie, Ipv4Addr::new(192, 0, 2, 2)));
        assert!(own_v4(trie, Ipv4Addr::new(192, 0, 2, 255)));
        assert!(!own_v4(trie, Ipv4Addr::new(192, 0, 2, 0)));
        assert!(!own_v4(trie, Ipv4Addr::new(192, 0, 2, 3)));
        assert!(own_v4(trie, Ipv4Addr::new(198, 51, 100, 77)));
        assert!(!own_v4(trie, Ipv4Addr::new(198, 51, 101, 77)));
        let table = "20010db8000000000000000000000002 02 40 00 80 eth0\n";
        assert!(own_v6(table, "2001:db8::2".parse().unwrap()));
        assert!(!own_v6(table, "2001:db8::3".parse().unwrap()));
    }
}
