//! Reading a request of git's: HTTP/1.1, a body of known length or in chunks.

use std::io::{self, BufRead, Read};

/// A body of more bytes than this is refused.
const BODY_LIMIT: usize = 64 << 20;
/// A line of more bytes than this is refused.
const LINE_LIMIT: u64 = 64 << 10;

/// A request as it came in.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// The first value of a header; `name` in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    reader.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut line)?;
    match line.last() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned())),
        Some(_) => Err(bad("a line without an end")),
    }
}

/// None when the client closed the connection.
pub(super) fn read(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let Some(first) = line(reader)? else { return Ok(None) };
    let mut words = first.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(bad("no request line"));
    };
    let (method, target) = (method.to_owned(), target.to_owned());
    let mut request = Request { method, target, headers: Vec::new(), body: Vec::new() };
    while let Some(text) = line(reader)?.filter(|text| !text.is_empty()) {
        let (name, value) = text.split_once(':').ok_or_else(|| bad("no header"))?;
        request.headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    if request.header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        loop {
            let size = line(reader)?.ok_or_else(|| bad("no chunk"))?;
            let size = usize::from_str_radix(&size, 16).map_err(|_| bad("no size of a chunk"))?;
            more(reader, &mut request.body, size)?;
            line(reader)?;
            if size == 0 {
                return Ok(Some(request));
            }
        }
    }
    let length = request.header("content-length").unwrap_or("0");
    let length = length.parse().map_err(|_| bad("no length"))?;
    more(reader, &mut request.body, length)?;
    Ok(Some(request))
}

fn more(reader: &mut impl BufRead, body: &mut Vec<u8>, size: usize) -> io::Result<()> {
    let start = body.len();
    if start.saturating_add(size) > BODY_LIMIT {
        return Err(bad("too large"));
    }
    body.resize(start + size, 0);
    reader.read_exact(&mut body[start..])
}
