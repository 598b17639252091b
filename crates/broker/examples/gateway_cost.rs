//! What the gateway costs: latency added to a streamed request, and memory under many streams.
//!
//! `cargo run --release -p midwatch-broker --example gateway_cost`
//!
//! Everything runs on loopback with a provider of its own. Direct and through the gateway take
//! turns request by request, each over a kept connection, so that a busy machine slows both. The
//! figures are printed; nothing is decided by them.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement for people")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use midwatch_broker::{
    Broker, BrokerConfig, CredentialSource, Egress, Grant, Limits, ModelGrant, ServerKey, Upstream,
    WireApi,
};
use secrecy::ExposeSecret;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::Barrier;

/// Requests of each kind, after as many for warming up as are a tenth of them.
const REQUESTS: usize = 2000;

/// Streams at once.
const STREAMS: usize = 200;

/// Pieces of one streamed answer, 1 KiB each.
const PIECES: usize = 20;

/// What the growth should stay under, in MiB.
const GROWTH_MAX: f64 = 40.0;

const END: &[u8] = b"0\r\n\r\n";

#[tokio::main]
async fn main() {
    // The provider is a process of its own, so that its memory is not counted.
    if std::env::args().nth(1).as_deref() == Some("provider") {
        return provider().await;
    }
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .arg("provider")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(child.stdout.take().unwrap()),
        &mut line,
    )
    .unwrap();
    let port: u16 = line.trim().parse().unwrap();
    let folder = std::env::temp_dir().join(format!("midwatch-gateway-cost-{}", std::process::id()));
    let broker = Broker::new(BrokerConfig::new(ServerKey::new([1; 32]))).unwrap();
    let grant = Grant {
        run: "cost".into(),
        socket_dir: folder.clone(),
        model: Some(ModelGrant {
            credential: Some(CredentialSource::AnthropicKey("sk-ant-not-a-real-one".into())),
            upstream: Upstream::parse(&format!("http://127.0.0.1:{port}")).unwrap(),
            api: WireApi::Anthropic,
        }),
        egress: Egress::None,
        limits: Limits { gateway_connections: STREAMS, ..Limits::default() },
        sink: None,
    };
    let token = broker.open(grant).unwrap().token.expose_secret().to_owned();
    let socket = folder.join("gateway.sock");
    latency(port, &socket, &token).await;
    memory(&socket, &token).await;
    let totals = broker.close("cost").await.unwrap();
    println!("requests through the gateway: {}, cut: {}", totals.requests, totals.cut);
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::remove_dir_all(folder).unwrap();
}

fn request(path: &str, token: &str) -> String {
    format!(
        "POST /v1/messages?{path} HTTP/1.1\r\nhost: x\r\nx-api-key: {token}\r\n\
         content-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}"
    )
}

/// Time to the first and to the last byte of one streamed answer.
async fn once<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    request: &str,
) -> (Duration, Duration) {
    let start = Instant::now();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut buffer = vec![0; 64 << 10];
    let (mut first, mut tail) = (None, Vec::new());
    loop {
        let length = stream.read(&mut buffer).await.unwrap();
        assert!(length > 0, "the answer was cut");
        first.get_or_insert_with(|| start.elapsed());
        tail.extend_from_slice(&buffer[..length]);
        if tail.ends_with(END) {
            return (first.unwrap(), start.elapsed());
        }
        tail.drain(..tail.len().saturating_sub(END.len()));
    }
}

async fn latency(port: u16, socket: &std::path::Path, token: &str) {
    let mut direct = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    direct.set_nodelay(true).unwrap();
    let mut gateway = UnixStream::connect(socket).await.unwrap();
    let request = request("quick", token);
    let mut times = [const { Vec::new() }; 4];
    for n in 0..REQUESTS + REQUESTS / 10 {
        let (a, b) = once(&mut direct, &request).await;
        let (c, d) = once(&mut gateway, &request).await;
        if n >= REQUESTS / 10 {
            for (list, time) in times.iter_mut().zip([a, b, c, d]) {
                list.push(time.as_secs_f64() * 1e3);
            }
        }
    }
    let at = |list: &mut Vec<f64>, part: f64| {
        list.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index into some thousand numbers"
        )]
        list[((list.len() - 1) as f64 * part) as usize]
    };
    let [mut a, mut b, mut c, mut d] = times;
    println!("streamed request of {PIECES} KiB, {REQUESTS} each, in milliseconds");
    for (name, direct, gateway) in [("first byte", &mut a, &mut c), ("last byte", &mut b, &mut d)] {
        for (label, part) in [("p50", 0.5), ("p99", 0.99)] {
            let (direct, gateway) = (at(direct, part), at(gateway, part));
            let added = gateway - direct;
            println!(
                "{name:>10} {label}: direct {direct:.3}  gateway {gateway:.3}  added {added:.3}"
            );
        }
    }
}

/// Opens many streams, and looks when every one of them is in the middle of its answer.
async fn memory(socket: &std::path::Path, token: &str) {
    let before = rss();
    let middle = Arc::new(Barrier::new(STREAMS + 1));
    let go_on = Arc::new(Barrier::new(STREAMS + 1));
    let request: Arc<str> = request("held", token).into();
    let streams: Vec<_> = (0..STREAMS)
        .map(|_| {
            let (middle, go_on) = (middle.clone(), go_on.clone());
            let (request, socket) = (request.clone(), socket.to_owned());
            tokio::spawn(async move {
                let mut stream = UnixStream::connect(socket).await.unwrap();
                stream.write_all(request.as_bytes()).await.unwrap();
                // The provider sends without end: what is here was through the gateway.
                let mut buffer = vec![0; 1 << 10];
                for _ in 0..200 {
                    stream.read_exact(&mut buffer).await.unwrap();
                }
                middle.wait().await;
                go_on.wait().await;
            })
        })
        .collect();
    middle.wait().await;
    // Nobody reads now: whatever the gateway would hoard, it hoards.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let growth = rss() - before;
    println!(
        "memory: {before:.1} MiB before, +{growth:.1} MiB with {STREAMS} streams (aim: under {GROWTH_MAX} MiB)"
    );
    go_on.wait().await;
    for stream in streams {
        stream.await.unwrap();
    }
}

/// Resident memory in MiB. The clients of this measurement are in it too.
fn rss() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// Answers `quick` with a stream of some pieces, `held` with one that never ends.
async fn provider() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    let text =
        format!("data: {{\"type\":\"content_block_delta\",\"text\":\"{}\"}}\n\n", "x".repeat(960));
    let piece: Arc<str> = format!("{:x}\r\n{text}\r\n", text.len()).into();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let piece = piece.clone();
        tokio::spawn(async move {
            let mut buffer = vec![0; 64 << 10];
            loop {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n{}") {
                    match stream.read(&mut buffer).await {
                        Ok(length @ 1..) => head.extend_from_slice(&buffer[..length]),
                        _ => return,
                    }
                }
                let held = String::from_utf8_lossy(&head).contains("?held");
                let start = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
                stream.write_all(start.as_bytes()).await.unwrap();
                let mut sent = 0;
                while held || sent < PIECES {
                    if stream.write_all(piece.as_bytes()).await.is_err() {
                        return;
                    }
                    sent += 1;
                }
                stream.write_all(END).await.unwrap();
            }
        });
    }
}
