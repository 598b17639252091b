//! A proxy on loopback that lets tunnels through and notes their names.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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
    pub(super) fn open() -> io::Result<Self> {
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
                let noted = Arc::clone(&noted);
                std::thread::spawn(move || pass(&client, &noted));
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

fn pass(client: &TcpStream, names: &Names) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let first = line(&mut reader)?;
    let target = first.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned();
    for _ in 0..LINES_MAX {
        if line(&mut reader)?.is_empty() {
            break;
        }
    }
    names.lock().unwrap_or_else(PoisonError::into_inner).insert(target.clone());
    let server = TcpStream::connect(target.as_str()).ok()?;
    (&*client).write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
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
