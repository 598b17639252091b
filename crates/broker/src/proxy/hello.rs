//! The first message of TLS, read only far enough to see whom it asks for.

use tokio::io::{AsyncRead, AsyncReadExt};

/// A TLS record of a handshake.
const HANDSHAKE: u8 = 22;

/// The largest payload of a record, by RFC 8446.
const RECORD_MAX: usize = 1 << 14;

/// The first message of a client.
const CLIENT_HELLO: u8 = 1;

/// The largest greeting that is read, in bytes. Real ones are under 4 KiB, with post-quantum
/// keys too.
const HELLO_MAX: usize = 1 << 14;

/// The extension that names the server, and its only kind of name.
const SERVER_NAME: u16 = 0;
const HOST_NAME: u8 = 0;

/// A greeting: the bytes as they came, to be passed on, and the name in them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) bytes: Vec<u8>,
    pub(super) server_name: Option<String>,
}

/// Not TLS, or not as we read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoHello {
    #[error("the tunnel ended before its TLS greeting")]
    Ended,
    #[error("a tunnel must begin with TLS")]
    NotTls,
    #[error("the TLS greeting is over {HELLO_MAX} bytes")]
    TooLong,
    #[error("the TLS greeting is malformed")]
    Malformed,
}

/// Reads the records that hold the greeting, and not a byte more.
pub(super) async fn read<R: AsyncRead + Unpin>(stream: &mut R) -> Result<Hello, NoHello> {
    let mut bytes = Vec::new();
    let mut message: Vec<u8> = Vec::new();
    loop {
        let mut head = [0; 5];
        // One byte first: what is no TLS may be shorter than a record's head.
        stream.read_exact(&mut head[..1]).await.map_err(|_| NoHello::Ended)?;
        if head[0] != HANDSHAKE {
            return Err(NoHello::NotTls);
        }
        stream.read_exact(&mut head[1..]).await.map_err(|_| NoHello::Ended)?;
        let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
        if head[1] != 3 || length == 0 || length > RECORD_MAX {
            return Err(NoHello::NotTls);
        }
        if message.len() + length > HELLO_MAX {
            return Err(NoHello::TooLong);
        }
        let start = message.len();
        message.resize(start + length, 0);
        stream.read_exact(&mut message[start..]).await.map_err(|_| NoHello::Ended)?;
        bytes.extend_from_slice(&head);
        bytes.extend_from_slice(&message[start..]);
        if message[0] != CLIENT_HELLO {
            return Err(NoHello::NotTls);
        }
        if let [_, a, b, c, body @ ..] = message.as_slice() {
            let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            if length + 4 > HELLO_MAX {
                return Err(NoHello::TooLong);
            }
            if let Some(body) = body.get(..length) {
                let server_name = server_name(body).ok_or(NoHello::Malformed)?;
                return Ok(Hello { bytes, server_name });
            }
        }
    }
}

/// The name in a greeting's body; the outer `None` is a body that is malformed or names two.
#[expect(clippy::option_option, reason = "malformed and nameless are told apart by one caller")]
fn server_name(body: &[u8]) -> Option<Option<String>> {
    let mut rest = Cursor(body);
    rest.take(2 + 32)?;
    rest.vector8()?;
    rest.vector16()?;
    rest.vector8()?;
    if rest.0.is_empty() {
        // Without extensions, as very old clients send it.
        return Some(None);
    }
    let mut extensions = rest.vector16()?;
    if !rest.0.is_empty() {
        return None;
    }
    let mut name = None;
    while !extensions.0.is_empty() {
        let kind = extensions.number16()?;
        let mut value = extensions.vector16()?;
        if kind != SERVER_NAME {
            continue;
        }
        let mut list = value.vector16()?;
        let one = list.take(1)? == [HOST_NAME];
        let text = String::from_utf8(list.vector16()?.0.to_vec()).ok()?;
        let ends = list.0.is_empty() && value.0.is_empty();
        if !one || !ends || name.replace(text).is_some() {
            return None;
        }
    }
    Some(name)
}

