//! A company's proxy on loopback, which remembers what it was asked: whoever asks badly or shows
//! another login gets nothing, and it alone knows where the names of these tests lead.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use midwatch_broker::{
    AddressCheck, BrokerConfig, CaBundle, Egress, Limits, OperatorProxy, ProxyServer, Registries,
    UnknownNames,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use crate::gateway::tls::Authority;
use crate::proxy::Names;
use crate::world::{Provider, Reply, World, header, key, model, raw, read_head, read_reply, whole};

/// `user:pass-word` as a proxy is shown it.
const LOGIN: &str = "Basic dXNlcjpwYXNzLXdvcmQ=";

/// What a proxy did, one line for each request.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn note(&self, what: &str, request: &str) {
        self.0.lock().unwrap().push(format!("{what} {request}"));
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

struct Company {
    port: u16,
    seen: Seen,
}

impl Company {
    /// Names and the ports of this machine that they lead to.
    async fn start(names: &[(&str, u16)]) -> Self {
        let names: HashMap<String, u16> =
            names.iter().map(|(name, port)| ((*name).to_owned(), *port)).collect();
        let (names, seen) = (Arc::new(names), Seen::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let noted = seen.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (names, noted) = (names.clone(), noted.clone());
                tokio::spawn(async move { serve(stream, &names, &noted).await });
            }
        });
        Self { port, seen }
    }

    fn server(&self, login: &str) -> ProxyServer {
        ProxyServer::parse(&format!("http://{login}127.0.0.1:{}", self.port)).unwrap()
    }

    /// Everything goes there, shown the right login.
    fn settings(&self, unknown: UnknownNames) -> OperatorProxy {
        let server = self.server("user:pass-word@");
        OperatorProxy::new(Some(server.clone()), Some(server), "", unknown)
    }
}

async fn serve(mut client: TcpStream, names: &HashMap<String, u16>, seen: &Seen) {
    let Some(head) = read_head(&mut client).await else { return };
    let line = head.lines().next().unwrap_or_default();
    let words: Vec<&str> = line.split(' ').collect();
    let [method, target, "HTTP/1.1"] = words[..] else {
        return answer(&mut client, seen, "400 Bad", line, "").await;
    };
    let authority = match (method, target.strip_prefix("http://")) {
        ("CONNECT", None) => target,
        ("GET", Some(rest)) => rest.split('/').next().unwrap_or_default(),
        _ => return answer(&mut client, seen, "400 Bad", line, "").await,
    };
    let hosts: Vec<&str> =
        head.lines().filter(|line| line.to_lowercase().starts_with("host:")).collect();
    let named = header(&head, "host").map(|host| host.trim_end_matches(":80"));
    if hosts.len() != 1 || named != Some(authority.trim_end_matches(":80")) {
        return answer(&mut client, seen, "400 Bad", line, "").await;
    }
    let shown: Vec<&str> = head
        .lines()
        .filter(|line| line.to_lowercase().starts_with("proxy-authorization:"))
        .collect();
    if shown.len() != 1 || header(&head, "proxy-authorization") != Some(LOGIN) {
        let wanted = "proxy-authenticate: Basic realm=\"company\"\r\n";
        return answer(&mut client, seen, "407 Login", line, wanted).await;
    }
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let Some(port) = names.get(host) else {
        return answer(&mut client, seen, "502 Unknown", line, "").await;
    };
    if method == "GET" {
        return answer(&mut client, seen, "200 OK", line, "x-from: company\r\n").await;
    }
    let mut server = TcpStream::connect(("127.0.0.1", *port)).await.unwrap();
    seen.note("200", line);
    client.write_all(b"HTTP/1.1 200 Connection established\r\nx-a: b\r\n\r\n").await.unwrap();
    // Either side may end it.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}

async fn answer(client: &mut TcpStream, seen: &Seen, status: &str, line: &str, headers: &str) {
    seen.note(status.split(' ').next().unwrap(), line);
    let text = format!("HTTP/1.1 {status}\r\n{headers}content-length: 7\r\n\r\ncompany");
    // It may not want to hear.
    let _ = client.write_all(text.as_bytes()).await;
}

/// A provider with a certificate for a name, and the settings that trust it.
async fn provider(authority: &Authority, name: &str) -> Provider {
    let steps = vec![whole("200 OK", "", "{\"reached\":1}")];
    Provider::start_tls(Arc::new(move |_, _| steps.clone()), authority.acceptor(name)).await
}

fn config(authority: &Authority, names: &[(&str, &str)]) -> BrokerConfig {
    BrokerConfig {
        ca: CaBundle::Pem(authority.pem().as_bytes().to_vec()),
        resolver: Names::of(names),
        ..BrokerConfig::new(key())
    }
}

async fn ask(config: BrokerConfig) -> Reply {
    let model = model("https://llm.example/base");
    let world = World::with(config, Some(model), Egress::None, Limits::default());
    world.ask("POST", "/v1/messages", "{}").await
}

#[tokio::test]
async fn a_provider_is_reached_through_the_proxy_and_not_without_it() {
    let authority = Authority::new();
    let provider = provider(&authority, "llm.example").await;
    let company = Company::start(&[("llm.example", provider.port)]).await;
    // The proxy alone knows the name; and a name that is known here too still goes that way.
    for names in [&[][..], &[("llm.example", "203.0.113.9")]] {
        let proxy = company.settings(UnknownNames::Refused);
        let config = BrokerConfig { operator_proxy: Some(proxy), ..config(&authority, names) };
        let reply = ask(config).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, "{\"reached\":1}"));
        assert_eq!(company.seen.take(), ["200 CONNECT llm.example:443 HTTP/1.1"]);
    }
    assert_eq!(provider.heads().len(), 2);
    assert!(!provider.heads()[0].contains("proxy-"), "{}", provider.heads()[0]);

    // The control: the same without the proxy.
    let reply = ask(config(&authority, &[])).await;
    assert_eq!((reply.status, reply.refusal()), (502, Some("Unresolved")));
    assert_eq!((provider.heads().len(), company.seen.take().len()), (2, 0));
}

