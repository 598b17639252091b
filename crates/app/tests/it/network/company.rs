//! The company's proxy: tunnels for whoever shows its login, to names that it alone knows. It
//! remembers every request with what became of it.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A line of a request's head is no longer than this, in bytes.
const LINE_MAX: u64 = 8192;

pub(super) struct Company {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

struct Rules {
    /// The only `proxy-authorization` that counts.
    login: String,
    /// Names, and ports of this machine.
    names: BTreeMap<String, u16>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Company {
    pub(super) fn start(login: &str, names: &[(&str, u16)]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let rules = Arc::new(Rules {
            login: format!("Basic {}", STANDARD.encode(login)),
            names: names.iter().map(|(name, port)| ((*name).to_owned(), *port)).collect(),
            seen: Arc::clone(&seen),
        });
        // Both end with the test's process.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let rules = Arc::clone(&rules);
                std::thread::spawn(move || serve(&client, &rules));
            }
        });
        Self { port, seen }
    }

    /// Its address, with what stands before the host.
    pub(super) fn url(&self, login: &str) -> String {
        format!("http://{login}127.0.0.1:{}", self.port)
    }

    /// What it was asked since the last time.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
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
    let port = target.strip_suffix(":443").and_then(|name| rules.names.get(name));
    let Some(port) = port else { return answer(client, rules, "502", &first) };
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).ok()?;
    rules.seen.lock().unwrap().push(format!("200 {first}"));
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
    rules.seen.lock().unwrap().push(format!("{status} {first}"));
    client.write_all(format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n").as_bytes()).ok()
}

fn line(reader: &mut impl io::BufRead) -> Option<String> {
    let mut text = String::new();
    reader.take(LINE_MAX).read_line(&mut text).ok()?;
    Some(text.strip_suffix("\r\n")?.to_owned())
}
