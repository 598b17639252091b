//! The egress proxy, with providers on loopback and therefore without the check of addresses,
//! which `bypass` tries.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use midwatch_broker::{
    AddressCheck, BrokerConfig, Egress, Limits, Record, RefusalReason, Registries, Resolve,
    Resolving, Waits,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::gateway::tls::Authority;
use crate::world::{LONG, Provider, World, key, raw, read_reply, send, whole};

/// Names of the tests' own.
#[derive(Default)]
pub(crate) struct Names(pub(crate) HashMap<String, Vec<IpAddr>>);

impl Names {
    pub(crate) fn of(names: &[(&str, &str)]) -> Arc<Self> {
        let mut map: HashMap<String, Vec<IpAddr>> = HashMap::new();
        for (name, address) in names {
            map.entry((*name).to_owned()).or_default().push(address.parse().unwrap());
        }
        Arc::new(Self(map))
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        let found = self.0.get(name).cloned();
        Box::pin(async move { found.ok_or_else(|| io::Error::other("no such name")) })
    }
}

fn world_with(port: u16, addresses: AddressCheck, waits: Waits) -> World {
    let config = BrokerConfig {
        resolver: Names::of(&[("registry.example", "127.0.0.1"), ("empty.example", "127.0.0.1")]),
        addresses,
        ..BrokerConfig::new(key())
    };
    let names = [format!("registry.example:{port}"), "empty.example".into()];
    let list = Registries::parse(names.iter().map(String::as_str)).unwrap();
    World::with(config, None, Egress::Registries(list), Limits { waits, ..Limits::default() })
}

fn world(port: u16) -> World {
    world_with(port, AddressCheck::Off, Waits::default())
}

/// Sends CONNECT and returns the connection with the status.
async fn connect(world: &World, target: &str) -> (UnixStream, u16) {
    let mut stream = UnixStream::connect(world.proxy()).await.unwrap();
    let request = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let reply = read_reply(&mut stream, false).await;
    (stream, reply.status)
}

async fn refused(world: &mut World) -> RefusalReason {
    match world.record().await {
        Record::Refused(refusal) => refusal.reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn plain_http_passes_in_origin_form_without_what_is_the_proxys() {
    let provider = Provider::answering(vec![whole("200 OK", "x-a: b\r\n", "package")]).await;
    let port = provider.port;
    let mut world = world(port);
    let request = format!(
        "POST http://Registry.example:{port}/a/b?c=d HTTP/1.1\r\nhost: registry.example:{port}\r\n\
         authorization: Basic mine\r\nproxy-authorization: Basic x\r\nproxy-connection: keep-alive\r\n\
         upgrade: h2c\r\nconnection: upgrade, x-hop\r\nx-hop: y\r\ncontent-length: 3\r\n\r\nabc"
    );
    let reply = raw(&world.proxy(), request.as_bytes(), false).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "package"));
    assert!(reply.head.contains("x-a: b"));
    let head = &provider.heads()[0];
    assert!(head.starts_with("post /a/b?c=d http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: registry.example:{port}\r\n")), "{head}");
    assert!(head.contains("authorization: basic mine\r\n"), "{head}");
    for gone in ["proxy-", "upgrade", "x-hop"] {
        assert!(!head.contains(gone), "{gone} {head}");
    }
    let target = format!("registry.example:{port}");
    assert_eq!(world.record().await, Record::Passed { target, sent: 3, received: 7 });
}

#[tokio::test]
async fn tls_passes_through_a_tunnel_and_is_counted() {
    let authority = Authority::new();
    let steps = vec![whole("200 OK", "", "package")];
    let script = Arc::new(move |_, _: &str| steps.clone());
    let provider = Provider::start_tls(script, authority.acceptor("registry.example")).await;
    let mut world = world(provider.port);
    let (stream, status) = connect(&world, &format!("registry.example:{}", provider.port)).await;
    assert_eq!(status, 200);
    let mut tls = authority
        .connector()
        .connect("registry.example".try_into().unwrap(), stream)
        .await
        .unwrap();
    tls.write_all(b"GET /x HTTP/1.1\r\nhost: registry.example\r\n\r\n").await.unwrap();
    assert_eq!(read_reply(&mut tls, false).await.body, "package");
    drop(tls);
    let Record::Passed { sent, received, .. } = world.record().await else { panic!() };
    assert!(sent > 200 && received > 200, "{sent} {received}");
    assert_eq!(world.broker.totals("t-implement-1").unwrap().passed, 1);
}