/// Reads TLS's vectors.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number16(&mut self) -> Option<u16> {
        self.take(2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }

    fn vector8(&mut self) -> Option<Cursor<'a>> {
        let length = usize::from(self.take(1)?[0]);
        self.take(length).map(Cursor)
    }

    fn vector16(&mut self) -> Option<Cursor<'a>> {
        let length = usize::from(self.number16()?);
        self.take(length).map(Cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    /// A greeting as a real client writes it.
    fn real(name: &'static str) -> Vec<u8> {
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let name = rustls::pki_types::ServerName::try_from(name).unwrap();
        let mut client = rustls::ClientConnection::new(config.into(), name).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    /// The same message in records of `size` bytes.
    fn cut(hello: &[u8], size: usize) -> Vec<u8> {
        let records = hello[5..].chunks(size);
        records
            .flat_map(|piece| {
                let length = u16::try_from(piece.len()).unwrap().to_be_bytes();
                [&[22, 3, 1], &length[..], piece].concat()
            })
            .collect()
    }

    fn name(bytes: &[u8]) -> Result<Option<String>, NoHello> {
        block_on(read(&mut &*bytes)).map(|hello| {
            assert_eq!(hello.bytes, bytes[..hello.bytes.len()]);
            hello.server_name
        })
    }

    #[test]
    fn a_real_greeting_has_its_name_however_it_is_cut() {
        let hello = real("registry.example.org");
        let expected = Ok(Some("registry.example.org".to_owned()));
        assert_eq!(name(&hello), expected);
        for size in [1, 2, 3, 5, 50, 1000] {
            assert_eq!(name(&cut(&hello, size)), expected, "{size}");
        }
        assert_eq!(name(&real("192.0.2.1")), Ok(None));
        let mut early_data = hello.clone();
        early_data.extend_from_slice(b"\x17\x03\x03\x00\x01x");
        assert_eq!(name(&early_data), expected);
    }

    #[test]
    fn what_is_no_greeting_is_refused_in_bounded_memory() {
        let hello = real("a.example");
        assert_eq!(name(b"GET / HTTP/1.1\r\n\r\n"), Err(NoHello::NotTls));
        assert_eq!(name(b"\x80\x2e\x01\x00\x02"), Err(NoHello::NotTls));
        assert_eq!(name(b""), Err(NoHello::Ended));
        assert_eq!(name(&hello[..hello.len() - 1]), Err(NoHello::Ended));
        assert_eq!(name(&[22, 3, 1, 0xff, 0xff]), Err(NoHello::NotTls));
        assert_eq!(name(&[22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff]), Err(NoHello::TooLong));
        assert_eq!(name(&[22, 3, 1, 0, 4, 2, 0, 0, 0]), Err(NoHello::NotTls));
        assert_eq!(name(&[22, 3, 1, 0, 4, 1, 0, 0, 0]), Err(NoHello::Malformed));
        // Every byte of it changed: never a panic, never a read past the end.
        for at in 0..hello.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut odd = hello.clone();
                odd[at] = value;
                let _ = name(&odd);
            }
        }
    }

    #[test]
    fn two_names_are_none() {
        let entry = |host: &[u8]| {
            let mut list = vec![0, 0, u8::try_from(host.len()).unwrap()];
            list.extend_from_slice(host);
            list
        };
        let extension = |list: &[u8]| {
            let mut e = vec![0, 0, 0, u8::try_from(list.len() + 2).unwrap(), 0];
            e.push(u8::try_from(list.len()).unwrap());
            e.extend_from_slice(list);
            e
        };
        let body = |extensions: &[u8]| {
            let mut body = vec![3, 3];
            body.extend_from_slice(&[0; 32]);
            body.extend_from_slice(&[0, 0, 2, 0x13, 1, 1, 0, 0]);
            body.push(u8::try_from(extensions.len()).unwrap());
            body.extend_from_slice(extensions);
            body
        };
        let one = extension(&entry(b"a.example"));
        assert_eq!(server_name(&body(&one)), Some(Some("a.example".into())));
        assert_eq!(server_name(&body(&[one.clone(), one.clone()].concat())), None);
        let both = [entry(b"a.example"), entry(b"b.example")].concat();
        assert_eq!(server_name(&body(&extension(&both))), None);
        assert_eq!(server_name(&body(&extension(&[]))), None);
    }
}
