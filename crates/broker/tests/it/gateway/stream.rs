//! Answers pass through as they come, and are counted.

use std::sync::Arc;

use midwatch_broker::{Egress, LimitState, Record, TokenCount};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::Notify;

use crate::world::{LONG, Provider, Step, World, model, read_head, send, whole};

const HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":9,\"cache_read_input_tokens\":100,\"output_tokens\":1}}}\n\n";
const END: &str =
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":7}}\n\n";

fn chunk(text: &str) -> Step {
    send(format!("{:x}\r\n{text}\r\n", text.len()))
}

async fn read_text(stream: &mut UnixStream, text: &str) {
    let mut got = Vec::new();
    while !String::from_utf8_lossy(&got).contains(text) {
        got.push(tokio::time::timeout(LONG, stream.read_u8()).await.unwrap().unwrap());
    }
}

async fn begin(world: &World) -> UnixStream {
    let mut stream = UnixStream::connect(world.gateway()).await.unwrap();
    let request = format!(
        "POST /v1/messages?beta=true HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 2\r\n\r\n{{}}",
        world.token
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_piece_is_passed_on_before_the_next_is_made_and_all_is_counted() {
    let go = Arc::new(Notify::new());
    let steps =
        vec![send(HEAD), chunk(START), Step::Wait(go.clone()), chunk(END), send("0\r\n\r\n")];
    let provider = Provider::answering(steps).await;
    let mut world = World::new(Some(model(&provider.url())), Egress::None);
    let mut stream = begin(&world).await;
    assert!(read_head(&mut stream).await.unwrap().starts_with("HTTP/1.1 200"));
    // The provider goes on only after this piece was seen here.
    read_text(&mut stream, "message_start").await;
    go.notify_one();
    read_text(&mut stream, "\"output_tokens\":7").await;
    let tokens = TokenCount { input: 109, output: 7, cached: 100, cache_written: 0 };
    let expected = Record::Answer {
        path: "/v1/messages".into(),
        status: 200,
        tokens,
        limit: None,
        trouble: None,
        cut: false,
    };
    assert_eq!(world.record().await, expected);
    assert_eq!(world.broker.totals("t-implement-1").unwrap().tokens, tokens);
    let head = &provider.heads()[0];
    assert!(head.starts_with("post /v1/messages?beta=true http/1.1\r\n"), "{head}");
    assert!(head.contains("x-api-key: sk-ant-real-credential-of-the-tests\r\n"), "{head}");
    assert!(!head.contains(&world.token) && !head.contains("authorization"), "{head}");
    assert!(head.contains("accept-encoding: identity\r\n"), "{head}");
}

#[tokio::test]
async fn an_answer_that_the_provider_cuts_is_cut_for_the_client() {
    let provider = Provider::answering(vec![send(HEAD), chunk(START), Step::Cut]).await;
    let mut world = World::new(Some(model(&provider.url())), Egress::None);
    let reply = world.ask("POST", "/v1/messages", "{}").await;
    assert!(reply.cut && reply.status == 200, "{reply:?}");
    let Record::Answer { cut: true, tokens, .. } = world.record().await else { panic!() };
    assert_eq!(tokens.input, 109);
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_request_upstream() {
    let never = Arc::new(Notify::new());
    let provider = Provider::answering(vec![send(HEAD), chunk(START), Step::Wait(never)]).await;
    let mut world = World::new(Some(model(&provider.url())), Egress::None);
    let mut stream = begin(&world).await;
    read_text(&mut stream, "message_start").await;
    drop(stream);
    let Record::Answer { cut: true, .. } = world.record().await else { panic!() };
}

#[tokio::test]
async fn errors_and_limits_of_the_provider_pass_and_are_counted() {
    let steps = vec![whole(
        "429 Too Many Requests",
        "anthropic-ratelimit-unified-status: rejected\r\nanthropic-ratelimit-unified-reset: 1700000000\r\n\
         retry-after: 7\r\nset-cookie: a=b\r\ncontent-type: application/json\r\n",
        "{\"type\":\"error\"}",
    )];
    let provider = Provider::answering(steps).await;
    let world = World::new(Some(model(&provider.url())), Egress::None);
    let reply = world.ask("POST", "/v1/messages", "{}").await;
    assert_eq!((reply.status, reply.body.as_str()), (429, "{\"type\":\"error\"}"));
    assert!(reply.head.contains("retry-after: 7") && !reply.head.contains("set-cookie"));
    let totals = world.broker.close("t-implement-1").await.unwrap();
    assert_eq!(totals.limit, Some(LimitState { reached: true, resets_at: Some(1_700_000_000) }));
    assert_eq!((totals.errors[&429], totals.last_status, totals.cut), (1, Some(429), 0));
}

#[tokio::test]
async fn a_base_url_may_have_a_path() {
    let provider = Provider::answering(vec![whole("200 OK", "", "{}")]).await;
    let world = World::new(Some(model(&format!("{}/prefix/x", provider.url()))), Egress::None);
    assert_eq!(world.ask("POST", "/v1/messages", "{}").await.status, 200);
    assert!(provider.heads()[0].starts_with("post /prefix/x/v1/messages "));
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_a_sentence() {
    let world = World::new(Some(model("http://127.0.0.1:1")), Egress::None);
    let reply = world.ask("POST", "/v1/messages", "{}").await;
    assert_eq!((reply.status, reply.refusal()), (502, Some("Unreachable")));
    assert!(reply.body.contains("127.0.0.1:1 cannot be reached"), "{}", reply.body);
    assert!(reply.body.contains("\"type\":\"api_error\""), "{}", reply.body);
}
