//! Half a request, and too many connections: each costs little and not for long, and nobody is cut
//! without a word. The controls are the same with wide bounds.

use std::path::Path;
use std::time::Duration;

use midwatch_api::control::Refusal;
use midwatch_web::Bounds;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader,
};
use tokio::net::UnixStream;

use crate::peer::{ask, world, world_within};

/// The longest that anything may take here.
const PATIENCE: Duration = Duration::from_mins(1);
/// Shorter than every wide bound.
const A_WHILE: Duration = Duration::from_secs(1);

/// What comes back for a part of a request, until the server cuts the connection; none when it
/// waits on.
async fn told(socket: &Path, part: &str, within: Duration) -> Option<String> {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    // It may be cut before that.
    let _ = stream.write_all(part.as_bytes()).await;
    let mut answer = Vec::new();
    let whole = tokio::time::timeout(within, stream.read_to_end(&mut answer)).await;
    whole.ok().map(|_| String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn half_a_request_is_given_up() {
    let short = Duration::from_millis(200);
    let narrow = world_within(Bounds { head: short, body: short, ..Bounds::default() });
    let wide = world_within(Bounds::default());
    let head = "POST /v1/apply HTTP/1.1\r\nhost: midwatch\r\ncontent-type: application/json\r\n";
    let body = format!("{head}content-length: 5000000\r\n\r\n{{\"objects\":[");
    for part in ["", "GET /v1/ser", head, &body] {
        let answer = told(&narrow.socket, part, PATIENCE).await;
        let answer = answer.unwrap_or_else(|| panic!("{part:?} is waited for"));
        assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
        assert_eq!(told(&wide.socket, part, A_WHILE).await, None, "the control: {part:?}");
    }
    assert_eq!(ask(&narrow.socket, "GET", "/v1/server", "").await.0, 200);
    assert_eq!(narrow.clerk.asked(), [""; 0]);
}

const WHOLE: &str = "GET /v1/server HTTP/1.1\r\nhost: midwatch\r\nconnection: close\r\n\r\n";
const FOLLOW: &str =
    "GET /v1/tasks/endless/events HTTP/1.1\r\nhost: midwatch\r\nconnection: close\r\n\r\n";

/// What somebody is told who has no place: a refusal that names the bound and the way out.
fn refused(answer: &str, bound: &str) {
    assert!(answer.starts_with("HTTP/1.1 429"), "{answer:?}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let refusal: Refusal = serde_json::from_str(body).unwrap();
    assert!(refusal.message.contains(bound) && refusal.hint.is_some(), "{refusal:?}");
    assert_eq!(refusal.exit, 1);
}

/// Somebody who has begun to follow a task that goes on and on.
async fn follower(socket: &Path) -> BufReader<UnixStream> {
    let mut stream = BufReader::new(UnixStream::connect(socket).await.unwrap());
    stream.write_all(FOLLOW.as_bytes()).await.unwrap();
    let mut line = String::new();
    while !line.contains("\"type\"") {
        line.clear();
        let read = tokio::time::timeout(PATIENCE, stream.read_line(&mut line));
        assert!(read.await.unwrap().unwrap() > 0, "the stream ended");
    }
    stream
}

async fn to_its_end(mut stream: impl AsyncRead + Unpin) -> String {
    let mut rest = String::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut rest));
    read.await.unwrap().unwrap();
    rest
}

#[tokio::test]
async fn one_peer_has_so_many_connections_and_is_told_so() {
    let world = world_within(Bounds { connections: 3, ..Bounds::default() });
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = UnixStream::connect(&world.socket).await.unwrap();
        stream.write_all(b"GET /v1/ser").await.unwrap();
        held.push(stream);
    }
    refused(&told(&world.socket, WHOLE, PATIENCE).await.unwrap(), "3 connections");
    let body = "x".repeat(1 << 20);
    let long = format!(
        "POST /v1/apply HTTP/1.1\r\nhost: midwatch\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    refused(&told(&world.socket, &long, PATIENCE).await.unwrap(), "3 connections");
    // Without the body, which is not asked for.
    let asks = long.replace("content-length", "expect: 100-continue\r\ncontent-length");
    let asks = asks.trim_end_matches('x');
    refused(&told(&world.socket, asks, PATIENCE).await.unwrap(), "3 connections");
    // The control: one that ends makes room for the next, and its end says that there is room.
    let mut ended = held.pop().unwrap();
    ended.write_all(&WHOLE.as_bytes()["GET /v1/ser".len()..]).await.unwrap();
    assert!(to_its_end(ended).await.starts_with("HTTP/1.1 200"));
    let answer = told(&world.socket, WHOLE, PATIENCE).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(world.clerk.asked(), [""; 0]);
}

/// Who only says nothing has to be waited for before somebody else is told that there is no place,
/// and no longer than for that.
#[tokio::test]
async fn who_has_no_place_and_says_nothing_keeps_no_one_waiting_for_long() {
    let short = Duration::from_millis(200);
    let world = world_within(Bounds { head: short, connections: 0, ..Bounds::default() });
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(UnixStream::connect(&world.socket).await.unwrap());
    }
    refused(&told(&world.socket, WHOLE, PATIENCE).await.unwrap(), "0 connections");
    for stream in silent {
        to_its_end(stream).await;
    }
}

