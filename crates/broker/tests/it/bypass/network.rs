//! Two network namespaces and a wire.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::net::TcpStream;

use crate::world::LONG;

/// The ports that answer at every address.
const PORTS: [u16; 4] = [22, 80, 443, 8080];

/// Addresses that only the test itself uses, to see that all before it was noticed.
const FAR: &str = "203.0.113.2";
const NEAR: &str = "127.0.0.99";

/// What happened, one line each: `SEEN id address`, then `GOT id` or `END id`.
#[derive(Clone, Default)]
struct Witness(Arc<Mutex<Vec<String>>>);

/// This side.
pub(super) struct Network {
    witness: Witness,
    peer: Child,
    _wire: ChildStdin,
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

impl Network {
    /// Builds this side, starts the other and waits until it answers.
    pub(super) fn build(mut peer: Command) -> Self {
        let mut peer = peer.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(peer.stdout.take().unwrap()).lines();
        let mut await_line = |wanted: &str| {
            let line = lines.find(|line| line.as_ref().is_ok_and(|line| line.ends_with(wanted)));
            assert!(line.is_some(), "the other side did not say {wanted}");
        };
        await_line("HERE");
        ip("link set lo up");
        ip("link add v0 type veth peer name v1");
        ip(&format!("link set v1 netns {}", peer.id()));
        ip("addr add 203.0.113.1/24 dev v0");
        ip("-6 addr add 2001:db8::1/64 dev v0 nodad");
        ip("link set v0 up");
        let mut wire = peer.stdin.take().unwrap();
        writeln!(wire, "WIRED").unwrap();
        await_line("READY");
        ip("route add default via 203.0.113.2");
        ip("-6 route add default via 2001:db8::2");
        let witness = Witness::default();
        let far = witness.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                far.0.lock().unwrap().push(line);
            }
        });
        let near = witness.clone();
        listen(1_000_000, move |line| near.0.lock().unwrap().push(line));
        Self { witness, peer, _wire: wire }
    }

    /// Where the witness stands now.
    pub(super) fn mark(&self) -> usize {
        self.witness.0.lock().unwrap().len()
    }

    /// Waits until every connection made before was noticed: listeners accept in order.
    pub(super) async fn settle(&self, mark: usize) {
        for address in [FAR, NEAR] {
            for port in PORTS {
                drop(TcpStream::connect((address, port)).await.unwrap());
                let target = format!("{address}:{port}");
                self.wait(|lines| seen(&lines[mark..], &target).is_some()).await;
            }
        }
    }

    /// Whether the target had a connection.
    pub(super) fn saw(&self, mark: usize, target: &str) -> bool {
        seen(&self.witness.0.lock().unwrap()[mark..], target).is_some()
    }

    /// Whether the target had a byte. Waits for the end of its connection, if there was one.
    pub(super) async fn got(&self, mark: usize, target: &str) -> bool {
        let id = seen(&self.witness.0.lock().unwrap()[mark..], target);
        let Some(id) = id else { return false };
        let (got, end) = (format!("GOT {id}"), format!("END {id}"));
        self.wait(|lines| lines[mark..].iter().any(|line| *line == got || *line == end)).await;
        self.witness.0.lock().unwrap()[mark..].contains(&got)
    }

    async fn wait(&self, condition: impl Fn(&[String]) -> bool) {
        let start = Instant::now();
        while !condition(&self.witness.0.lock().unwrap()) {
            assert!(start.elapsed() < LONG, "the witness is silent");
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.peer.kill();
        let _ = self.peer.wait();
    }
}

/// The id of the first connection to a target, `address:port`.
fn seen(lines: &[String], target: &str) -> Option<String> {
    lines.iter().find_map(|line| {
        let (id, address) = line.strip_prefix("SEEN ")?.split_once(' ')?;
        (address == target).then(|| id.to_owned())
    })
}

/// The other side: every address is its own.
pub(super) fn peer() {
    println!("\nHERE");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    for arguments in [
        "link set lo up",
        "addr add 203.0.113.2/24 dev v1",
        "-6 addr add 2001:db8::2/64 dev v1 nodad",
        "-6 addr add fe80::53/64 dev v1 nodad",
        "link set v1 up",
        "route add local 0.0.0.0/0 dev lo table main",
        "-6 route add local ::/0 dev lo table main",
    ] {
        ip(arguments);
    }
    listen(0, |line| println!("{line}"));
    println!("READY");
    // Until this side goes away.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

/// Answers at every address and port, and tells what it sees. The answer at `/redirect` leads to
/// the metadata service.
fn listen(first_id: u32, tell: impl Fn(String) + Clone + Send + 'static) {
    let ids = Arc::new(AtomicU32::new(first_id));
    for port in PORTS {
        let listener = TcpListener::bind(format!("[::]:{port}")).unwrap();
        let (ids, tell) = (ids.clone(), tell.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let id = ids.fetch_add(1, Ordering::Relaxed);
                let local = stream.local_addr().unwrap();
                let local = SocketAddr::new(local.ip().to_canonical(), local.port());
                tell(format!("SEEN {id} {local}"));
                let tell = tell.clone();
                std::thread::spawn(move || {
                    let mut bytes = [0; 4096];
                    let length = stream.read(&mut bytes).unwrap_or(0);
                    tell(format!("{} {id}", if length > 0 { "GOT" } else { "END" }));
                    let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                    let answer = if text.contains("/redirect") {
                        "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\n"
                    } else {
                        "HTTP/1.1 200 OK\r\n"
                    };
                    let end = "connection: close\r\ncontent-length: 8\r\n\r\nREACHED\n";
                    let _ = stream.write_all(format!("{answer}{end}").as_bytes());
                });
            }
        });
    }
}