#[tokio::test]
async fn a_wrong_login_or_a_refusal_of_the_proxy_is_said_and_nothing_comes_through() {
    let authority = Authority::new();
    let provider = provider(&authority, "llm.example").await;
    let company = Company::start(&[("llm.example", provider.port)]).await;
    let other = Company::start(&[]).await;
    for (company, login, word, line) in [
        (&company, "user:canary@", "wants a login", "407 CONNECT llm.example:443 HTTP/1.1"),
        (&company, "", "wants a login", "407 CONNECT llm.example:443 HTTP/1.1"),
        (&other, "user:pass-word@", "(status 502)", "502 CONNECT llm.example:443 HTTP/1.1"),
    ] {
        let server = company.server(login);
        let proxy = OperatorProxy::new(Some(server), None, "", UnknownNames::Refused);
        let config = BrokerConfig { operator_proxy: Some(proxy), ..config(&authority, &[]) };
        let reply = ask(config).await;
        assert_eq!((reply.status, reply.refusal()), (502, Some("OperatorProxy")), "{}", reply.body);
        assert!(reply.body.contains(word) && !reply.body.contains("canary"), "{}", reply.body);
        assert_eq!(company.seen.take(), [line]);
    }
    // What answers is no proxy.
    let odd = Provider::answering(vec![crate::world::send("SSH-2.0-x\r\n\r\n\r\n")]).await;
    let server = ProxyServer::parse(&odd.url()).unwrap();
    let proxy = OperatorProxy::new(Some(server), None, "", UnknownNames::Refused);
    let reply = ask(BrokerConfig { operator_proxy: Some(proxy), ..config(&authority, &[]) }).await;
    assert_eq!(reply.refusal(), Some("OperatorProxy"), "{}", reply.body);
    assert!(provider.heads().is_empty());
}

