//! One request over the control socket.

use std::path::Path;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use midwatch_api::control::{Refusal, ServerInfo};
use midwatch_api::view::{ProgressLine, ResultLine};
use midwatch_web::{address_of, peer_of};
use rustix::process::Pid;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

/// The longest answer that is read whole: a patch is up to 64 MiB, and twice that as JSON.
const ANSWER_MAX: usize = 256 << 20;
/// The longest line of a stream: a result with every check's last lines.
const LINE_MAX: usize = 16 << 20;
/// Until an answer begins. The server answers at once, or after a commit to disk; a patch or a
/// worktree of a large repository takes longest.
const ANSWER_WAIT: Duration = Duration::from_mins(5);

/// Until a server says who it is, which it knows by heart.
const WHO_WAIT: Duration = Duration::from_secs(20);

/// Until a provider has answered a tiny question.
const EXCHANGE_WAIT: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server says no.
    Refused(Refusal),
    /// Nobody is there, or the connection was cut, or the server is about to end.
    Gone(String),
    /// Somebody is there, and did not answer in that time.
    Silent {
        /// Its process, where the kernel names it.
        pid: Option<Pid>,
        /// So long.
        waited: Duration,
    },
    /// What came is no answer of ours.
    Odd(String),
}

fn gone(error: impl std::fmt::Display) -> Failure {
    Failure::Gone(error.to_string())
}

async fn connect(socket: &Path) -> std::io::Result<UnixStream> {
    let (address, _folder) = address_of(socket)?;
    UnixStream::connect(address).await
}

async fn send(
    socket: &Path,
    method: &str,
    path: &str,
    body: Vec<u8>,
    waits: Duration,
) -> Result<Response<Incoming>, Failure> {
    let stream = connect(socket).await.map_err(gone)?;
    let pid = peer_of(&stream).ok().and_then(|(_, pid)| pid);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(gone)?;
    // Ends with the connection; its errors reach us through the request.
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::HOST, "midwatch")
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| Failure::Odd(error.to_string()))?;
    let response = tokio::time::timeout(waits, sender.send_request(request));
    response.await.map_err(|_| Failure::Silent { pid, waited: waits })?.map_err(gone)
}

/// Asks a server who it is.
pub(crate) async fn who(socket: &Path) -> Result<ServerInfo, Failure> {
    answered(send(socket, "GET", "/v1/server", vec![], WHO_WAIT).await?).await
}

/// Asks and reads the whole answer.
pub(crate) async fn ask<T: DeserializeOwned>(
    socket: &Path,
    method: &str,
    path: &str,
    body: Option<&impl Serialize>,
) -> Result<T, Failure> {
    let body = match body.map(serde_json::to_vec).transpose() {
        Ok(body) => body.unwrap_or_default(),
        Err(error) => return Err(Failure::Odd(error.to_string())),
    };
    answered(send(socket, method, path, body, ANSWER_WAIT).await?).await
}

async fn answered<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T, Failure> {
    let status = response.status();
    let body = whole(response).await?;
    if !status.is_success() {
        return Err(refused(status, &body));
    }
    serde_json::from_slice(&body)
        .map_err(|error| Failure::Odd(format!("the server's answer is not understood: {error}")))
}

fn refused(status: http::StatusCode, body: &[u8]) -> Failure {
    if status == http::StatusCode::SERVICE_UNAVAILABLE {
        return Failure::Gone("the server is about to end".into());
    }
    match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) => Failure::Refused(refusal),
        Err(_) => Failure::Odd(format!("the server answered {status}")),
    }
}

async fn whole(response: Response<Incoming>) -> Result<Bytes, Failure> {
    let body = http_body_util::Limited::new(response.into_body(), ANSWER_MAX);
    let collected = body.collect().await.map_err(gone)?;
    Ok(collected.to_bytes())
}

/// One exchange with a gateway, which is no server of ours: status, head and body, at most 1 MiB of
/// it.
pub(crate) async fn exchange(
    socket: &Path,
    path: &str,
    headers: &[(&str, SecretString)],
    body: &serde_json::Value,
) -> Result<(u16, http::HeaderMap, String), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let stream = connect(socket).await.map_err(|error| text(&error))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| text(&error))?;
    tokio::spawn(connection);
    let mut request = Request::builder()
        .method("POST")
        .uri(path)
        .header(http::header::HOST, "127.0.0.1")
        .header(http::header::CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        request = request.header(*name, value.expose_secret());
    }
    let request =
        request.body(Full::new(Bytes::from(body.to_string()))).map_err(|error| text(&error))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| text(&error))?;
        let status = response.status().as_u16();
        let head = response.headers().clone();
        let body = http_body_util::Limited::new(response.into_body(), 1 << 20);
        // Whatever was read before a cut says enough.
        let body = body.collect().await.map(http_body_util::Collected::to_bytes);
        Ok((status, head, String::from_utf8_lossy(&body.unwrap_or_default()).into_owned()))
    };
    let answered = tokio::time::timeout(EXCHANGE_WAIT, exchange).await;
    answered.unwrap_or_else(|_| Err("no answer in time".into()))
}

/// Reads a stream of lines to its result.
pub(crate) async fn lines(
    socket: &Path,
    path: &str,
    mut told: impl FnMut(&ProgressLine),
) -> Result<Box<ResultLine>, Failure> {
    let response = send(socket, "GET", path, vec![], ANSWER_WAIT).await?;
    let status = response.status();
    if !status.is_success() {
        return Err(refused(status, &whole(response).await?));
    }
    let mut body = response.into_body();
    let mut pending = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(gone)?.into_data() else {
            continue;
        };
        pending.extend_from_slice(&data);
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            if let Some(result) = read(&line, &mut told)? {
                return Ok(result);
            }
        }
        if pending.len() > LINE_MAX {
            return Err(Failure::Odd("the server sent a line without end".into()));
        }
    }
    Err(Failure::Gone("the stream ended before the result".into()))
}

/// Reads one line; the result is the last. Lines of a type that this build does not know are
/// passed over, as scripts are asked to do.
fn read(
    line: &[u8],
    told: &mut impl FnMut(&ProgressLine),
) -> Result<Option<Box<ResultLine>>, Failure> {
    let odd = |error| Failure::Odd(format!("a line of the server is not understood: {error}"));
    let value: serde_json::Value = serde_json::from_slice(line).map_err(odd)?;
    if value["type"] == "result" {
        return serde_json::from_value(value).map(|result| Some(Box::new(result))).map_err(odd);
    }
    if let Ok(line) = serde_json::from_value::<ProgressLine>(value) {
        told(&line);
    }
    Ok(None)
}
