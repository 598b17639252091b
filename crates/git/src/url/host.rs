//! Host names and addresses in URLs: one spelling each, and no address of ours or of a cloud's
//! metadata service. Names are not resolved here: what they resolve to is checked when dialled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use midwatch_core::input::InvalidInput;

use super::{FIELD, UrlRules};

/// Reads `host[:port]`; `whole` is the URL, for the error.
pub(super) fn parse(
    text: &str,
    rules: UrlRules,
    whole: &str,
) -> Result<(String, Option<u16>), InvalidInput> {
    let bad = |rule: &str, fix: &str| InvalidInput::new(FIELD, whole, rule, fix);
    let (host, port) = split_port(text).ok_or_else(|| bad("has a broken host", "check it"))?;
    if host.starts_with('-') {
        return Err(bad("has a host that must not start with '-'", "check the host"));
    }
    let port = match port {
        None => None,
        Some(digits) => match digits.parse::<u16>() {
            Ok(port) if port > 0 && digits.bytes().all(|b| b.is_ascii_digit()) => Some(port),
            Ok(_) | Err(_) => return Err(bad("has a port outside 1 to 65535", "check the port")),
        },
    };
    if !host.is_ascii() {
        return Err(bad(
            &format!("has a host outside ASCII, in truth {}", to_ascii(host)),
            "if you mean that host, write it so",
        ));
    }
    let host = host.to_ascii_lowercase();
    let address =
        address(&host).map_err(|rule| bad(rule, "write the address in its usual form"))?;
    let kind = match address {
        Some(address) => refused_kind(address),
        None if host == "localhost" || host.ends_with(".localhost") => Some("loopback"),
        None if is_name(&host) => None,
        None => return Err(bad("has a host that is no host name", "check the host")),
    };
    match kind {
        Some(kind) if !rules.private_addresses => Err(bad(
            &format!("has a {kind} address"),
            "use a public name, or set MIDWATCH_PRIVATE_ADDRESSES=1 where that is meant",
        )),
        Some(_) | None => Ok((host, port)),
    }
}

fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    if text.starts_with('[') {
        let end = text.find(']')?;
        let (host, rest) = text.split_at(end + 1);
        return if rest.is_empty() {
            Some((host, None))
        } else {
            Some((host, Some(rest.strip_prefix(':')?)))
        };
    }
    match text.split_once(':') {
        Some((host, port)) => Some((host, Some(port))),
        None => Some((text, None)),
    }
}

/// The address that a host is; an error for one in a spelling that programs disagree about.
fn address(host: &str) -> Result<Option<IpAddr>, &'static str> {
    if let Some(inside) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        return match inside.parse::<Ipv6Addr>() {
            Ok(address) => Ok(Some(IpAddr::V6(address))),
            Err(_) => Err("has a broken IPv6 address"),
        };
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|b| b.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    if last.is_empty() || !numeric {
        return Ok(None);
    }
    // The parser takes four plain decimal numbers and nothing else.
    host.parse::<Ipv4Addr>()
        .map(|address| Some(IpAddr::V4(address)))
        .map_err(|_| "has a non-canonical address")
}

pub(super) fn refused_kind(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => refused_v4(address),
        IpAddr::V6(address) => refused_v6(address),
    }
}

fn refused_v4(address: Ipv4Addr) -> Option<&'static str> {
    let [a, b, ..] = address.octets();
    match (a, b) {
        (127, _) => Some("loopback"),
        (10, _) | (172, 16..=31) | (192, 168) | (100, 64..=127) | (198, 18 | 19) => Some("private"),
        (169, 254) => Some("link-local"),
        (0, _) => Some("unspecified"),
        // Azure's wire server and Oracle's older one: metadata at addresses that look public.
        (168, 63) if address == Ipv4Addr::new(168, 63, 129, 16) => Some("metadata"),
        (192, 0) if address == Ipv4Addr::new(192, 0, 0, 192) => Some("metadata"),
        (224.., _) => Some("multicast or reserved"),
        _ => None,
    }
}

