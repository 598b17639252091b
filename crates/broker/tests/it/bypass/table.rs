//! The attempts.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use midwatch_broker::{Resolve, Resolving};

use super::Resolver;
use crate::proxy::Names;

/// The egress mode that an attempt is made against.
#[derive(Clone, Copy)]
pub(super) enum Mode {
    None,
    /// Only `good.example`.
    Registries,
    Public,
}

/// What counts as reached.
#[derive(Clone, Copy)]
pub(super) enum Reached {
    /// A connection to this address and port, even without a byte.
    Connection(&'static str),
    /// A byte at this address and port, which may be dialled.
    Bytes(&'static str),
}

/// One attempt.
pub(super) struct Attack {
    pub(super) name: &'static str,
    pub(super) mode: Mode,
    /// What is sent to the proxy.
    pub(super) first: Vec<u8>,
    /// What is sent in the tunnel; a greeting without a name by default.
    pub(super) inside: Option<Vec<u8>>,
    pub(super) reached: Reached,
    /// The control goes by the Host header.
    pub(super) routes_by_host: bool,
}

/// The TLS greeting of a real client.
pub(super) fn hello(name: Option<&str>) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    // An address is not named in a greeting.
    let name = name.unwrap_or("192.0.2.1").to_owned().try_into().unwrap();
    let mut client = rustls::ClientConnection::new(config.into(), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

/// The same greeting in records of a few bytes.
fn in_small_records(hello: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in hello[5..].chunks(7) {
        bytes.extend_from_slice(&[22, 3, 1, 0, u8::try_from(piece.len()).unwrap()]);
        bytes.extend_from_slice(piece);
    }
    bytes
}

/// Names that lead to all kinds of places; `rebind.example` leads elsewhere at each second look.
struct Unreliable {
    names: Arc<Names>,
    looks: Mutex<HashMap<String, usize>>,
}

impl Resolve for Unreliable {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        if name != "rebind.example" {
            return self.names.resolve(name);
        }
        let mut looks = self.looks.lock().unwrap();
        let look = looks.entry(name.to_owned()).or_default();
        *look += 1;
        let address = if *look % 2 == 1 { "198.51.100.80" } else { "10.0.0.5" };
        let address: IpAddr = address.parse().unwrap();
        Box::pin(async move { Ok(vec![address]) })
    }
}

pub(super) fn names() -> Resolver {
    let names = Names::of(&[
        ("good.example", "198.51.100.80"),
        ("evil.example", "198.51.100.66"),
        ("good.example.evil.example", "198.51.100.66"),
        ("evilgood.example", "198.51.100.66"),
        ("private.example", "10.0.0.5"),
        ("meta.example", "169.254.169.254"),
        ("metadata.google.internal", "169.254.169.254"),
        ("mapped.example", "::ffff:10.0.0.5"),
        ("ula.example", "fd00::5"),
        ("nat64.example", "64:ff9b::a00:5"),
        ("own.example", "203.0.113.1"),
        ("loop.example", "127.0.0.1"),
        ("last.example", "198.51.100.80"),
        ("last.example", "10.0.0.5"),
        ("first.example", "10.0.0.5"),
        ("first.example", "198.51.100.80"),
        ("six.example", "198.51.100.80"),
        ("six.example", "fe80::53"),
        ("six.example", "fd00::5"),
        ("localhost", "127.0.0.1"),
        ("intranet", "198.51.100.66"),
    ]);
    Arc::new(Unreliable { names, looks: Mutex::default() })
}

fn attack(name: &'static str, mode: Mode, first: impl AsRef<[u8]>, reached: Reached) -> Attack {
    let first = first.as_ref().to_vec();
    Attack { name, mode, first, inside: None, reached, routes_by_host: false }
}

fn connect(target: &str) -> String {
    format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n")
}

fn get(host: &str) -> String {
    format!("GET http://{host}/ HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")
}

/// What is not forbidden, to see that the way is open at all.
pub(super) fn allowed() -> Vec<Attack> {
    let target = Reached::Bytes("198.51.100.80:443");
    let mut tls = attack("TLS", Mode::Public, connect("good.example:443"), target);
    tls.inside = Some(hello(Some("good.example")));
    let http = Reached::Bytes("198.51.100.80:80");
    vec![tls, attack("HTTP", Mode::Public, get("good.example"), http)]
}

/// All attempts.
pub(super) fn attacks() -> Vec<Attack> {
    let mut all = addresses();
    all.extend(spellings());
    all.extend(names_and_ports());
    all.extend(disguises());
    all
}

/// Addresses as they are, in `public`, which allows addresses.
fn addresses() -> Vec<Attack> {
    use Reached::Connection as To;
    [
        ("loopback", "127.0.0.1:443", "127.0.0.1:443"),
        ("all of loopback", "127.9.8.7:443", "127.9.8.7:443"),
        ("0.0.0.0", "0.0.0.0:443", "127.0.0.1:443"),
        ("0/8", "0.1.2.3:443", "0.1.2.3:443"),
        ("10/8", "10.0.0.5:443", "10.0.0.5:443"),
        ("100.64/10", "100.64.0.5:443", "100.64.0.5:443"),
        ("metadata", "169.254.169.254:80", "169.254.169.254:80"),
        ("172.16/12", "172.31.255.5:443", "172.31.255.5:443"),
        ("192.0.0/24", "192.0.0.5:443", "192.0.0.5:443"),
        ("192.168/16", "192.168.1.5:443", "192.168.1.5:443"),
        ("198.18/15", "198.19.0.5:443", "198.19.0.5:443"),
        ("240/4", "240.0.0.5:443", "240.0.0.5:443"),
        ("an address of this machine", "203.0.113.1:443", "203.0.113.1:443"),
        ("::1", "[::1]:443", "[::1]:443"),
        ("::", "[::]:443", "[::1]:443"),
        ("mapped private", "[::ffff:10.0.0.5]:443", "10.0.0.5:443"),
        ("mapped loopback", "[::ffff:127.0.0.1]:443", "127.0.0.1:443"),
        ("mapped metadata in hex", "[::ffff:a9fe:a9fe]:80", "169.254.169.254:80"),
        ("mapped own", "[::ffff:203.0.113.1]:443", "203.0.113.1:443"),
        ("NAT64", "[64:ff9b::a00:5]:443", "[64:ff9b::a00:5]:443"),
        ("NAT64 metadata", "[64:ff9b::169.254.169.254]:80", "[64:ff9b::a9fe:a9fe]:80"),
        ("unique local", "[fc00::5]:443", "[fc00::5]:443"),
        ("metadata of AWS over IPv6", "[fd00:ec2::254]:80", "[fd00:ec2::254]:80"),
        ("link-local with a zone", "[fe80::53%25v0]:443", "[fe80::53]:443"),
        ("6to4", "[2002:a00:5::1]:443", "[2002:a00:5::1]:443"),
        ("an own address over IPv6", "[2001:db8::1]:443", "[2001:db8::1]:443"),
    ]
    .into_iter()
    .map(|(name, target, reached)| attack(name, Mode::Public, connect(target), To(reached)))
    .collect()
}

/// Spellings that some program reads as an address or another host.
fn spellings() -> Vec<Attack> {
    use Reached::Connection as To;
    [
        ("short IPv4", connect("127.1:443"), "127.0.0.1:443"),
        ("short IPv4 of 10/8", connect("10.5:443"), "10.0.0.5:443"),
        ("octal IPv4", connect("012.0.0.5:443"), "10.0.0.5:443"),
        ("hexadecimal IPv4", connect("0xa.0.0.5:443"), "10.0.0.5:443"),
        ("one decimal number", connect("167772165:443"), "10.0.0.5:443"),
        ("one hexadecimal number", connect("0xa9fea9fe:80"), "169.254.169.254:80"),
        ("dot at the end", connect("private.example.:443"), "10.0.0.5:443"),
        ("address with a dot at the end", connect("10.0.0.5.:443"), "10.0.0.5:443"),
        ("user name", connect("good.example@10.0.0.5:443"), "10.0.0.5:443"),
        ("user name and port", connect("good.example:443@10.0.0.5:443"), "10.0.0.5:443"),
        ("user name in a URL", get("good.example@10.0.0.5"), "10.0.0.5:80"),
        ("escaped NUL", connect("10.0.0.5%00.good.example:443"), "10.0.0.5:443"),
        ("escaped dots", get("10%2e0%2e0%2e5"), "10.0.0.5:80"),
        ("NUL", connect("10.0.0.5\0.good.example:443"), "10.0.0.5:443"),
        ("ideographic dots", get("10\u{3002}0\u{3002}0\u{3002}5"), "10.0.0.5:80"),
        ("a local name", connect("localhost:443"), "127.0.0.1:443"),
        ("a name without a dot", connect("intranet:443"), "198.51.100.66:443"),
        ("metadata by name in upper case", get("METADATA.google.INTERNAL"), "169.254.169.254:80"),
    ]
    .into_iter()
    .map(|(name, first, reached)| attack(name, Mode::Public, first, To(reached)))
    .collect()
}

/// Names that lead to forbidden places, and places that the mode forbids.
fn names_and_ports() -> Vec<Attack> {
    use Mode::{None, Public, Registries};
    use Reached::Connection as To;
    [
        ("a name of a private address", Public, connect("private.example:443"), "10.0.0.5:443"),
        ("a name of metadata", Public, get("meta.example"), "169.254.169.254:80"),
        ("a name of loopback", Public, get("loop.example"), "127.0.0.1:80"),
        ("a name of a mapped address", Public, connect("mapped.example:443"), "10.0.0.5:443"),
        ("a name of a local IPv6 address", Public, connect("ula.example:443"), "[fd00::5]:443"),
        ("a name of NAT64", Public, connect("nat64.example:443"), "[64:ff9b::a00:5]:443"),
        ("a name of this machine", Public, connect("own.example:443"), "203.0.113.1:443"),
        ("private after public", Public, connect("last.example:443"), "10.0.0.5:443"),
        ("private before public", Public, connect("first.example:443"), "10.0.0.5:443"),
        ("private IPv6 beside public IPv4", Public, connect("six.example:443"), "[fd00::5]:443"),
        ("rebinding", Public, connect("rebind.example:443"), "10.0.0.5:443"),
        ("rebinding in plain HTTP", Public, get("rebind.example"), "10.0.0.5:80"),
        ("port 22", Public, connect("good.example:22"), "198.51.100.80:22"),
        ("port 8080 in plain HTTP", Public, get("good.example:8080"), "198.51.100.80:8080"),
        ("a name that is not listed", Registries, connect("evil.example:443"), "198.51.100.66:443"),
        (
            "a listed name before another",
            Registries,
            get("good.example.evil.example"),
            "198.51.100.66:80",
        ),
        ("a listed name behind another", Registries, get("evilgood.example"), "198.51.100.66:80"),
        ("a listed host's address", Registries, connect("198.51.100.80:443"), "198.51.100.80:443"),
        ("a listed host's other port", Registries, connect("good.example:22"), "198.51.100.80:22"),
        ("anything without egress", None, connect("good.example:443"), "198.51.100.80:443"),
        ("anything without egress, plain", None, get("good.example"), "198.51.100.80:80"),
    ]
    .into_iter()
    .map(|(name, mode, first, reached)| attack(name, mode, first, To(reached)))
    .collect()
}

/// One thing said outside, another inside.
fn disguises() -> Vec<Attack> {
    use Mode::{Public, Registries};
    use Reached::{Bytes, Connection};
    let good = || connect("good.example:443");
    let tls = Bytes("198.51.100.80:443");
    let tunnel = |name, inside: Vec<u8>| Attack {
        inside: Some(inside),
        ..attack(name, Registries, good(), tls)
    };
    let http = Bytes("198.51.100.80:80");
    let other = hello(Some("other.example"));
    let two_hosts =
        "GET http://good.example/ HTTP/1.1\r\nhost: good.example\r\nhost: evil.example\r\n\r\n";
    let by_host = |name, first: &str, reached| Attack {
        routes_by_host: true,
        ..attack(name, Registries, first, Connection(reached))
    };
    vec![
        tunnel("another name in TLS", other.clone()),
        tunnel("another name in TLS, in small records", in_small_records(&other)),
        tunnel("no name in TLS", hello(None)),
        tunnel("a longer name in TLS", hello(Some("good.example.evil.example"))),
        tunnel("plain HTTP in a tunnel", b"GET / HTTP/1.1\r\nhost: evil.example\r\n\r\n".to_vec()),
        tunnel("SSH in a tunnel", b"SSH-2.0-x\r\n".to_vec()),
        Attack {
            inside: Some(b"GET / HTTP/1.1\r\nhost: evil.example\r\n\r\n".to_vec()),
            ..attack("a tunnel to port 80", Registries, connect("good.example:80"), http)
        },
        attack(
            "another Host header",
            Registries,
            "GET http://good.example/ HTTP/1.1\r\nhost: evil.example\r\n\r\n",
            http,
        ),
        attack("two Host headers", Registries, two_hosts, http),
        attack("no Host header", Registries, "GET http://good.example/ HTTP/1.1\r\n\r\n", http),
        by_host(
            "a proxy that goes by Host",
            "GET http://good.example/ HTTP/1.1\r\nhost: 10.0.0.5\r\n\r\n",
            "10.0.0.5:80",
        ),
        by_host(
            "the last of two Hosts",
            &two_hosts.replace("evil.example", "10.0.0.5"),
            "10.0.0.5:80",
        ),
        by_host(
            "a request without a URL",
            "GET / HTTP/1.1\r\nhost: 10.0.0.5\r\n\r\n",
            "10.0.0.5:80",
        ),
        attack(
            "a second request behind the first",
            Registries,
            "GET http://good.example/ HTTP/1.1\r\nhost: good.example\r\nconnection: keep-alive\r\n\r\n\
             GET http://10.0.0.5/ HTTP/1.1\r\nhost: 10.0.0.5\r\nconnection: close\r\n\r\n",
            Connection("10.0.0.5:80"),
        ),
        attack(
            "https in a plain request",
            Public,
            "GET https://10.0.0.5:443/ HTTP/1.1\r\nhost: 10.0.0.5:443\r\n\r\n",
            Connection("10.0.0.5:443"),
        ),
        attack(
            "a redirect to metadata",
            Public,
            "GET http://good.example/redirect HTTP/1.1\r\nhost: good.example\r\nconnection: close\r\n\r\n",
            Connection("169.254.169.254:80"),
        ),
    ]
}
