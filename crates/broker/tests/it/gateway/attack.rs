//! What a hostile sandbox, or an odd provider, may try at the gateway.

use std::sync::Arc;
use std::time::Duration;

use midwatch_broker::{BrokerConfig, CredentialSource, Egress, Limits, ModelGrant, Record, Waits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::world::{LONG, Provider, SECRET, World, ask, key, model, raw, read_reply, send, whole};

async fn ok() -> Provider {
    Provider::answering(vec![whole("200 OK", "", "{}")]).await
}

fn limited(provider: &Provider, limits: Limits) -> World {
    World::with(BrokerConfig::new(key()), Some(model(&provider.url())), Egress::None, limits)
}

#[tokio::test]
async fn only_the_apis_paths_and_methods_go_out() {
    let provider = ok().await;
    let world = World::new(Some(model(&provider.url())), Egress::None);
    for (method, path, status) in [
        ("POST", "/v1/messages", 200),
        ("GET", "/v1/models", 200),
        ("GET", "/", 200),
        ("HEAD", "/", 200),
        ("GET", "/v1/messages", 405),
        ("PUT", "/v1/messages", 405),
        ("TRACE", "/v1/messages", 405),
        ("TRACK", "/v1/messages", 405),
        ("POST", "/v1/files", 404),
        ("POST", "/v1/messages/../files", 404),
        ("POST", "/v1/%6dessages", 404),
        ("GET", "/v1/organizations/api_keys", 404),
        ("POST", "http://api.anthropic.com/v1/messages", 404),
        ("CONNECT", "api.anthropic.com:443", 404),
    ] {
        let reply = world.ask(method, path, "").await;
        assert_eq!(reply.status, status, "{method} {path} {}", reply.body);
        if status == 404 || status == 405 {
            assert!(reply.body.contains("\"type\":\"error\""), "{}", reply.body);
            assert!(reply.body.contains("midwatch: "), "{}", reply.body);
        }
    }
    assert_eq!(provider.heads().len(), 2, "{:?}", provider.heads());
}

#[tokio::test]
async fn a_second_request_cannot_be_smuggled_into_the_first() {
    let provider = ok().await;
    let world = World::new(Some(model(&provider.url())), Egress::None);
    let token = &world.token;
    let hidden = "POST /v1/files HTTP/1.1\r\nhost: x\r\n\r\n";
    let start = format!("POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {token}\r\n");
    let length = hidden.len() + 5;
    let attacks = [
        format!(
            "{start}content-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
        ),
        format!(
            "{start}transfer-encoding: chunked\r\ncontent-length: {length}\r\n\r\n0\r\n\r\n{hidden}"
        ),
        format!("{start}content-length: 0\r\ncontent-length: {length}\r\n\r\n{hidden}"),
        format!("{start}transfer-encoding: xchunked\r\n\r\n{hidden}"),
        format!("{start}transfer-encoding: chunked, identity\r\n\r\n{hidden}"),
        format!("{start}x: a\r\n content-length: 0\r\n\r\n{hidden}"),
        format!("{start}content-length : 0\r\n\r\n{hidden}"),
        format!("{start}content-length: +0\r\n\r\n{hidden}"),
        format!("{start}connection: content-length\r\ncontent-length: 0\r\n\r\n{hidden}"),
        format!("{start}x: a\rb\r\n\r\n{hidden}"),
        format!("{start}x: a\0b\r\n\r\n{hidden}"),
        format!(
            "{start}anthropic-version: 1\nx-api-key: other\r\ncontent-length: 0\r\n\r\n{hidden}"
        ),
    ];
    for attack in &attacks {
        raw(&world.gateway(), attack.as_bytes(), false).await;
    }
    let heads = provider.heads();
    assert!(!heads.iter().any(|head| head.contains("/v1/files")), "{heads:?}");
    for head in &heads {
        let framings = head.matches("\r\ncontent-length:").count()
            + head.matches("\r\ntransfer-encoding:").count();
        assert!(framings <= 1, "{head}");
    }
    // The control: this provider falls for it where nobody stands before it.
    let mut straight = TcpStream::connect(("127.0.0.1", provider.port)).await.unwrap();
    straight.write_all(attacks[0].as_bytes()).await.unwrap();
    for _ in 0..2 {
        assert_eq!(read_reply(&mut straight, false).await.status, 200);
    }
    assert!(provider.heads().last().unwrap().contains("/v1/files"));
}

#[tokio::test]
async fn the_credential_never_comes_back() {
    // An echo in the head, in one piece, and cut at every place.
    let cut = |at: usize| {
        let (a, b) = SECRET.split_at(at);
        let piece = |text: &str| send(format!("{:x}\r\n{text}\r\n", text.len()));
        vec![
            send(format!(
                "HTTP/1.1 200 OK\r\nx-echo: key={SECRET}\r\ncontent-type: text/event-stream\r\n\
                 transfer-encoding: chunked\r\n\r\n"
            )),
            piece(&format!("data: {SECRET} and {a}")),
            piece(&format!("{b} and {}\n\n", &SECRET[..20])),
            send("0\r\n\r\n"),
        ]
    };
    let provider = Provider::start(Arc::new(move |n, _| match n {
        0 => vec![whole("400 Bad Request", "", &format!("bad key {SECRET}"))],
        n => cut(n),
    }))
    .await;
    let world = World::new(Some(model(&provider.url())), Egress::None);
    let stars = "*".repeat(SECRET.len());
    let reply = world.ask("POST", "/v1/messages", "{}").await;
    assert_eq!(reply.body, format!("bad key {stars}"));
    for _ in 1..SECRET.len() {
        let reply = world.ask("POST", "/v1/messages", "{}").await;
        assert!(reply.head.contains(&format!("x-echo: key={stars}")), "{}", reply.head);
        assert_eq!(reply.body, format!("data: {stars} and {stars} and {}\n\n", &SECRET[..20]));
    }
    // The control: a credential that the gateway does not know comes back as it is.
    let control = ModelGrant { credential: None, ..model(&provider.url()) };
    let world = World::new(Some(control), Egress::None);
    assert!(world.ask("POST", "/v1/messages", "{}").await.body.contains(SECRET));
}

#[tokio::test]
async fn redirects_and_compressed_answers_are_refused_in_words() {
    let elsewhere = ok().await;
    for (answer, reason) in [
        (whole("302 Found", &format!("location: {}\r\n", elsewhere.url()), ""), "Redirect"),
        (whole("307 Temporary Redirect", "location: /v1/files\r\n", ""), "Redirect"),
        (whole("200 OK", "content-encoding: gzip\r\n", "x"), "Encoded"),
    ] {
        let provider = Provider::answering(vec![answer]).await;
        let world = World::new(Some(model(&provider.url())), Egress::None);
        let reply = world.ask("POST", "/v1/messages", "{}").await;
        assert_eq!((reply.status, reply.refusal()), (502, Some(reason)), "{}", reply.body);
        assert_eq!(provider.heads().len(), 1);
    }
    assert!(elsewhere.heads().is_empty());
    // The control: who goes there is seen there.
    let world = World::new(Some(model(&elsewhere.url())), Egress::None);
    assert_eq!(world.ask("POST", "/v1/messages", "{}").await.status, 200);
    assert_eq!(elsewhere.heads().len(), 1);
}

#[tokio::test]
async fn bodies_and_heads_have_caps() {
    let provider = ok().await;
    let world = limited(&provider, Limits { request_bytes: 1000, ..Limits::default() });
    assert_eq!(world.ask("POST", "/v1/messages", &"x".repeat(1000)).await.status, 200);
    let reply = world.ask("POST", "/v1/messages", &"x".repeat(1001)).await;
    assert_eq!((reply.status, reply.refusal()), (413, Some("TooLarge")));
    let chunk = format!("3e8\r\n{}\r\n", "x".repeat(1000));
    let start = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {}\r\ntransfer-encoding: chunked\r\n\r\n",
        world.token
    );
    let reply = raw(&world.gateway(), format!("{start}{chunk}{chunk}").as_bytes(), false).await;
    assert_eq!((reply.status, reply.refusal()), (413, Some("TooLarge")), "{reply:?}");
    let huge = format!("x-big: {}\r\n", "x".repeat(100 << 10));
    let reply = ask(&world.gateway(), "GET", "/v1/models", &huge, "").await;
    assert_eq!(reply.status, 431);
    let many = "x-many: y\r\n".repeat(300);
    assert_eq!(ask(&world.gateway(), "GET", "/v1/models", &many, "").await.status, 431);
}

