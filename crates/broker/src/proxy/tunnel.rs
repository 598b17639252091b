//! CONNECT: the greeting is read, then bytes are passed on blindly.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::hello::{self, Hello, NoHello};
use super::host::{Host, Target};
use crate::broker::Run;
use crate::grant::Waits;
use crate::meter::Record;
use crate::refusal::{Door, No, Refusal, RefusalReason};

/// The buffer of each direction, in bytes: one TLS record.
const BUFFER: usize = 16 << 10;

/// TLS's fatal alert "access denied": what a client sees of a refusal inside a tunnel.
const ACCESS_DENIED: [u8; 7] = [21, 3, 3, 0, 2, 2, 49];

/// A tunnel that was agreed to. The server is dialled, and has not heard a byte.
pub(super) struct Tunnel {
    pub(super) target: Target,
    pub(super) client: OnUpgrade,
    pub(super) server: TcpStream,
    pub(super) waits: Waits,
}

impl Tunnel {
    /// Passes bytes until either side ends, or nothing has moved for too long.
    pub(super) async fn run(self, run: &Run) {
        let Self { target, client, server, waits } = self;
        // A client that left before its tunnel began has nothing to be told.
        let Ok(client) = client.await else { return };
        let mut client = TokioIo::new(client);
        let greeting = match timeout(waits.hello, hello::read(&mut client)).await {
            Ok(read) => check(&target, read),
            Err(_) => Err((RefusalReason::Slow, "the TLS greeting did not come in time".into())),
        };
        let greeting = match greeting {
            Ok(greeting) => greeting,
            Err((reason, message)) => {
                let text = target.to_string();
                run.refuse(Refusal::new(Door::Proxy, reason, &text, message));
                // It is closed either way.
                let _ = client.write_all(&ACCESS_DENIED).await;
                let _ = client.shutdown().await;
                return;
            }
        };
        let passed = Passed { run, target, sent: AtomicU64::new(0), received: AtomicU64::new(0) };
        splice(client, server, &greeting, &passed, waits.tunnel).await;
    }
}

/// The name in the greeting must be the tunnel's own; an address has none.
fn check(target: &Target, read: Result<Hello, NoHello>) -> Result<Vec<u8>, No> {
    let hello = read.map_err(|no| (RefusalReason::NotTls, no.to_string()))?;
    let same = match (&target.host, &hello.server_name) {
        (Host::Name(_), Some(name)) => Host::parse(name).as_ref() == Ok(&target.host),
        (Host::Address(_), None) => true,
        (Host::Name(_), None) | (Host::Address(_), Some(_)) => false,
    };
    if same {
        Ok(hello.bytes)
    } else {
        let text = "the TLS greeting names another host than CONNECT, or none";
        Err((RefusalReason::Mismatch, text.into()))
    }
}

/// Writes the record of a tunnel when it ends, however it ends.
struct Passed<'a> {
    run: &'a Run,
    target: Target,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Passed<'_> {
    fn total(&self) -> u64 {
        self.sent.load(Ordering::Relaxed) + self.received.load(Ordering::Relaxed)
    }
}

impl Drop for Passed<'_> {
    fn drop(&mut self) {
        self.run.record(&Record::Passed {
            target: self.target.to_string(),
            sent: *self.sent.get_mut(),
            received: *self.received.get_mut(),
        });
    }
}

async fn splice<C: AsyncRead + AsyncWrite>(
    client: C,
    mut server: TcpStream,
    greeting: &[u8],
    passed: &Passed<'_>,
    idle: Duration,
) {
    let (from_client, to_client) = tokio::io::split(client);
    let (from_server, mut to_server) = server.split();
    if to_server.write_all(greeting).await.is_err() {
        return;
    }
    passed.sent.fetch_add(greeting.len() as u64, Ordering::Relaxed);
    let both = async {
        tokio::try_join!(
            pump(from_client, to_server, &passed.sent),
            pump(from_server, to_client, &passed.received),
        )
    };
    // A broken pipe on either side is the ordinary end of a tunnel.
    tokio::select! {
        _ = both => {}
        () = stillness(passed, idle) => {}
    }
}

async fn pump<R, W>(mut from: R, mut to: W, count: &AtomicU64) -> std::io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..length]).await?;
        count.fetch_add(length as u64, Ordering::Relaxed);
    }
}

/// Ends when nothing has moved for between one and two times `idle`.
async fn stillness(passed: &Passed<'_>, idle: Duration) {
    let mut before = passed.total();
    loop {
        sleep(idle).await;
        let now = passed.total();
        if now == before {
            return;
        }
        before = now;
    }
}