fn refused_v6(address: Ipv6Addr) -> Option<&'static str> {
    let parts = address.segments();
    let low = || {
        let [a, b] = parts[6].to_be_bytes();
        let [c, d] = parts[7].to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    if address == Ipv6Addr::LOCALHOST {
        return Some("loopback");
    }
    if address == Ipv6Addr::UNSPECIFIED {
        return Some("unspecified");
    }
    match parts[0] {
        // Mapped, compatible: an IPv4 address in other clothes.
        0 if parts[1..5] == [0; 4] => refused_v4(low()).or(Some("IPv4-mapped")),
        0x64 if parts[1] == 0xff9b => refused_v4(low()).or(Some("translated")),
        0x2002 | 0x2001 if parts[0] == 0x2002 || parts[1] == 0 => Some("tunnelled"),
        first if first & 0xfe00 == 0xfc00 => Some("private"),
        first if first & 0xffc0 == 0xfe80 => Some("link-local"),
        first if first & 0xff00 == 0xff00 => Some("multicast or reserved"),
        _ => None,
    }
}

fn is_name(host: &str) -> bool {
    host.len() <= 253
        && host.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
}

/// The ASCII form of a host, for people to see what a look-alike letter hides (RFC 3492).
fn to_ascii(host: &str) -> String {
    let labels = host.split('.').map(|label| {
        if label.is_ascii() { label.to_owned() } else { format!("xn--{}", punycode(label)) }
    });
    labels.collect::<Vec<_>>().join(".")
}

fn punycode(label: &str) -> String {
    const BASE: u32 = 36;
    let digit =
        |value: u32| char::from(b"abcdefghijklmnopqrstuvwxyz0123456789"[(value % BASE) as usize]);
    let points: Vec<u32> = label.chars().map(u32::from).collect();
    let mut out: String = label.chars().filter(char::is_ascii).collect();
    let basic = u32::try_from(out.len()).unwrap_or(u32::MAX);
    if basic > 0 {
        out.push('-');
    }
    let (mut n, mut delta, mut bias, mut handled) = (128_u32, 0_u32, 72_u32, basic);
    while (handled as usize) < points.len() {
        let Some(next) = points.iter().copied().filter(|p| *p >= n).min() else { break };
        delta = delta.wrapping_add((next - n).wrapping_mul(handled + 1));
        n = next;
        for &point in &points {
            if point < n {
                delta = delta.wrapping_add(1);
            }
            if point == n {
                let (mut q, mut k) = (delta, BASE);
                loop {
                    let t = k.saturating_sub(bias).clamp(1, 26);
                    if q < t {
                        break;
                    }
                    out.push(digit(t + (q - t) % (BASE - t)));
                    q = (q - t) / (BASE - t);
                    k += BASE;
                }
                out.push(digit(q));
                bias = adapt(delta, handled + 1, handled == basic);
                delta = 0;
                handled += 1;
            }
        }
        delta = delta.wrapping_add(1);
        n += 1;
    }
    out
}

fn adapt(delta: u32, points: u32, first: bool) -> u32 {
    let mut delta = if first { delta / 700 } else { delta / 2 };
    delta += delta / points;
    let mut k = 0;
    while delta > 455 {
        delta /= 35;
        k += 36;
    }
    k + 36 * delta / (delta + 38)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn punycode_is_the_one_that_browsers_show() {
        // Published examples: IDNA registrations and RFC 3492 section 7.1 (I).
        assert_eq!(to_ascii("bücher.example"), "xn--bcher-kva.example");
        assert_eq!(to_ascii("münchen"), "xn--mnchen-3ya");
        assert_eq!(
            to_ascii("почемужеонинеговорятпорусски"),
            "xn--b1abfaaepdrnnbgefbadotcwatmq2g4l"
        );
    }
}
