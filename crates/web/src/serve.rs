//! Serving within bounds: a peer that sends half a request, or opens connections and says nothing,
//! costs little and not for long.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use http::header::EXPECT;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::JoinSet;
use tokio::time::Sleep;
use tower_service::Service as _;

use crate::desk::Desk;
use crate::places::{self, Follow, Place, Places};
use crate::records::Records;
use crate::routes::router;
use crate::socket::{ControlSocket, Peer};

/// The most bytes of a request's head that are kept while it comes: our own paths and headers have
/// a few hundred, and the guard refuses more than 16 KiB of headers with a sentence.
const HEAD_BYTES: usize = 64 << 10;
/// How long somebody may take to be told that there is no place.
const REFUSAL_WAIT: Duration = Duration::from_secs(2);

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
    /// So many of them may follow a task, which takes hours; the rest is for everybody else.
    pub followers: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        let (head, body) = (Duration::from_secs(10), Duration::from_mins(1));
        // With room for the server's own files below the usual limit of 1,024 descriptors.
        Self { head, body, connections: 512, followers: 480 }
    }
}

/// Serves a desk until `end`; answers under way are finished, followers are let go.
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
    // Two at most: the owner's, and root's.
    let mut peers: HashMap<Peer, Places> = HashMap::new();
    tokio::pin!(end);
    loop {
        let (stream, peer) = tokio::select! {
            accepted = socket.accept() => accepted,
            Some(over) = connections.join_next() => {
                look_at(over);
                continue;
            }
            () = &mut end => break,
        };
        let places = peers.entry(peer).or_insert_with(|| Places::new(bounds));
        let place = tokio::select! { place = places.take() => place, () = &mut end => break };
        match place {
            Place::Served(place) => {
                let follow = places.follow(ending.subscribe());
                let service = Served { router: router.clone(), follow, within: bounds.body };
                let ending = ending.subscribe();
                connections.spawn(converse(http.clone(), stream, service, ending, place));
            }
            Place::Refused(place) => {
                tracing::warn!(uid = peer.uid(), "a peer has too many connections");
                connections.spawn(refuse(http.clone(), stream, bounds, place));
            }
        }
    }
    drop(socket);
    ending.send_replace(true);
    while let Some(over) = connections.join_next().await {
        look_at(over);
    }
    Ok(())
}

fn look_at(over: Result<(), tokio::task::JoinError>) {
    if let Err(error) = over {
        tracing::error!(%error, "a connection failed");
    }
}

/// Answers the requests of a connection.
struct Served {
    router: Router,
    follow: Follow,
    within: Duration,
}

impl Served {
    fn answer(&self, request: hyper::Request<Incoming>) -> Answering {
        let mut request = request.map(|body| Body::new(Timely::new(Body::new(body), self.within)));
        request.extensions_mut().insert(self.follow.clone());
        Box::pin(self.router.clone().call(request))
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

async fn converse(
    http: http1::Builder,
    stream: UnixStream,
    served: Served,
    mut ending: watch::Receiver<bool>,
    place: OwnedSemaphorePermit,
) {
    let service = service_fn(move |request| served.answer(request));
    let mut connection = http.serve_connection(TokioIo::new(stream), service);
    // Declared behind the connection, so that it goes first, also where a handler panics: who sees
    // the connection's end finds the place free.
    let _place = place;
    let finished = tokio::select! {
        // A connection that was cut is its peer's affair.
        _ = poll_fn(|context| connection.poll_without_shutdown(context)) => true,
        _ = ending.wait_for(|ending| *ending) => false,
    };
    if !finished {
        Pin::new(&mut connection).graceful_shutdown();
        let _ = poll_fn(|context| connection.poll_without_shutdown(context)).await;
    }
}

/// Tells somebody that there is no place, behind their request: a client that is answered before
/// it has asked takes that for a broken connection.
async fn refuse(
    mut http: http1::Builder,
    stream: UnixStream,
    bounds: Bounds,
    _place: Option<OwnedSemaphorePermit>,
) {
    let service = service_fn(async |request: hyper::Request<Incoming>| {
        // Who asks first whether to send it need not.
        if !request.headers().contains_key(EXPECT) {
            let mut body = Body::new(request.into_body());
            while let Some(Ok(_)) = poll_fn(|next| Pin::new(&mut body).poll_frame(next)).await {}
        }
        Ok::<_, Infallible>(places::none_left(&bounds))
    });
    let connection = http.keep_alive(false).serve_connection(TokioIo::new(stream), service);
    // Who is slow is cut: others wait to be told.
    let _ = tokio::time::timeout(bounds.head.min(REFUSAL_WAIT), connection).await;
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
