//! The proxy's own answers: one line of text.

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Bytes;
use hyper::ext::ReasonPhrase;

use crate::refusal::Refusal;

/// The body of any answer.
pub(super) type Answer = UnsyncBoxBody<Bytes, hyper::Error>;

/// The machine-readable reason of a refusal.
const REFUSAL: HeaderName = HeaderName::from_static("x-midwatch-refusal");

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The 200 after which a tunnel begins.
pub(super) fn empty() -> Response<Answer> {
    Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync())
}

/// A refusal. Many clients show nothing of a refused CONNECT but its status line, so the reason
/// stands there too.
pub(super) fn refusal(refusal: &Refusal) -> Response<Answer> {
    let body = Full::new(Bytes::from(format!("{refusal}\n"))).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() =
        StatusCode::from_u16(refusal.reason.status()).unwrap_or(StatusCode::FORBIDDEN);
    let reason = refusal.reason.as_str();
    response.headers_mut().insert(CONTENT_TYPE, TEXT);
    response.headers_mut().insert(REFUSAL, HeaderValue::from_static(reason));
    if let Ok(phrase) = ReasonPhrase::try_from(format!("Refused by midwatch ({reason})")) {
        response.extensions_mut().insert(phrase);
    }
    response
}
