//! The ways in which a provider fails, each by a name that can stand in a URL.

use midwatch_rehearsal::http::Answer;

use super::{Api, anthropic, gemini, openai, responses};

/// A failure of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// 401 for any credential.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404, the model is unknown.
    NotFound,
    /// 400, some parameter is wrong.
    BadRequest,
    /// 400, the account has no credit left.
    NoCredit,
    /// 400, the conversation is longer than the model takes.
    PromptTooLong,
    /// 413.
    TooLarge,
    /// 429 without a word on when.
    RateLimited,
    /// 429 with `retry-after: 2`, always.
    RetryAfter,
    /// 429 with `retry-after: 1`, once per server; then it works.
    RetryAfterOnce,
    /// 429, the limit of the subscription, with its reset.
    UsageLimit,
    /// 429, the quota of a paid key.
    Quota,
    /// 500.
    ServerError,
    /// 529.
    Overloaded,
    /// The stream ends in the middle, always.
    CutStream,
    /// The request is read and never answered.
    Silent,
    /// 200 with a body that is not JSON and no stream.
    Malformed,
    /// 200 with a stream that holds an error event.
    SseError,
    /// 200 with a stream that ends before its first event.
    EmptyStream,
}

impl Failure {
    /// Every failure.
    pub const ALL: [Self; 19] = [
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::BadRequest,
        Self::NoCredit,
        Self::PromptTooLong,
        Self::TooLarge,
        Self::RateLimited,
        Self::RetryAfter,
        Self::RetryAfterOnce,
        Self::UsageLimit,
        Self::Quota,
        Self::ServerError,
        Self::Overloaded,
        Self::CutStream,
        Self::Silent,
        Self::Malformed,
        Self::SseError,
        Self::EmptyStream,
    ];

    /// The name in `/m/<name>/...`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "401",
            Self::Forbidden => "403",
            Self::NotFound => "404",
            Self::BadRequest => "400",
            Self::NoCredit => "no-credit",
            Self::PromptTooLong => "prompt-too-long",
            Self::TooLarge => "413",
            Self::RateLimited => "429",
            Self::RetryAfter => "429-retry-after",
            Self::RetryAfterOnce => "429-once",
            Self::UsageLimit => "usage-limit",
            Self::Quota => "quota",
            Self::ServerError => "500",
            Self::Overloaded => "529",
            Self::CutStream => "cut",
            Self::Silent => "silent",
            Self::Malformed => "malformed",
            Self::SseError => "sse-error",
            Self::EmptyStream => "empty-stream",
        }
    }

    /// Reads a name made by [`Failure::as_str`].
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|failure| failure.as_str() == name)
    }

    /// The answer; `good` is what would have been sent, which a cut stream needs.
    pub(crate) fn answer(self, api: Api, resets_at: i64, good: impl FnOnce() -> Answer) -> Answer {
        match self {
            Self::Unauthorized => {
                refuse(api, 401, "authentication_error", "invalid_api_key", "invalid x-api-key")
            }
            Self::Forbidden => refuse(
                api,
                403,
                "permission_error",
                "forbidden",
                "Your account does not have permission to use this resource",
            ),
            Self::NotFound => no_such_model(api, "no-such-model"),
            Self::BadRequest => refuse(
                api,
                400,
                "invalid_request_error",
                "invalid_value",
                "temperature: Input should be less than or equal to 1",
            ),
            Self::NoCredit => refuse(
                api,
                400,
                "invalid_request_error",
                "billing_hard_limit_reached",
                "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.",
            ),
            Self::PromptTooLong => refuse(
                api,
                400,
                "invalid_request_error",
                "context_length_exceeded",
                "prompt is too long: 212345 tokens > 200000 maximum",
            ),
            Self::TooLarge => refuse(
                api,
                413,
                "request_too_large",
                "request_too_large",
                "Request exceeds the maximum size",
            ),
            Self::RateLimited => refuse(
                api,
                429,
                "rate_limit_error",
                "rate_limit_exceeded",
                "This request would exceed your rate limit",
            ),
            Self::RetryAfter => retry_after(api, "2"),
            Self::RetryAfterOnce => retry_after(api, "1"),
            Self::UsageLimit => usage_limit(api, resets_at),
            Self::Quota => quota(api),
            Self::ServerError => {
                refuse(api, 500, "api_error", "server_error", "Internal server error")
            }
            Self::Overloaded => refuse(api, 529, "overloaded_error", "overloaded", "Overloaded"),
            Self::CutStream => cut(good()),
            Self::Silent => Answer::Silent,
            Self::Malformed => Answer::Whole {
                status: 200,
                headers: Vec::new(),
                body: "<html>this is not what you asked for</html>".to_owned(),
            },
            Self::SseError => {
                Answer::Stream { headers: Vec::new(), events: vec![error_event(api)], cut: false }
            }
            Self::EmptyStream => {
                Answer::Stream { headers: Vec::new(), events: Vec::new(), cut: false }
            }
        }
    }
}

