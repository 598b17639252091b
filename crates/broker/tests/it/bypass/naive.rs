//! The control: a proxy that understands everything and forbids nothing.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::task::JoinHandle;

use super::Resolver;
use crate::world::{header, read_head};

/// The proxy; it ends when dropped.
pub(super) struct Naive {
    socket: PathBuf,
    task: JoinHandle<()>,
    _folder: TempDir,
}

impl Naive {
    /// Starts it. Some proxies go by the Host header, some by the URL.
    pub(super) fn start(resolver: Resolver, routes_by_host: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("naive.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(client, resolver.clone(), routes_by_host));
            }
        });
        Self { socket, task, _folder: folder }
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Naive {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut client: UnixStream, resolver: Resolver, routes_by_host: bool) {
    while let Some(head) = read_head(&mut client).await {
        let Some((host, port)) = target(&head, routes_by_host) else {
            return;
        };
        let Some(mut server) = dial(&resolver, &host, port).await else {
            return;
        };
        if head.starts_with("CONNECT") {
            let _ = client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            return;
        }
        let _ = server.write_all(head.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = server.read_to_end(&mut answer).await;
        let _ = client.write_all(&answer).await;
        if !head.contains("keep-alive") {
            return;
        }
    }
}

/// Reads a target in every way that some program does.
fn target(head: &str, routes_by_host: bool) -> Option<(String, u16)> {
    let url = head.split(' ').nth(1)?;
    let url = url.strip_prefix("http://").or(url.strip_prefix("https://")).unwrap_or(url);
    let mut authority = url.split('/').next()?;
    if routes_by_host || authority.is_empty() {
        authority = head.lines().filter_map(|line| line.strip_prefix("host: ")).next_back()?;
    }
    let authority = authority.rsplit('@').next()?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (authority, 80),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = host.replace("%25", "%").replace("%00", "\0").replace("%2e", ".");
    let host = host.replace('\u{3002}', ".");
    let host = host.split('\0').next()?.trim_end_matches('.').to_lowercase();
    Some((host, port))
}

/// Looks at a name once, dials what a second look says, and all of it at once.
async fn dial(resolver: &Resolver, host: &str, port: u16) -> Option<TcpStream> {
    let _checked = resolver.resolve(host).await;
    let addresses: Vec<SocketAddr> = match resolver.resolve(host).await {
        Ok(found) => found.into_iter().map(|address| SocketAddr::new(address, port)).collect(),
        Err(_) => tokio::net::lookup_host((host, port)).await.ok()?.collect(),
    };
    let mut connected = None;
    for address in addresses {
        if let Ok(stream) = TcpStream::connect(address).await {
            connected = Some(stream);
        }
    }
    connected
}

#[test]
fn targets_are_read_in_every_way() {
    let read = |line: &str| target(&format!("{line} HTTP/1.1\r\nhost: h:81\r\n\r\n"), false);
    assert_eq!(read("CONNECT u@10.0.0.5:443"), Some(("10.0.0.5".into(), 443)));
    assert_eq!(read("GET http://a.b./x"), Some(("a.b".into(), 80)));
    assert_eq!(read("GET /x"), Some(("h".into(), 81)));
    assert_eq!(read("CONNECT [::1]:443"), Some(("::1".into(), 443)));
    assert_eq!(header("x\r\nhost: a\r\n", "host"), Some("a"));
}
