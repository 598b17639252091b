//! HTTP/1.1 on a blocking socket: just what model clients use, so that no runtime is needed.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// A request line or header longer than this many bytes is refused.
const LINE_LIMIT: u64 = 64 * 1024;
/// More headers than this are refused.
const HEADER_LIMIT: usize = 100;
/// A body of more bytes than this is refused: Anthropic's own limit.
const BODY_LIMIT: usize = 32 * 1024 * 1024;

/// A request as it came in.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method, as it was written.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body's bytes; empty until [`read_body`].
    pub body: Vec<u8>,
}

impl Request {
    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }
}

/// What goes back.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A status with a body of known length.
    Whole {
        /// The status.
        status: u16,
        /// Headers beside those that the body needs.
        headers: Vec<(&'static str, String)>,
        /// The body: JSON where it begins so, else plain text.
        body: String,
    },
    /// A stream of server-sent events, chunked.
    Stream {
        /// Headers beside those that the body needs.
        headers: Vec<(&'static str, String)>,
        /// Whole events, each with its empty line.
        events: Vec<String>,
        /// Drops the connection before the stream's end.
        cut: bool,
    },
    /// Never answers; keeping the connection open is the server's affair.
    Silent,
}

impl Answer {
    /// A status with a JSON body.
    pub fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::Whole { status, headers: Vec::new(), body: value.to_string() }
    }

    /// The status; 0 for a silent one.
    pub fn status(&self) -> u16 {
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
///
/// # Errors
/// The socket's, and `InvalidData` for what is no request or too large.
pub fn read_request(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let Some(mut request) = read_head(reader)? else {
        return Ok(None);
    };
    read_body(reader, &mut request)?;
    Ok(Some(request))
}

/// Reads the next request up to its body; `None` when the client closed the connection.
///
/// # Errors
/// As of [`read_request`].
pub fn read_head(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
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
        if headers.len() > HEADER_LIMIT {
            return Err(bad("too many headers"));
        }
    }
    Ok(Some(Request {
        method: method.to_owned(),
        target: target.to_owned(),
        headers,
        body: Vec::new(),
    }))
}

/// Reads the body that belongs to a head, with the word that lets a careful client send it.
///
/// # Errors
/// As of [`read_request`].
pub fn read_body(reader: &mut BufReader<TcpStream>, request: &mut Request) -> io::Result<()> {
    if request.header("expect").is_some() {
        reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    if request.header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        return read_chunks(reader, &mut request.body);
    }
    if let Some(length) = request.header("content-length") {
        let length: usize = length.parse().map_err(|_| bad("content-length"))?;
        if length > BODY_LIMIT {
            return Err(bad("body too large"));
        }
        request.body.resize(length, 0);
        reader.read_exact(&mut request.body)?;
    }
    Ok(())
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

/// Writes an answer, of `HEAD` its head only; `true` keeps the connection for another request.
///
/// # Errors
/// The socket's.
pub fn write_answer(stream: &mut TcpStream, answer: &Answer, head_only: bool) -> io::Result<bool> {
    match answer {
        Answer::Silent => Ok(false),
        Answer::Whole { status, headers, body } => {
            let kind = match body.as_bytes().first() {
                Some(b'{') => "application/json",
                Some(b'<') => "text/html",
                Some(_) | None => "text/plain",
            };
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
        503 => "Service Unavailable",
        529 => "Overloaded",
        _ => "Status",
    }
}