#[tokio::test]
async fn refusals_are_a_line_of_text_and_a_record() {
    let provider = Provider::answering(vec![whole("200 OK", "", "reached")]).await;
    let port = provider.port;
    let mut world = world(port);
    let get = |url: &str, hosts: &[&str]| {
        let hosts: Vec<_> = hosts.iter().map(|host| format!("host: {host}\r\n")).collect();
        let hosts = hosts.concat();
        format!("GET {url} HTTP/1.1\r\n{hosts}\r\n")
    };
    let url = format!("http://registry.example:{port}/");
    let host = format!("registry.example:{port}");
    for (request, status, reason) in [
        (get("http://evil.example/", &["evil.example"]), 403, "NotListed"),
        (get("http://registry.example/", &["registry.example"]), 403, "Port"),
        (get("http://empty.example:8080/", &["empty.example:8080"]), 403, "Port"),
        (get(&url, &["evil.example"]), 421, "Mismatch"),
        (get(&url, &["registry.example"]), 421, "Mismatch"),
        (get(&url, &[]), 400, "Framing"),
        (get(&url, &[&host, "evil.example"]), 400, "Framing"),
        (get(&format!("https://registry.example:{port}/"), &[&host]), 400, "Host"),
        (get(&format!("ftp://registry.example:{port}/"), &[&host]), 400, "Host"),
        (get("/", &[&host]), 400, "Host"),
        (get(&format!("http://u:p@{host}/"), &[&host]), 400, "Host"),
        (format!("TRACE {url} HTTP/1.1\r\nhost: {host}\r\n\r\n"), 405, "Method"),
        (format!("CONNECT registry.example HTTP/1.1\r\nhost: {host}\r\n\r\n"), 403, "Port"),
        (
            "CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example\r\n\r\n".into(),
            403,
            "NotListed",
        ),
        ("CONNECT metadata.google.internal:80 HTTP/1.1\r\nhost: x\r\n\r\n".into(), 403, "Address"),
    ] {
        let reply = raw(&world.proxy(), request.as_bytes(), false).await;
        assert_eq!((reply.status, reply.refusal()), (status, Some(reason)), "{request}");
        assert!(reply.body.starts_with("midwatch refused "), "{}", reply.body);
        assert_eq!(reply.body.lines().count(), 1);
        assert!(
            reply
                .head
                .lines()
                .next()
                .unwrap()
                .ends_with(&format!("Refused by midwatch ({reason})"))
        );
        assert_eq!(refused(&mut world).await.as_str(), reason);
    }
    let reply = raw(&world.proxy(), b"\x16\x03\x01\x00\x05hello", false).await;
    assert_eq!((reply.status, refused(&mut world).await), (400, RefusalReason::Malformed));
    assert!(provider.heads().is_empty());
    let reply = raw(&world.proxy(), get(&url, &[&host]).as_bytes(), false).await;
    assert_eq!(reply.body, "reached");
}

#[tokio::test]
async fn a_run_without_egress_reaches_nothing() {
    let provider = Provider::answering(vec![whole("200 OK", "", "reached")]).await;
    let config = BrokerConfig { addresses: AddressCheck::Off, ..BrokerConfig::new(key()) };
    let world = World::with(config, None, Egress::None, Limits::default());
    let request =
        format!("GET {}/ HTTP/1.1\r\nhost: 127.0.0.1:{}\r\n\r\n", provider.url(), provider.port);
    let reply = raw(&world.proxy(), request.as_bytes(), false).await;
    assert_eq!((reply.status, reply.refusal()), (403, Some("NoEgress")));
    assert!(reply.body.contains("no network (egress: none)"), "{}", reply.body);
}