#[tokio::test]
async fn the_rule_of_addresses_holds_before_the_proxy_is_asked() {
    let authority = Authority::new();
    let provider = provider(&authority, "llm.example").await;
    let company = Company::start(&[("llm.example", provider.port)]).await;
    for (check, status) in [(AddressCheck::Enforced, 403), (AddressCheck::Off, 200)] {
        for bad in ["169.254.169.254", "fe80::1", "64:ff9b::a9fe:a9fe"] {
            let config = BrokerConfig {
                operator_proxy: Some(company.settings(UnknownNames::Passed)),
                addresses: check,
                ..config(&authority, &[("llm.example", bad)])
            };
            let reply = ask(config).await;
            assert_eq!(reply.status, status, "{bad}: {}", reply.body);
            assert_eq!(company.seen.take().len(), usize::from(status == 200), "{bad}");
        }
    }
}

/// CONNECT at a run's proxy, and what was refused.
async fn connect(world: &World, target: &str) -> (UnixStream, Reply) {
    let mut stream = UnixStream::connect(world.proxy()).await.unwrap();
    let request = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let reply = read_reply(&mut stream, false).await;
    (stream, reply)
}

fn registries(names: &[&str]) -> Egress {
    Egress::Registries(Registries::parse(names.iter().copied()).unwrap())
}

#[tokio::test]
async fn what_a_sandbox_asks_for_goes_through_the_proxy_after_its_names_were_checked() {
    let authority = Authority::new();
    let provider = provider(&authority, "registry.example").await;
    let names = [("registry.example", provider.port), ("inner.example", provider.port)];
    let company = Company::start(&names).await;
    let listed = || registries(&["registry.example", "inner.example"]);
    let known: &[(&str, &str)] =
        &[("registry.example", "203.0.113.9"), ("inner.example", "10.0.0.1")];
    let (refused, passed) = (UnknownNames::Refused, UnknownNames::Passed);
    for (egress, names, unknown, target, expected) in [
        (listed(), known, refused, "registry.example:443", None),
        // The operator's own list may hold names that only the proxy resolves.
        (listed(), &[][..], refused, "registry.example:443", None),
        (Egress::Public, known, refused, "registry.example:443", None),
        (Egress::Public, &[], passed, "registry.example:443", None),
        // The controls.
        (Egress::Public, &[], refused, "registry.example:443", Some("Unresolved")),
        (listed(), known, passed, "inner.example:443", Some("Address")),
        (Egress::Public, known, passed, "inner.example:443", Some("Address")),
        (Egress::Public, known, passed, "10.0.0.1:443", Some("Address")),
        (Egress::Public, known, passed, "169.254.169.254:80", Some("Address")),
        (listed(), known, passed, "evil.example:443", Some("NotListed")),
    ] {
        let config = BrokerConfig {
            operator_proxy: Some(company.settings(unknown)),
            ..config(&authority, names)
        };
        let world = World::with(config, None, egress, Limits::default());
        let (stream, reply) = connect(&world, target).await;
        assert_eq!(reply.refusal(), expected, "{target}: {}", reply.body);
        if expected.is_some() {
            assert_eq!(company.seen.take(), [""; 0]);
            let told = reply.body.contains("MIDWATCH_PROXY_RESOLVES=1");
            assert_eq!(told, expected == Some("Unresolved"), "{}", reply.body);
            continue;
        }
        let mut tls = authority
            .connector()
            .connect("registry.example".try_into().unwrap(), stream)
            .await
            .unwrap();
        tls.write_all(b"GET / HTTP/1.1\r\nhost: registry.example\r\n\r\n").await.unwrap();
        assert_eq!(read_reply(&mut tls, false).await.body, "{\"reached\":1}");
        assert_eq!(company.seen.take(), [format!("200 CONNECT {target} HTTP/1.1")]);
    }
    // Without the proxy nothing comes through.
    let before = provider.heads().len();
    let world = World::with(config(&authority, &[]), None, listed(), Limits::default());
    let (_, reply) = connect(&world, "registry.example:443").await;
    assert_eq!(reply.refusal(), Some("Unresolved"));
    assert_eq!(provider.heads().len(), before);
}

