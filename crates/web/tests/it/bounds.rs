//! Half a request, and too many connections: each costs little and not for long. The controls are
//! the same with wide bounds.

use std::path::Path;
use std::time::Duration;

use midwatch_web::Bounds;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::peer::{ask, world_within};

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

#[tokio::test]
async fn one_peer_has_so_many_connections_and_no_more() {
    let world = world_within(Bounds { connections: 3, ..Bounds::default() });
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = UnixStream::connect(&world.socket).await.unwrap();
        stream.write_all(b"GET /v1/ser").await.unwrap();
        held.push(stream);
    }
    let whole = "GET /v1/server HTTP/1.1\r\nhost: midwatch\r\nconnection: close\r\n\r\n";
    assert_eq!(told(&world.socket, whole, PATIENCE).await.unwrap(), "", "a fourth is cut");
    // The control: one that goes makes room for the next.
    held.pop();
    let taken = async {
        loop {
            let answer = told(&world.socket, whole, PATIENCE).await.unwrap();
            if !answer.is_empty() {
                return answer;
            }
        }
    };
    let answer = tokio::time::timeout(PATIENCE, taken).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
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
