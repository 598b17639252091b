//! Serving within bounds: a peer that sends half a request, or opens connections and says nothing,
//! costs little and not for long.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Sleep;
use tower_service::Service as _;

use crate::desk::Desk;
use crate::records::Records;
use crate::routes::router;
use crate::socket::{ControlSocket, Peer};

/// The most bytes of a request's head that are kept while it comes: our own paths and headers have
/// a few hundred, and the guard refuses more than 16 KiB of headers with a sentence.
const HEAD_BYTES: usize = 64 << 10;

/// What one peer may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Until a request's head is whole, and between two requests of a connection.
    pub head: Duration,
    /// Until its body is.
    pub body: Duration,
    /// Connections of one uid at once: followers, above all. There are two uids, the owner's and
    /// root's, so neither keeps the other out.
    pub connections: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        let (head, body) = (Duration::from_secs(10), Duration::from_mins(1));
        // With room for the server's own files below the usual limit of 1,024 descriptors.
        Self { head, body, connections: 512 }
    }
}

/// Serves a desk until `end`; connections under way are finished.
pub async fn serve<D: Desk + Records>(
    mut socket: ControlSocket,
    desk: Arc<D>,
    bounds: Bounds,
    end: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = router(desk);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(bounds.head).max_buf_size(HEAD_BYTES);
    let ending = watch::Sender::new(false);
    let mut connections = JoinSet::new();
    let mut open: HashMap<Peer, usize> = HashMap::new();
    tokio::pin!(end);
    loop {
        let (stream, peer) = tokio::select! {
            accepted = socket.accept() => accepted,
            Some(over) = connections.join_next() => {
                close(&mut open, over);
                continue;
            }
            () = &mut end => break,
        };
        let count = open.entry(peer).or_default();
        if *count >= bounds.connections {
            tracing::warn!(uid = peer.uid(), "a peer has too many connections");
            continue;
        }
        *count += 1;
        let router = router.clone();
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let request = request.map(|body| Body::new(Timely::new(Body::new(body), bounds.body)));
            let mut router = router.clone();
            async move { router.call(request).await }
        });
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let mut ending = ending.subscribe();
        connections.spawn(async move {
            tokio::pin!(connection);
            let finished = tokio::select! {
                _ = connection.as_mut() => true,
                _ = ending.wait_for(|ending| *ending) => false,
            };
            if !finished {
                connection.as_mut().graceful_shutdown();
                // A connection that was cut is its peer's affair.
                let _ = connection.await;
            }
            peer
        });
    }
    drop(socket);
    ending.send_replace(true);
    while connections.join_next().await.is_some() {}
    Ok(())
}

fn close(open: &mut HashMap<Peer, usize>, over: Result<Peer, tokio::task::JoinError>) {
    match over {
        Ok(peer) => {
            if let Some(count) = open.get_mut(&peer) {
                *count = count.saturating_sub(1);
            }
        }
        // Its place stays taken: better one too few than a panic that opens a door.
        Err(error) => tracing::error!(%error, "a connection failed"),
    }
}

/// A body that has to come within a time.
struct Timely {
    body: Body,
    end: Pin<Box<Sleep>>,
}

impl Timely {
    fn new(body: Body, within: Duration) -> Self {
        Self { body, end: Box::pin(tokio::time::sleep(within)) }
    }
}

impl HttpBody for Timely {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if frame.is_pending() && self.end.as_mut().poll(context).is_ready() {
            let late = io::Error::new(io::ErrorKind::TimedOut, "the body did not come in time");
            return Poll::Ready(Some(Err(axum::Error::new(late))));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
