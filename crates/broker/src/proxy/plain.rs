//! Plain HTTP in absolute form.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use http::uri::Scheme;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::answer::Answer;
use super::read_target;
use crate::broker::Run;
use crate::grant::Limits;
use crate::hop::without_hop;
use crate::intake::Intake;
use crate::meter::Record;
use crate::operator_proxy::{self, ProxyServer};
use crate::proxy::host::Target;
use crate::refusal::{No, RefusalReason};
use crate::way::PlainWay;

/// The port of plain HTTP.
const HTTP_PORT: u16 = 80;

/// The largest read, and so the largest head of an answer, in bytes.
const READ_MAX: usize = 64 << 10;

/// The target of a request: that of its URL, which its only Host header must name too.
pub(super) fn target(request: &Request<Incoming>) -> Result<Target, No> {
    let uri = request.uri();
    let Some(authority) = uri.authority() else {
        let text = "this is a proxy: send the whole URL, or CONNECT";
        return Err((RefusalReason::Host, text.into()));
    };
    if uri.scheme() != Some(&Scheme::HTTP) {
        let text = "only http URLs are passed on; use CONNECT for https";
        return Err((RefusalReason::Host, text.into()));
    }
    let target = read_target(authority.as_str(), Some(HTTP_PORT))?;
    let mut hosts = request.headers().get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        let text = "there must be one Host header, and only one";
        return Err((RefusalReason::Framing, text.into()));
    };
    let named = host.to_str().ok().and_then(|host| Target::parse(host, Some(HTTP_PORT)).ok());
    if named.as_ref() == Some(&target) {
        Ok(target)
    } else {
        let text = "the Host header names another host than the URL";
        Err((RefusalReason::Mismatch, text.into()))
    }
}

/// Sends the request over a fresh connection, to its target or to the operator's proxy, and
/// passes the answer on.
pub(super) async fn pass(
    run: &Arc<Run>,
    target: Target,
    way: PlainWay<'_>,
    limits: &Limits,
    request: Request<Incoming>,
) -> Result<Response<Answer>, No> {
    let waits = limits.waits;
    let PlainWay { stream, proxy } = way;
    let unreachable = |error: hyper::Error| {
        (RefusalReason::Unreachable, format!("it broke off before it answered: {error}"))
    };
    let (mut sender, driver) = http1::Builder::new()
        .max_buf_size(READ_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(unreachable)?;
    // Its errors are those of the request.
    let driver = Driver(tokio::spawn(async { drop(driver.await) }));
    let (head, body) = request.into_parts();
    let (body, trouble) = Intake::new(body, limits.request_bytes, waits.body);
    let sent = body.size_hint().lower();
    let mut request = Request::new(body);
    *request.method_mut() = head.method;
    *request.headers_mut() = without_hop(&head.headers);
    request.headers_mut().insert(HOST, host_header(&target));
    match proxy {
        // A proxy takes the whole URL, as we do.
        Some(_) => *request.uri_mut() = head.uri,
        None => *request.uri_mut() = origin_form(&head.uri),
    }
    if let Some(authorization) = proxy.and_then(ProxyServer::authorization) {
        request.headers_mut().insert(PROXY_AUTHORIZATION, authorization);
    }
    let response = match timeout(waits.upstream, sender.send_request(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err(trouble.get().cloned().unwrap_or_else(|| unreachable(error))),
        Err(_) => {
            return Err((RefusalReason::UpstreamSlow, "it did not answer in time".into()));
        }
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err((RefusalReason::Unreachable, "it switched to another protocol".into()));
    }
    if proxy.is_some() && response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        return Err(operator_proxy::refused(response.status().as_u16()));
    }
    let (mut head, body) = response.into_parts();
    head.headers = without_hop(&head.headers);
    let passing = Passing { body, run: run.clone(), target, sent, received: 0, _driver: driver };
    Ok(Response::from_parts(head, passing.boxed_unsync()))
}

fn origin_form(uri: &Uri) -> Uri {
    // A path that was read as part of a URL is a URL.
    uri.path_and_query().map(|path| Uri::from(path.clone())).unwrap_or_default()
}

fn host_header(target: &Target) -> HeaderValue {
    let text = match target.port {
        HTTP_PORT => target.host.to_string(),
        _ => target.to_string(),
    };
    // A parsed host holds letters, digits, dots, colons and brackets only.
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("invalid"))
}

/// The task that moves a connection's bytes; it ends with the answer.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An answer's body, counted.
struct Passing {
    body: Incoming,
    run: Arc<Run>,
    target: Target,
    sent: u64,
    received: u64,
    _driver: Driver,
}

impl Body for Passing {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            self.received += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        self.run.record(&Record::Passed {
            target: self.target.to_string(),
            sent: self.sent,
            received: self.received,
        });
    }
}
