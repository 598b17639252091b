//! A proxy on loopback that lets tunnels through and notes their names.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use midwatch_broker::OperatorProxy;

/// The longest line of a request, in bytes, and the most of them.
const LINE_MAX: u64 = 4096;
const LINES_MAX: usize = 64;

type Names = Arc<Mutex<BTreeSet<String>>>;

/// Open until it is dropped.
pub(super) struct Tunnel {
    port: u16,
    names: Names,
    closed: Arc<AtomicBool>,
}

impl Tunnel {
    /// Dials through the operator's own proxy where there is one.
    pub(super) fn open(proxy: Option<OperatorProxy>) -> io::Result<Self> {
        let proxy = Arc::new(proxy);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let names = Names::default();
        let noted = Arc::clone(&names);
        let closed = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&closed);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(client) = client else { continue };
                let (noted, proxy) = (Arc::clone(&noted), Arc::clone(&proxy));
                std::thread::spawn(move || pass(&client, &noted, proxy.as_ref().as_ref()));
            }
        });
        Ok(Self { port, names, closed })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// `host:port` of every tunnel that was asked for.
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        // Wakes the thread, which then ends; where it cannot be woken it ends with the process.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

fn pass(client: &TcpStream, names: &Names, proxy: Option<&OperatorProxy>) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let first = line(&mut reader)?;
    let target = first.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned();
    for _ in 0..LINES_MAX {
        if line(&mut reader)?.is_empty() {
            break;
        }
    }
    names.lock().unwrap_or_else(PoisonError::into_inner).insert(target.clone());
    let through = proxy.and_then(|proxy| proxy.tunnel_request(&target));
    let server = if let Some((address, request)) = through {
        let server = TcpStream::connect(address).ok()?;
        // What it answers is the answer.
        (&server).write_all(request.as_bytes()).ok()?;
        server
    } else {
        let server = TcpStream::connect(target.as_str()).ok()?;
        (&*client).write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
        server
    };
    let (mut from, mut to) = (server.try_clone().ok()?, client.try_clone().ok()?);
    let back = std::thread::spawn(move || {
        let copied = io::copy(&mut from, &mut to);
        // Either may be closed already.
        let _ = to.shutdown(Shutdown::Write);
        copied.is_ok()
    });
    let _ = io::copy(&mut reader, &mut &server);
    let _ = server.shutdown(Shutdown::Write);
    back.join().ok().map(drop)
}

fn line(reader: &mut impl io::BufRead) -> Option<String> {
    let mut text = String::new();
    io::Read::take(reader, LINE_MAX).read_line(&mut text).ok()?;
    text.ends_with('\n').then(|| text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use midwatch_broker::{ProxyServer, UnknownNames};

    use super::*;

    #[test]
    fn an_operators_proxy_is_asked_with_its_login_and_answers_itself() {
        let company = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = company.local_addr().unwrap();
        let asked = std::thread::spawn(move || {
            let (client, _) = company.accept().unwrap();
            let mut reader = BufReader::new(client.try_clone().unwrap());
            let mut lines = Vec::new();
            while let Some(line) = line(&mut reader).filter(|line| !line.is_empty()) {
                lines.push(line);
            }
            (&client).write_all(b"HTTP/1.1 200 Yes\r\n\r\nhello").unwrap();
            lines
        });
        let server = ProxyServer::parse(&format!("http://u:p@{address}")).unwrap();
        let proxy = OperatorProxy::new(Some(server), None, "", UnknownNames::Refused);
        let tunnel = Tunnel::open(Some(proxy)).unwrap();
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, tunnel.port())).unwrap();
        (&client).write_all(b"CONNECT index.example:443 HTTP/1.1\r\n\r\n").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        io::Read::read_to_string(&mut &client, &mut answer).unwrap();
        assert_eq!(answer, "HTTP/1.1 200 Yes\r\n\r\nhello");
        let asked = asked.join().unwrap();
        assert_eq!(asked[0], "CONNECT index.example:443 HTTP/1.1");
        assert!(asked.contains(&"proxy-authorization: Basic dTpw".to_owned()), "{asked:?}");
        assert_eq!(tunnel.names(), BTreeSet::from(["index.example:443".to_owned()]));
    }
}
