//! What a request must look like before any handler sees it: small headers, and sent to us and
//! by no web page. A socket is out of a browser's reach, but not of a forwarder's that somebody
//! puts in front of it.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{HOST, HeaderMap, ORIGIN};
use http::{StatusCode, Uri};

use crate::answer::Refused;

/// Names and values of all headers together, in bytes. Ours have about a hundred.
const HEADERS_MAX: usize = 16 << 10;
/// The longest path with its query, in bytes.
const TARGET_MAX: usize = 4 << 10;
/// What clients call this server.
const HOSTS: [&str; 4] = ["midwatch", "localhost", "127.0.0.1", "[::1]"];

/// Lets a request through, or refuses it.
pub(crate) async fn check(request: Request, next: Next) -> Response {
    match fault(request.uri(), request.headers()) {
        None => next.run(request).await,
        Some((status, text)) => Refused::new(status, text).into_response(),
    }
}

fn fault(uri: &Uri, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > HEADERS_MAX {
        let text = "the headers have over 16384 bytes; send fewer";
        return Some((StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, text));
    }
    if uri.path_and_query().is_some_and(|target| target.as_str().len() > TARGET_MAX) {
        return Some((StatusCode::URI_TOO_LONG, "the path has over 4096 bytes; shorten it"));
    }
    let named = uri.authority().map(http::uri::Authority::as_str);
    if named.is_some_and(|named| !HOSTS.contains(&without_port(named))) {
        let text = "the request's address names another server; send a path";
        return Some((StatusCode::BAD_REQUEST, text));
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if headers.get_all(HOST).iter().count() != 1 || !HOSTS.contains(&without_port(host)) {
        let text = "the Host header names another server; send `Host: midwatch`";
        return Some((StatusCode::FORBIDDEN, text));
    }
    let site = headers.get("sec-fetch-site").map(http::HeaderValue::as_bytes);
    let ours = site.is_none_or(|site| matches!(site, b"none" | b"same-origin"));
    if headers.contains_key(ORIGIN) || !ours {
        let text = "requests of web pages are not taken; leave Origin away";
        return Some((StatusCode::FORBIDDEN, text));
    }
    None
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(fields: &[(&'static str, &str)]) -> Option<u16> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        fault(&Uri::from_static("/v1/server"), &headers).map(|(status, _)| status.as_u16())
    }

    #[test]
    fn only_requests_to_us_and_of_no_page_pass() {
        for host in ["midwatch", "localhost", "localhost:80", "127.0.0.1:8", "[::1]:8"] {
            assert_eq!(status(&[("host", host)]), None, "{host}");
        }
        for host in ["", "evil.example", "midwatch.evil.example", "localhost:x", "localhost:"] {
            assert_eq!(status(&[("host", host)]), Some(403), "{host}");
        }
        assert_eq!(status(&[]), Some(403));
        assert_eq!(status(&[("host", "midwatch"), ("host", "midwatch")]), Some(403));
        for (name, value) in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
        ] {
            assert_eq!(status(&[("host", "midwatch"), (name, value)]), Some(403), "{value}");
        }
        assert_eq!(status(&[("host", "midwatch"), ("x", &"y".repeat(20_000))]), Some(431));
    }

    #[test]
    fn an_address_in_the_place_of_a_path_must_be_ours_too() {
        let status = |target: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, "midwatch".parse().unwrap());
            fault(&target.parse().unwrap(), &headers).map(|(status, _)| status.as_u16())
        };
        for ours in ["/v1/server", "http://midwatch/v1/server", "http://localhost:80/v1/server"] {
            assert_eq!(status(ours), None, "{ours}");
        }
        for theirs in ["http://evil.example/v1/server", "http://u@midwatch/", "evil.example:443"] {
            assert_eq!(status(theirs), Some(400), "{theirs}");
        }
    }
}
