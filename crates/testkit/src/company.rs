//! A company's proxy: tunnels for whoever shows its login, to places that it alone knows. It
//! remembers every request with what became of it.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A line of a request's head is no longer than this, in bytes.
const LINE_MAX: u64 = 8192;

/// The running proxy. It ends with the test's process.
pub struct Company {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

struct Rules {
    /// The only `proxy-authorization` that counts.
    login: String,
    /// `host:port` as it is asked for, and ports of this machine.
    places: BTreeMap<String, u16>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Company {
    /// Lets in who shows this login, `user:password`, to these places: `host:port`, and the port
    /// of this machine that it leads to.
    ///
    /// # Errors
    /// The socket's.
    pub fn start(login: &str, places: &[(&str, u16)]) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let rules = Arc::new(Rules {
            login: format!("Basic {}", STANDARD.encode(login)),
            places: places.iter().map(|(place, port)| ((*place).to_owned(), *port)).collect(),
            seen: Arc::clone(&seen),
        });
        // Both end with the test's process.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let rules = Arc::clone(&rules);
                std::thread::spawn(move || serve(&client, &rules));
            }
        });
        Ok(Self { port, seen })
    }

    /// Its address, with what stands before the host.
    pub fn url(&self, login: &str) -> String {
        format!("http://{login}127.0.0.1:{}", self.port)
    }

    /// What it was asked since the last time, each with the status of its answer.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *held(&self.seen))
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// None when either side went away.
fn serve(client: &TcpStream, rules: &Rules) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let first = line(&mut reader)?;
    let mut headers = Vec::new();
    loop {
        let line = line(&mut reader)?;
        match line.split_once(": ") {
            Some((name, value)) => headers.push((name.to_lowercase(), value.to_owned())),
            None if line.is_empty() => break,
            None => return answer(client, rules, "400", &first),
        }
    }
    let values = |wanted: &str| -> Vec<&str> {
        headers.iter().filter(|(name, _)| name == wanted).map(|(_, v)| v.as_str()).collect()
    };
    let words: Vec<&str> = first.split(' ').collect();
    let ["CONNECT", target, "HTTP/1.1"] = words[..] else {
        return answer(client, rules, "400", &first);
    };
    if values("host") != [target] {
        return answer(client, rules, "400", &first);
    }
    if values("proxy-authorization") != [rules.login.as_str()] {
        return answer(client, rules, "407", &first);
    }
    let Some(port) = rules.places.get(target) else { return answer(client, rules, "502", &first) };
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).ok()?;
    held(&rules.seen).push(format!("200 {first}"));
    let mut to = client.try_clone().ok()?;
    to.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").ok()?;
    let mut from = server.try_clone().ok()?;
    let back = std::thread::spawn(move || {
        // Either side may end it.
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let _ = io::copy(&mut reader, &mut &server);
    let _ = server.shutdown(Shutdown::Write);
    back.join().ok()
}

fn answer(mut client: &TcpStream, rules: &Rules, status: &str, first: &str) -> Option<()> {
    held(&rules.seen).push(format!("{status} {first}"));
    client.write_all(format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n").as_bytes()).ok()
}

fn line(reader: &mut impl io::BufRead) -> Option<String> {
    let mut text = String::new();
    reader.take(LINE_MAX).read_line(&mut text).ok()?;
    Some(text.strip_suffix("\r\n")?.to_owned())
}
