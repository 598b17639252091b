//! What went wrong, from the error that opencode passes on: the provider's status first, the
//! words last.

use midwatch_core::reason::FailReason;
use serde_json::Value;

use crate::provider;
use crate::{clean, json};

/// An `error` event.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) reason: FailReason,
    pub(super) text: String,
    /// When a usage limit resets, in seconds since 1970.
    pub(super) resets_at: Option<i64>,
}

pub(super) fn read(error: &Value) -> Failure {
    let data = &error["data"];
    let name = error["name"].as_str().unwrap_or_default();
    let message = data["message"].as_str().unwrap_or(name);
    let body = data["responseBody"].as_str().unwrap_or_default();
    let reason = match (name, data["statusCode"].as_u64()) {
        ("ProviderAuthError", _) => FailReason::Authentication,
        ("MessageOutputLengthError" | "ContextOverflowError", _) => FailReason::TokenLimit,
        ("ProviderModelNotFoundError", _) => FailReason::ModelNotFound,
        (_, Some(status)) => provider::refusal(status, &format!("{message} {body}")),
        // Nobody answered, or the answer broke off.
        ("APIError", None) => provider::of_words(message).unwrap_or(FailReason::ModelUnavailable),
        (_, None) => of_text(message),
    };
    let resets_at = match reason {
        FailReason::UsageLimit => resets_at(data, body),
        _ => None,
    };
    Failure { reason, text: clean::line(message), resets_at }
}

/// The reason of a failure that has only words. Its own refusal to start is ours to mend.
pub(super) fn of_text(text: &str) -> FailReason {
    if let Some(reason) = provider::of_words(text) {
        return reason;
    }
    if provider::is_unreachable(text) {
        FailReason::ModelUnavailable
    } else if text.contains("ENOSPC") || text.contains("No space left on device") {
        FailReason::Disk
    } else if text.contains("Session not found") {
        FailReason::SessionLost
    } else {
        FailReason::AgentFailed
    }
}

/// Anthropic says it in a header, a `ChatGPT` login in the body.
fn resets_at(data: &Value, body: &str) -> Option<i64> {
    let header = data["responseHeaders"]["anthropic-ratelimit-unified-reset"].as_str();
    let header = header.and_then(|at| at.parse().ok());
    header.or_else(|| {
        let body = json::object(body.as_bytes())?;
        body.get("error")?["resets_at"].as_i64()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_reset_is_found_where_the_provider_says_it() {
        let body = r#"{"error":{"type":"usage_limit_reached","resets_at":1893504900}}"#;
        let error = json!({"name": "APIError", "data": {
            "message": "Too Many Requests", "statusCode": 429, "responseBody": body,
        }});
        let read = read(&error);
        assert_eq!((read.reason, read.resets_at), (FailReason::UsageLimit, Some(1_893_504_900)));
    }
}