#[tokio::test]
async fn a_tunnel_must_begin_with_tls_for_its_own_host() {
    let authority = Authority::new();
    let steps = vec![whole("200 OK", "", "reached")];
    let script = Arc::new(move |_, _: &str| steps.clone());
    let provider = Provider::start_tls(script, authority.acceptor("other.example")).await;
    let waits = Waits { hello: Duration::from_millis(300), ..Waits::default() };
    let mut world = world_with(provider.port, AddressCheck::Off, waits);
    let target = format!("registry.example:{}", provider.port);
    for name in ["other.example", "127.0.0.1"] {
        let (stream, status) = connect(&world, &target).await;
        assert_eq!(status, 200);
        let error =
            authority.connector().connect(name.try_into().unwrap(), stream).await.unwrap_err();
        assert!(error.to_string().contains("AccessDenied"), "{error}");
        assert_eq!(refused(&mut world).await, RefusalReason::Mismatch);
    }
    let (mut stream, _) = connect(&world, &target).await;
    stream.write_all(b"SSH-2.0-x\r\n").await.unwrap();
    assert_eq!(refused(&mut world).await, RefusalReason::NotTls);
    // A greeting that never ends, and a client that never speaks.
    let (mut stream, _) = connect(&world, &target).await;
    stream.write_all(b"\x16\x03\x01\x00\x50\x01").await.unwrap();
    assert_eq!(refused(&mut world).await, RefusalReason::Slow);
    let mut rest = Vec::new();
    tokio::time::timeout(LONG, stream.read_to_end(&mut rest)).await.expect("an end").unwrap();
    assert!(provider.heads().is_empty());
}

#[tokio::test]
async fn names_that_lead_nowhere_are_a_sentence() {
    let config = BrokerConfig {
        resolver: Names::of(&[("closed.example", "127.0.0.1")]),
        addresses: AddressCheck::Off,
        ..BrokerConfig::new(key())
    };
    let list = Registries::parse(["nowhere.example", "closed.example:1"]).unwrap();
    let world = World::with(config, None, Egress::Registries(list), Limits::default());
    for (target, status, reason) in
        [("nowhere.example:443", 502, "Unresolved"), ("closed.example:1", 502, "Unreachable")]
    {
        let request = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n");
        let reply = raw(&world.proxy(), request.as_bytes(), false).await;
        assert_eq!((reply.status, reply.refusal()), (status, Some(reason)));
    }
}

#[tokio::test]
async fn tunnels_end_when_nothing_moves_and_when_the_run_closes() {
    let authority = Authority::new();
    let never = Arc::new(|_, _: &str| vec![send("")]);
    let provider = Provider::start_tls(never, authority.acceptor("registry.example")).await;
    for (tunnel, close) in [(Duration::from_millis(50), false), (LONG, true)] {
        let waits = Waits { tunnel, ..Waits::default() };
        let mut world = world_with(provider.port, AddressCheck::Off, waits);
        let target = format!("registry.example:{}", provider.port);
        let (stream, _) = connect(&world, &target).await;
        let connector = authority.connector();
        let mut tls =
            connector.connect("registry.example".try_into().unwrap(), stream).await.unwrap();
        if close {
            assert_eq!(world.broker.close("t-implement-1").await.unwrap().passed, 1);
        }
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(LONG, tls.read_to_end(&mut rest)).await;
        assert!(ended.is_ok() && rest.is_empty());
        assert!(matches!(world.record().await, Record::Passed { .. }));
    }
}

#[tokio::test]
async fn with_the_check_of_addresses_the_same_request_goes_nowhere() {
    let provider = Provider::answering(vec![whole("200 OK", "", "reached")]).await;
    let port = provider.port;
    let request = format!(
        "GET http://registry.example:{port}/ HTTP/1.1\r\nhost: registry.example:{port}\r\n\r\n"
    );
    for (check, status) in [(AddressCheck::Off, 200), (AddressCheck::Enforced, 403)] {
        let world = world_with(port, check, Waits::default());
        let reply = raw(&world.proxy(), request.as_bytes(), false).await;
        assert_eq!(reply.status, status, "{}", reply.body);
        if status == 403 {
            assert!(reply.body.contains("127.0.0.0/8, which is not public"), "{}", reply.body);
            assert!(!reply.body.contains("127.0.0.1"), "{}", reply.body);
        }
    }
    assert_eq!(provider.heads().len(), 1);
}
