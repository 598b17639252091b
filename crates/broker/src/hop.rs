//! What of a message concerns one hop only.

use http::Method;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};

/// Headers that concern one connection and not the message, with those that `connection` names.
const HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
];

/// A copy without the headers that concern one connection only.
pub(crate) fn without_hop(headers: &HeaderMap) -> HeaderMap {
    let mut passed = headers.clone();
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .filter_map(|name| name.trim().parse().ok())
        // A length is the message's; naming it here would change how the body is read.
        .filter(|name| *name != CONTENT_LENGTH)
        .collect();
    for name in HOP.iter().chain(&named) {
        passed.remove(name);
    }
    passed
}

/// TRACE and its old twin answer with the request's headers.
pub(crate) fn is_trace(method: &Method) -> bool {
    *method == Method::TRACE || method.as_str().eq_ignore_ascii_case("TRACK")
}
