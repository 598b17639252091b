//! The control socket itself, for what no command of ours would say.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use serde_json::Value;

use super::House;

/// Whether bytes hold others, such as the end of a head.
pub(crate) fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

impl House {
    /// One request on the control socket; status and body.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
        self.ask_with(method, path, &head, body.as_bytes())
    }

    /// The same with header fields and a body of one's own.
    pub(crate) fn ask_with(
        &self,
        method: &str,
        path: &str,
        fields: &str,
        body: &[u8],
    ) -> (u16, Value) {
        let mut socket = UnixStream::connect(self.state().join("server.sock")).unwrap();
        let first = format!("{method} {path} HTTP/1.1\r\nhost: midwatch\r\nconnection: close\r\n");
        let head = format!("{first}{fields}\r\n");
        socket.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut said = String::new();
        socket.read_to_string(&mut said).unwrap();
        let (head, body) = said.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::String(body.to_owned())))
    }
}
