//! Serves one socket of a run: connections, their number, their end.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// The largest head of a request, in bytes: the buffer of a connection, in either direction. The
/// CLIs' heads are under 4 KiB; common servers take 8 to 16.
const HEAD_MAX: usize = 32 << 10;

/// The most header lines of a request.
const HEADERS_MAX: usize = 128;

/// How long to wait when the system has no descriptor left for a new connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How each connection speaks HTTP: bounded heads, a deadline for each, no guessing.
pub(crate) fn http(head_wait: Duration) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(head_wait)
        .max_headers(HEADERS_MAX)
        .max_header_size(HEAD_MAX)
        .max_buf_size(HEAD_MAX)
        // A date tells what time it is at the provider; one of ours would tell nothing.
        .auto_date_header(false)
        .half_close(false);
    http
}

/// Takes connections until the run closes, then ends those that are left.
///
/// At most `limit` are served at once. More are not refused: they wait in the socket's queue.
pub(crate) async fn serve<F, Fut>(
    listener: UnixListener,
    limit: usize,
    mut closed: watch::Receiver<bool>,
    connection: F,
) where
    F: Fn(TokioIo<UnixStream>) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(limit.max(1)));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            // The semaphore is never closed, so an error cannot be; it would end nothing.
            let permit = permits.clone().acquire_owned().await.ok();
            (permit, listener.accept().await)
        };
        tokio::select! {
            () = async { drop(closed.wait_for(|closed| *closed).await) } => break,
            (permit, accepted) = accepted => match accepted {
                Ok((stream, _)) => {
                    let served = connection(TokioIo::new(stream));
                    connections.spawn(async move {
                        served.await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a broker socket cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    connections.shutdown().await;
}