#[tokio::test]
async fn plain_http_is_asked_of_the_proxy_whole_with_our_login_and_not_the_sandboxs() {
    let authority = Authority::new();
    let company = Company::start(&[("registry.example", 1)]).await;
    let get = "GET http://registry.example/a?b HTTP/1.1\r\nhost: registry.example\r\n\
               proxy-authorization: Basic c2FuZGJveDp4\r\n\r\n";
    let world = |server: ProxyServer| {
        let proxy = OperatorProxy::new(None, Some(server), "", UnknownNames::Refused);
        let config = BrokerConfig { operator_proxy: Some(proxy), ..config(&authority, &[]) };
        World::with(config, None, registries(&["registry.example"]), Limits::default())
    };
    let reply = raw(&world(company.server("user:pass-word@")).proxy(), get.as_bytes(), false).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "company"));
    assert!(reply.head.contains("x-from: company"));
    assert_eq!(company.seen.take(), ["200 GET http://registry.example/a?b HTTP/1.1"]);
    let reply = raw(&world(company.server("user:canary@")).proxy(), get.as_bytes(), false).await;
    assert_eq!((reply.status, reply.refusal()), (502, Some("OperatorProxy")));
    assert!(!reply.head.contains("proxy-authenticate") && !reply.body.contains("canary"));
    assert_eq!(company.seen.take(), ["407 GET http://registry.example/a?b HTTP/1.1"]);
}

#[tokio::test]
async fn what_no_proxy_names_and_this_machine_go_past_it() {
    let authority = Authority::new();
    let provider = provider(&authority, "llm.example").await;
    let company = Company::start(&[("llm.example", provider.port)]).await;
    let world = |no_proxy: &str, host: &str| {
        let server = company.server("user:pass-word@");
        let proxy =
            OperatorProxy::new(Some(server.clone()), Some(server), no_proxy, UnknownNames::Refused);
        let names = [("llm.example", "127.0.0.1"), ("localhost", "127.0.0.1")];
        let config = BrokerConfig { operator_proxy: Some(proxy), ..config(&authority, &names) };
        let model = model(&format!("https://{host}:{}", provider.port));
        World::with(config, Some(model), Egress::None, Limits::default())
    };
    for (no_proxy, host, status, asked) in [
        (".example", "llm.example", 200, 0),
        ("*", "llm.example", 200, 0),
        ("llm.example:1", "llm.example", 200, 1),
        ("", "llm.example", 200, 1),
        // The certificate is another's; what counts is who was asked.
        ("", "localhost", 502, 0),
    ] {
        let reply = world(no_proxy, host).ask("POST", "/v1/messages", "{}").await;
        assert_eq!(reply.status, status, "{no_proxy} {host}: {}", reply.body);
        assert_eq!(company.seen.take().len(), asked, "{no_proxy} {host}");
    }
}

#[tokio::test]
async fn the_proxy_of_these_tests_rejects_what_is_bad() {
    let company = Company::start(&[("a.example", 1)]).await;
    for (request, status) in [
        ("nonsense\r\n\r\n".to_owned(), "400"),
        (format!("CONNECT a.example:443 HTTP/1.1\r\nproxy-authorization: {LOGIN}\r\n\r\n"), "400"),
        (
            format!(
                "CONNECT a.example:443 HTTP/1.1\r\nhost: b.example:443\r\n\
                 proxy-authorization: {LOGIN}\r\n\r\n"
            ),
            "400",
        ),
        ("CONNECT a.example:443 HTTP/1.1\r\nhost: a.example:443\r\n\r\n".into(), "407"),
        (
            format!(
                "CONNECT b.example:443 HTTP/1.1\r\nhost: b.example:443\r\n\
                 proxy-authorization: {LOGIN}\r\n\r\n"
            ),
            "502",
        ),
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", company.port)).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{request} {text}");
    }
}
