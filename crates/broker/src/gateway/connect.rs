//! How hyper's client comes to a connection: by [`Ways`], and by nothing else.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::proxy::host::Target;
use crate::refusal::{No, RefusalReason};
use crate::way::{Speech, Ways};

/// How long each address of a provider may take to answer a dial.
const DIAL_WAIT: Duration = Duration::from_secs(30);

/// Connects to the host of a URL that [`crate::Upstream`] made.
#[derive(Clone)]
pub(crate) struct Connect(pub(crate) Arc<Ways>);

/// A dial that was refused or failed; found again among the causes of the client's error.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.1)]
pub(crate) struct NotConnected(pub(super) No);

impl Service<Uri> for Connect {
    type Response = TokioIo<TcpStream>;
    type Error = NotConnected;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, NotConnected>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NotConnected>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let ways = self.0.clone();
        Box::pin(async move {
            let (speech, port) = match uri.scheme() {
                Some(scheme) if *scheme == Scheme::HTTPS => (Speech::Tls, 443),
                Some(_) | None => (Speech::Plain, 80),
            };
            let authority = uri.authority().map_or("", |authority| authority.as_str());
            let dialled = match Target::parse(authority, Some(port)) {
                Ok(target) => ways.to_provider(&target, speech, DIAL_WAIT).await,
                Err(error) => Err((RefusalReason::Host, format!("the base URL's host {error}"))),
            };
            dialled.map(TokioIo::new).map_err(NotConnected)
        })
    }
}
