//! Who has a place: so many connections of one uid, fewer of them followers, and a few more to be
//! told that there is none left. A place is freed with whatever holds it, however that ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use hyper::body::Frame;
use midwatch_api::control::Refusal;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::answer::Refused;
use crate::serve::Bounds;

/// Connections of one uid that are told at once that there is no place. Who comes meanwhile waits:
/// each of them is over soon.
const REFUSALS: usize = 32;
/// What a client ends with that has no place: as where the server cannot be reached.
const EXIT: u8 = 1;

/// The places of one uid.
pub(crate) struct Places {
    bounds: Bounds,
    connections: Arc<Semaphore>,
    followers: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
}

/// What a connection got.
pub(crate) enum Place {
    /// A place of its own.
    Served(OwnedSemaphorePermit),
    /// Only to be told that there is none.
    Refused(Option<OwnedSemaphorePermit>),
}

impl Places {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self {
            bounds,
            connections: places(bounds.connections),
            followers: places(bounds.followers),
            refusals: places(REFUSALS),
        }
    }

    pub(crate) async fn take(&self) -> Place {
        match Arc::clone(&self.connections).try_acquire_owned() {
            Ok(place) => Place::Served(place),
            // Nobody closes them, so this waits for one.
            Err(_) => Place::Refused(Arc::clone(&self.refusals).acquire_owned().await.ok()),
        }
    }

    /// What a request needs that wants to follow.
    pub(crate) fn follow(&self, ending: watch::Receiver<bool>) -> Follow {
        let (free, most) = (Arc::clone(&self.followers), self.bounds.followers);
        Follow { free, most, ending }
    }
}

/// Says that all connections are taken.
pub(crate) fn none_left(bounds: &Bounds) -> Response {
    let most = bounds.connections;
    let what = format!("{most} connections to the server are open, which is the most it takes");
    full(what, "end some of the programs that hold them; tasks go on")
}

fn full(message: String, hint: &str) -> Response {
    let refusal = Refusal { message, hint: Some(hint.into()), exit: EXIT };
    Refused::with(StatusCode::TOO_MANY_REQUESTS, refusal).into_response()
}

/// The way to a follower's place, as a request carries it.
#[derive(Clone)]
pub(crate) struct Follow {
    free: Arc<Semaphore>,
    most: usize,
    ending: watch::Receiver<bool>,
}

/// Lets a follower through as long as there are places, since what follows stays for hours: without
/// a bound of its own nobody could cancel any more. The stream ends when the server does: a
/// follower goes on with the next one.
pub(crate) async fn follower(mut request: Request, next: Next) -> Response {
    // None where the router is used without a socket.
    let Some(follow) = request.extensions_mut().remove::<Follow>() else {
        return next.run(request).await;
    };
    let Follow { free, most, mut ending } = follow;
    let Ok(place) = free.try_acquire_owned() else {
        let what = format!("{most} commands follow tasks already, which is the most at once");
        return full(what, "end some `midwatch wait`, `logs -f` or `run`; tasks go on");
    };
    let response = next.run(request).await;
    if !response.status().is_success() {
        return response;
    }
    let ended = Box::pin(async move {
        // Whoever ends the server keeps its sender until then.
        let _ = ending.wait_for(|ending| *ending).await;
    });
    response.map(|body| Body::new(Followed { body: Some(body), ended, _place: place }))
}

/// A stream with a follower's place.
struct Followed {
    body: Option<Body>,
    ended: Pin<Box<dyn Future<Output = ()> + Send>>,
    _place: OwnedSemaphorePermit,
}

impl HttpBody for Followed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // First: who has much to tell would never end.
        if self.body.is_some() && self.ended.as_mut().poll(context).is_ready() {
            self.body = None;
        }
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }
}
