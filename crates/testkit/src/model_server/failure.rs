//! The ways in which a provider fails, each by a name that can stand in a URL.

use midwatch_rehearsal::http::Answer;

use super::refusal::{self, no_such_model};
use super::{Api, anthropic, fault, gemini, openai, responses};

/// A failure of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// 401 for any credential; Google says 400.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404, the model is unknown.
    NotFound,
    /// 400, some parameter is wrong.
    BadRequest,
    /// The account has no credit left: 400 or 429.
    NoCredit,
    /// 400, the conversation is longer than the model takes.
    PromptTooLong,
    /// 413, the body is too large; Google says 400.
    TooLarge,
    /// 429 without a word on when.
    RateLimited,
    /// 429 that names 2 seconds, always.
    RetryAfter,
    /// 429 that names 1 second, once per server; then it works.
    RetryAfterOnce,
    /// 429, the limit of the subscription, with its reset.
    UsageLimit,
    /// 429, the quota of a paid key.
    Quota,
    /// 500.
    ServerError,
    /// 529, which is 503 but for Anthropic.
    Overloaded,
    /// The stream ends in the middle, always.
    CutStream,
    /// The answer ends at the limit of tokens.
    AtLimit,
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
    pub const ALL: [Self; 20] = [
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
        Self::AtLimit,
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
            Self::AtLimit => "length",
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
            Self::Unauthorized => refusal::unauthorized(api),
            Self::Forbidden => fault::forbidden(api),
            Self::NotFound => no_such_model(api, "no-such-model"),
            Self::BadRequest => fault::bad_request(api),
            Self::NoCredit => refusal::no_credit(api),
            Self::PromptTooLong => refusal::prompt_too_long(api),
            Self::TooLarge => fault::too_large(api),
            Self::RateLimited => refusal::rate_limited(api, None),
            Self::RetryAfter => refusal::rate_limited(api, Some(2)),
            Self::RetryAfterOnce => refusal::rate_limited(api, Some(1)),
            Self::UsageLimit => refusal::usage_limit(api, resets_at),
            Self::Quota => refusal::quota(api),
            Self::ServerError => fault::server_error(api),
            Self::Overloaded => fault::overloaded(api),
            Self::CutStream => cut(good()),
            Self::AtLimit => at_limit(api, good()),
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

/// The same answer, which the limit of tokens ended.
fn at_limit(api: Api, good: Answer) -> Answer {
    let pairs: &[(&str, &str)] = match api {
        Api::Anthropic => &[
            (r#""stop_reason":"end_turn""#, r#""stop_reason":"max_tokens""#),
            (r#""stop_reason":"tool_use""#, r#""stop_reason":"max_tokens""#),
        ],
        Api::Responses => &[
            ("response.completed", "response.incomplete"),
            (
                r#""status":"completed","usage""#,
                r#""status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"usage""#,
            ),
        ],
        Api::Chat => &[
            (r#""finish_reason":"stop""#, r#""finish_reason":"length""#),
            (r#""finish_reason":"tool_calls""#, r#""finish_reason":"length""#),
        ],
        Api::Gemini => &[(r#""finishReason":"STOP""#, r#""finishReason":"MAX_TOKENS""#)],
    };
    let ended =
        |text: String| pairs.iter().fold(text, |text, (stop, limit)| text.replace(stop, limit));
    match good {
        Answer::Stream { headers, events, cut } => {
            Answer::Stream { headers, events: events.into_iter().map(ended).collect(), cut }
        }
        Answer::Whole { status, headers, body } => {
            Answer::Whole { status, headers, body: ended(body) }
        }
        Answer::Silent => Answer::Silent,
    }
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
