//! Our own answers, in the shape that the provider's clients read.

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Bytes;
use serde_json::json;

use super::relay::{Relay, RelayError};
use crate::grant::WireApi;
use crate::refusal::{Refusal, RefusalReason};

/// The body of any answer.
pub(super) type Answer = UnsyncBoxBody<Bytes, RelayError>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The machine-readable reason of a refusal.
const REFUSAL: HeaderName = HeaderName::from_static("x-midwatch-refusal");

/// Tells the SDKs of both providers not to ask again: the answer would be the same.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// An answer of the provider.
pub(super) fn relayed(relay: Relay) -> Answer {
    relay.boxed_unsync()
}

/// A bare 200.
pub(super) fn empty() -> Response<Answer> {
    Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync())
}

/// What `GET /` says.
pub(super) fn home() -> Response<Answer> {
    whole(StatusCode::OK, &json!({ "name": "midwatch gateway" }))
}

/// A refusal as the provider would word an error.
pub(super) fn refusal(api: WireApi, refusal: &Refusal) -> Response<Answer> {
    let status =
        StatusCode::from_u16(refusal.reason.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let message = format!("midwatch: {}", refusal.message);
    let body = match api {
        WireApi::Anthropic => json!({
            "type": "error",
            "error": { "type": anthropic_type(status), "message": message },
        }),
        WireApi::OpenAi => json!({
            "error": {
                "message": message,
                "type": openai_type(status),
                "param": null,
                "code": refusal.reason.as_str(),
            },
        }),
        WireApi::Gemini => json!({
            "error": {
                "code": status.as_u16(),
                "message": message,
                "status": gemini_status(status),
            },
        }),
    };
    let mut response = whole(status, &body);
    let headers = response.headers_mut();
    headers.insert(REFUSAL, HeaderValue::from_static(refusal.reason.as_str()));
    if !is_passing(refusal.reason) {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    response
}

/// Whether the same request may succeed later.
fn is_passing(reason: RefusalReason) -> bool {
    matches!(
        reason,
        RefusalReason::Unreachable
            | RefusalReason::UpstreamSlow
            | RefusalReason::Slow
            | RefusalReason::Unresolved
    )
}

fn whole(status: StatusCode, body: &serde_json::Value) -> Response<Answer> {
    let body = Full::new(Bytes::from(body.to_string())).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// Anthropic's names of errors, by status.
fn anthropic_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

/// Google's names of errors, by status.
fn gemini_status(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        502..=504 => "UNAVAILABLE",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    }
}

/// OpenAI's names of errors, by status.
fn openai_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "insufficient_quota",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}