#[tokio::test]
async fn followers_leave_places_for_everybody_else() {
    let world = world_within(Bounds { connections: 3, followers: 1, ..Bounds::default() });
    let follower = follower(&world.socket).await;
    refused(&told(&world.socket, FOLLOW, PATIENCE).await.unwrap(), "1 command");
    assert_eq!(world.clerk.asked().len(), 1, "the second never reached the desk");
    let cancel = r#"{"verb":"cancel","by":"me"}"#;
    assert_eq!(ask(&world.socket, "POST", "/v1/tasks/a/commands", cancel).await.0, 200);
    // The control: one that ends makes room for the next.
    world.clerk.finish();
    to_its_end(follower).await;
    self::follower(&world.socket).await;
}

#[tokio::test]
async fn a_handler_that_panics_gives_its_place_back() {
    let world = world_within(Bounds { connections: 1, ..Bounds::default() });
    let panics = WHOLE.replace("/v1/server", "/v1/tasks/panics");
    for _ in 0..3 {
        assert_eq!(told(&world.socket, &panics, PATIENCE).await.unwrap(), "", "it is cut");
        let answer = told(&world.socket, WHOLE, PATIENCE).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

/// Answers under way are finished; who follows is not waited for, and asks the next server.
#[tokio::test]
async fn at_the_end_answers_are_finished_and_followers_are_let_go() {
    let world = world();
    let follower = follower(&world.socket).await;
    let command = r#"{"verb":"cancel","by":"me"}"#;
    let head = format!(
        "POST /v1/tasks/a/commands HTTP/1.1\r\nhost: midwatch\r\nexpect: 100-continue\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        command.len()
    );
    let mut asking = UnixStream::connect(&world.socket).await.unwrap();
    asking.write_all(head.as_bytes()).await.unwrap();
    let mut begun = [0; 12];
    asking.read_exact(&mut begun).await.unwrap();
    assert_eq!(&begun, b"HTTP/1.1 100", "it is under way");
    let served = world.end();
    let rest = to_its_end(follower).await;
    assert!(!rest.contains("\"result\""), "{rest}");
    asking.write_all(command.as_bytes()).await.unwrap();
    let answer = to_its_end(asking).await;
    assert!(answer.contains("HTTP/1.1 200"), "{answer}");
    tokio::time::timeout(PATIENCE, served).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn an_address_of_another_server_is_no_path_of_ours() {
    let world = world_within(Bounds::default());
    let status = async |target: &str| {
        let rest = "HTTP/1.1\r\nhost: midwatch\r\nconnection: close\r\n\r\n";
        let whole = format!("GET {target} {rest}");
        told(&world.socket, &whole, PATIENCE).await.unwrap()[9..12].to_owned()
    };
    assert_eq!(status("http://evil.example/v1/server").await, "400");
    assert_eq!(status("http://midwatch/v1/server").await, "200", "the control");
    assert_eq!(status("/v1/server").await, "200", "the control");
}
