//! What passes of a message's head, in either direction.

use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, EXPECT, FORWARDED, HOST, HeaderMap, HeaderName,
    HeaderValue, SET_COOKIE, VIA,
};

use super::redact::Redactor;
use crate::credential::CREDENTIAL_HEADERS;
use crate::hop::without_hop;
use crate::meter::LimitState;

/// Headers of a request that are ours to set, or tell of proxies before us.
const OURS: [HeaderName; 7] = [
    HOST,
    EXPECT,
    ACCEPT_ENCODING,
    CONTENT_LENGTH,
    FORWARDED,
    VIA,
    HeaderName::from_static("x-real-ip"),
];

/// Whether a header can make somebody upstream see another path, method, host or sender than
/// those that were checked here. What frameworks and proxies honour: Rack, Symfony, ASP.NET, IIS,
/// nginx.
fn overrides(name: &HeaderName) -> bool {
    let name = name.as_str();
    let begins = ["x-forwarded", "x-original-", "x-rewrite-", "x-override-", "x-envoy-", "x-host"];
    begins.iter().any(|begin| name.starts_with(begin))
        || name.contains("method-override")
        || name == "x-http-method"
}

/// The headers that hold a bare key.
const KEYS: [HeaderName; 2] =
    [HeaderName::from_static("x-api-key"), HeaderName::from_static("x-goog-api-key")];

/// Every token that a request shows, in whatever header a credential is read from.
pub(super) fn shown_tokens(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let keys = KEYS.into_iter().flat_map(|name| headers.get_all(name).iter());
    let keys = keys.map(HeaderValue::as_bytes);
    let bearers = headers.get_all(AUTHORIZATION).iter().map(|value| {
        let value = value.as_bytes();
        match value.split_at_checked(7) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token,
            _ => value,
        }
    });
    keys.chain(bearers)
}

/// The head of a request without what is the connection's, ours, or a credential.
pub(super) fn for_upstream(headers: &HeaderMap) -> HeaderMap {
    let mut passed = without_hop(headers);
    for name in OURS.iter().chain(&CREDENTIAL_HEADERS) {
        passed.remove(name);
    }
    let overriding: Vec<HeaderName> =
        passed.keys().filter(|name| overrides(name)).cloned().collect();
    for name in overriding {
        passed.remove(name);
    }
    // Compressed answers could neither be counted nor searched for the credential.
    passed.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    passed
}

/// The head of an answer without what is the connection's, cookies, and the credential.
pub(super) fn for_sandbox(headers: &HeaderMap, redactor: Option<&Redactor>) -> HeaderMap {
    let mut passed = without_hop(headers);
    passed.remove(SET_COOKIE);
    passed.remove(HeaderName::from_static("alt-svc"));
    if let Some(redactor) = redactor {
        for value in passed.values_mut() {
            if let Some(clean) = redactor.clean_copy(value.as_bytes()) {
                *value = HeaderValue::from_bytes(&clean)
                    .unwrap_or_else(|_| HeaderValue::from_static("redacted"));
            }
        }
    }
    passed
}

/// What an answer's head says about the subscription's limit (Anthropic's headers, as the CLI
/// reads them).
pub(super) fn limit(headers: &HeaderMap) -> Option<LimitState> {
    let text = |name: &'static str| headers.get(name).and_then(|value| value.to_str().ok());
    let status = text("anthropic-ratelimit-unified-status")?;
    let resets_at = text("anthropic-ratelimit-unified-reset").and_then(|at| at.parse().ok());
    Some(LimitState { reached: status == "rejected", resets_at })
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn every_shown_token_is_seen() {
        let mut headers =
            map(&[("x-api-key", "a"), ("x-goog-api-key", "g"), ("authorization", "bEaReR b")]);
        headers.append(AUTHORIZATION, HeaderValue::from_static("Basic c"));
        let shown: Vec<_> = shown_tokens(&headers).collect();
        assert_eq!(shown, [&b"a"[..], b"g", b"b", b"Basic c"]);
    }

    #[test]
    fn requests_lose_credentials_cookies_and_connection_headers() {
        let headers = map(&[
            ("authorization", "x"),
            ("x-api-key", "x"),
            ("cookie", "x"),
            ("proxy-authorization", "x"),
            ("chatgpt-account-id", "x"),
            ("connection", "close, x-hop, content-length"),
            ("x-hop", "x"),
            ("transfer-encoding", "chunked"),
            ("te", "x"),
            ("host", "x"),
            ("expect", "100-continue"),
            ("x-forwarded-for", "x"),
            ("x-forwarded-prefix", "x"),
            ("x-original-url", "/v1/files"),
            ("x-rewrite-url", "/admin"),
            ("x-http-method-override", "DELETE"),
            ("x-method-override", "DELETE"),
            ("x-http-method", "DELETE"),
            ("accept-encoding", "zstd"),
            ("anthropic-version", "1"),
        ]);
        let passed = for_upstream(&headers);
        let names: Vec<_> = passed.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(names.contains(&("anthropic-version", "1")));
        assert!(names.contains(&("accept-encoding", "identity")));
    }

    #[test]
    fn answers_lose_cookies_and_the_credential() {
        let redactor = Redactor::new(&SecretString::from("sk-secret-value"));
        let headers =
            map(&[("set-cookie", "a"), ("x-echo", "Bearer sk-secret-value!"), ("x-ok", "b")]);
        let passed = for_sandbox(&headers, Some(&redactor));
        assert_eq!(passed["x-echo"], "Bearer ***************!");
        assert_eq!(
            (passed.get(SET_COOKIE), &passed["x-ok"]),
            (None, &HeaderValue::from_static("b"))
        );
    }

    #[test]
    fn limits_are_read() {
        let headers = map(&[
            ("anthropic-ratelimit-unified-status", "rejected"),
            ("anthropic-ratelimit-unified-reset", "1700000000"),
        ]);
        let expected = LimitState { reached: true, resets_at: Some(1_700_000_000) };
        assert_eq!(limit(&headers), Some(expected));
        assert_eq!(limit(&HeaderMap::new()), None);
    }
}