/// An error in the words of the wire: Anthropic has types, `OpenAI` has codes beside them.
pub(crate) fn refuse(api: Api, status: u16, kind: &str, code: &str, message: &str) -> Answer {
    match api {
        Api::Anthropic => Answer::json(status, &anthropic::error(kind, message)),
        Api::Responses | Api::Chat => {
            Answer::json(status, &openai::error(message, "invalid_request_error", Some(code)))
        }
        Api::Gemini => Answer::json(status, &gemini::error(status, message)),
    }
}

/// A model that the provider does not have, in the words of each.
pub(crate) fn no_such_model(api: Api, model: &str) -> Answer {
    let message = match api {
        Api::Anthropic => format!("model: {model}"),
        Api::Responses | Api::Chat => {
            format!("The model `{model}` does not exist or you do not have access to it.")
        }
        Api::Gemini => format!(
            "models/{model} is not found for API version v1beta, or is not supported for generateContent. Call ListModels to see the list of available models and their supported methods."
        ),
    };
    refuse(api, 404, "not_found_error", "model_not_found", &message)
}

fn with_headers(answer: Answer, more: Vec<(&'static str, String)>) -> Answer {
    match answer {
        Answer::Whole { status, mut headers, body } => {
            headers.extend(more);
            Answer::Whole { status, headers, body }
        }
        Answer::Stream { .. } | Answer::Silent => answer,
    }
}

fn retry_after(api: Api, seconds: &str) -> Answer {
    let answer = refuse(
        api,
        429,
        "rate_limit_error",
        "rate_limit_exceeded",
        "This request would exceed your rate limit",
    );
    with_headers(answer, vec![("retry-after", seconds.to_owned())])
}

fn usage_limit(api: Api, resets_at: i64) -> Answer {
    match api {
        Api::Anthropic => with_headers(
            refuse(
                api,
                429,
                "rate_limit_error",
                "",
                "This request would exceed your account's rate limit. Please try again later.",
            ),
            vec![
                ("anthropic-ratelimit-unified-status", "rejected".to_owned()),
                ("anthropic-ratelimit-unified-reset", resets_at.to_string()),
                ("anthropic-ratelimit-unified-representative-claim", "five_hour".to_owned()),
                ("x-should-retry", "false".to_owned()),
            ],
        ),
        Api::Gemini => gemini_quota("You have exhausted your daily quota on this model.", "PerDay"),
        Api::Responses | Api::Chat => Answer::json(
            429,
            &serde_json::json!({"error": {
                "type": "usage_limit_reached",
                "message": "The usage limit has been reached",
                "plan_type": "plus",
                "resets_at": resets_at,
            }}),
        ),
    }
}

fn quota(api: Api) -> Answer {
    let message = "You exceeded your current quota, please check your plan and billing details.";
    match api {
        Api::Gemini => gemini_quota(message, "GenerateRequestsPerDayPerProjectPerModel"),
        Api::Anthropic => refuse(api, 429, "rate_limit_error", "", message),
        Api::Responses | Api::Chat => Answer::json(
            429,
            &openai::error(message, "insufficient_quota", Some("insufficient_quota")),
        ),
    }
}

/// A quota that only a new day fills again, in the details by which clients know it.
fn gemini_quota(message: &str, id: &str) -> Answer {
    let mut error = gemini::error(429, message);
    error["error"]["details"] = serde_json::json!([{
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{
            "quotaMetric": "generativelanguage.googleapis.com/generate_requests",
            "quotaId": id,
        }],
    }]);
    Answer::json(429, &error)
}

fn cut(good: Answer) -> Answer {
    match good {
        Answer::Stream { headers, mut events, .. } => {
            events.truncate(events.len().div_ceil(2));
            Answer::Stream { headers, events, cut: true }
        }
        // A client that falls back to a whole message gets half a stream all the same.
        Answer::Whole { .. } | Answer::Silent => {
            Answer::Stream { headers: Vec::new(), events: vec!["data: {".to_owned()], cut: true }
        }
    }
}

fn error_event(api: Api) -> String {
    match api {
        Api::Anthropic => {
            anthropic::event("error", anthropic::error("overloaded_error", "Overloaded"))
        }
        Api::Responses => responses::event(
            "response.failed",
            serde_json::json!({"response": {
                "id": "resp_scripted", "object": "response", "status": "failed", "output": [],
                "error": {"code": "rate_limit_exceeded", "message": "Rate limit reached for this model. Please try again later."},
            }}),
        ),
        Api::Chat => format!("data: {}\n\n", openai::error("Overloaded", "server_error", None)),
        Api::Gemini => {
            format!("data: {}\r\n\r\n", gemini::error(503, "The model is overloaded."))
        }
    }
}