#[tokio::test]
async fn an_answer_over_its_cap_is_cut() {
    let provider = Provider::answering(vec![whole("200 OK", "", &"x".repeat(100_000))]).await;
    let world = limited(&provider, Limits { response_bytes: 10_000, ..Limits::default() });
    assert!(world.ask("POST", "/v1/messages", "{}").await.cut);
}

#[tokio::test]
async fn slow_clients_are_given_up() {
    let provider = ok().await;
    let short = Duration::from_millis(50);
    let waits = Waits { head: short, body: short, ..Waits::default() };
    let mut world = limited(&provider, Limits { waits, ..Limits::default() });
    let mut stream = UnixStream::connect(world.gateway()).await.unwrap();
    stream.write_all(b"POST /v1/messages HTTP/1.1\r\nhost:").await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(LONG, stream.read_to_end(&mut rest)).await.expect("an end").unwrap();
    let mut stream = UnixStream::connect(world.gateway()).await.unwrap();
    let start = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {}\r\ncontent-length: 100\r\n\r\n{{",
        world.token
    );
    stream.write_all(start.as_bytes()).await.unwrap();
    let reply = read_reply(&mut stream, false).await;
    assert_eq!((reply.status, reply.refusal()), (408, Some("Slow")), "{reply:?}");
    let Record::Refused(refusal) = world.record().await else { panic!() };
    assert_eq!(refusal.target, "/v1/messages");
}

#[tokio::test]
async fn connections_over_the_cap_wait_and_do_not_keep_others_out_for_ever() {
    let provider = ok().await;
    let waits = Waits { head: Duration::from_millis(200), ..Waits::default() };
    let world = limited(&provider, Limits { gateway_connections: 2, waits, ..Limits::default() });
    let mut idle = Vec::new();
    for _ in 0..6 {
        idle.push(UnixStream::connect(world.gateway()).await.unwrap());
    }
    // They hold all places, and lose them because they say nothing.
    assert_eq!(world.ask("POST", "/v1/messages", "{}").await.status, 200);
}

#[tokio::test]
async fn a_silent_provider_is_given_up() {
    let never = Arc::new(tokio::sync::Notify::new());
    let provider = Provider::answering(vec![crate::world::Step::Wait(never)]).await;
    let waits = Waits { upstream: Duration::from_millis(50), ..Waits::default() };
    let world = limited(&provider, Limits { waits, ..Limits::default() });
    let reply = world.ask("POST", "/v1/messages", "{}").await;
    assert_eq!((reply.status, reply.refusal()), (504, Some("UpstreamSlow")));
}

#[tokio::test]
async fn a_runs_caps_of_requests_and_tokens_hold() {
    let usage = "{\"usage\":{\"input_tokens\":90,\"output_tokens\":10}}";
    let json = "content-type: application/json\r\n";
    let provider = Provider::answering(vec![whole("200 OK", json, usage)]).await;
    for limits in [
        Limits { requests: Some(2), ..Limits::default() },
        Limits { tokens: Some(150), ..Limits::default() },
    ] {
        let mut world = limited(&provider, limits);
        for _ in 0..2 {
            assert_eq!(world.ask("POST", "/v1/messages", "{}").await.status, 200);
            world.record().await;
        }
        let reply = world.ask("POST", "/v1/messages", "{}").await;
        assert_eq!((reply.status, reply.refusal()), (429, Some("Budget")));
        assert!(reply.head.contains("x-should-retry: false"), "{}", reply.head);
        assert!(reply.body.contains("this run has used its"), "{}", reply.body);
    }
}

#[tokio::test]
async fn a_key_that_no_header_can_carry_is_a_sentence() {
    let provider = ok().await;
    let bad = ModelGrant {
        credential: Some(CredentialSource::AnthropicKey("a\r\nx-evil: 1".into())),
        ..model(&provider.url())
    };
    let world = World::new(Some(bad), Egress::None);
    let reply = world.ask("POST", "/v1/messages", "{}").await;
    assert_eq!((reply.status, reply.refusal()), (401, Some("Login")));
    assert!(provider.heads().is_empty());
}
