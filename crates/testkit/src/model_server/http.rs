//! HTTP/1.1 on a blocking socket: just what model clients use, so that no runtime is needed.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// A request line or header longer than this is refused.
const LINE_LIMIT: u64 = 64 * 1024;
/// A body longer than this is refused: Anthropic's own limit.
pub(crate) const BODY_LIMIT: usize = 32 * 1024 * 1024;

/// A request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// Names in lower case, in order.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }
}

/// What goes back.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// A status with a body of known length.
    Whole { status: u16, headers: Vec<(&'static str, String)>, body: String },
    /// A server-sent event stream, chunked; `cut` drops the connection before its end.
    Stream { headers: Vec<(&'static str, String)>, events: Vec<String>, cut: bool },
    /// Never answers; the connection stays open until the server stops.
    Silent,
}

impl Answer {
    pub(crate) fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::Whole { status, headers: Vec::new(), body: value.to_string() }
    }

    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Whole { status, .. } => *status,
            Self::Stream { .. } => 200,
            Self::Silent => 0,
        }
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn read_line(reader: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    reader.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        return Err(bad("line too long"));
    }
    Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()))
}

/// Reads the next request; `None` when the client closed the connection.
pub(crate) fn read_request(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let Some(first) = read_line(reader)? else {
        return Ok(None);
    };
    let mut words = first.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(bad("not a request line"));
    };
    let mut headers = Vec::new();
    while let Some(line) = read_line(reader)?.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or_else(|| bad("not a header"))?;
        headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request =
        Request { method: method.to_owned(), target: target.to_owned(), headers, body: Vec::new() };
    if request.header("expect").is_some() {
        reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    if request.header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        read_chunks(reader, &mut request.body)?;
    } else if let Some(length) = request.header("content-length") {
        let length: usize = length.parse().map_err(|_| bad("content-length"))?;
        if length > BODY_LIMIT {
            return Err(bad("body too large"));
        }
        request.body.resize(length, 0);
        reader.read_exact(&mut request.body)?;
    }
    Ok(Some(request))
}

fn read_chunks(reader: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let line = read_line(reader)?.ok_or_else(|| bad("chunk"))?;
        let size = line.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size.trim(), 16).map_err(|_| bad("chunk size"))?;
        let start = body.len();
        if start.saturating_add(size) > BODY_LIMIT {
            return Err(bad("body too large"));
        }
        body.resize(start + size, 0);
        reader.read_exact(&mut body[start..])?;
        read_line(reader)?;
        if size == 0 {
            return Ok(());
        }
    }
}

/// Writes an answer; `true` keeps the connection for another request.
pub(crate) fn write_answer(
    stream: &mut TcpStream,
    answer: &Answer,
    head_only: bool,
) -> io::Result<bool> {
    match answer {
        Answer::Silent => Ok(false),
        Answer::Whole { status, headers, body } => {
            let kind = if body.starts_with('{') { "application/json" } else { "text/plain" };
            let mut head = format!(
                "HTTP/1.1 {status} {}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n",
                reason_phrase(*status),
                body.len()
            );
            push_headers(&mut head, headers);
            stream.write_all(head.as_bytes())?;
            if !head_only {
                stream.write_all(body.as_bytes())?;
            }
            Ok(true)
        }
        Answer::Stream { headers, events, cut } => {
            let mut head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
                            cache-control: no-cache\r\ntransfer-encoding: chunked\r\n"
                .to_owned();
            push_headers(&mut head, headers);
            stream.write_all(head.as_bytes())?;
            for event in events {
                // One write and flush per event: a proxy must not need the end to pass one on.
                stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes())?;
                stream.flush()?;
            }
            if *cut {
                return Ok(false);
            }
            stream.write_all(b"0\r\n\r\n")?;
            Ok(true)
        }
    }
}

fn push_headers(head: &mut String, headers: &[(&'static str, String)]) {
    for (name, value) in headers {
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    }
    head.push_str("request-id: req_scripted\r\n\r\n");
}

fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Payload Too Large",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        529 => "Overloaded",
        _ => "Status",
    }
}
