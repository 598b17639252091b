//! How each provider refuses, in its own words, fields and headers: credentials, money, limits
//! and room. Taken from what people report of `OpenAI`'s and Google's APIs.

use midwatch_rehearsal::http::Answer;
use serde_json::{Value, json};

use super::{Api, anthropic, gemini, openai};

/// Where Google sends everybody who ran into a limit.
const GEMINI_QUOTA: &str = "You exceeded your current quota, please check your plan and billing details. For more information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits. To monitor your current usage, head to: https://ai.dev/rate-limit. ";

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

/// A key that nobody knows. Google calls it a wrong argument.
pub(crate) fn unauthorized(api: Api) -> Answer {
    match api {
        Api::Anthropic => refuse(api, 401, "authentication_error", "", "invalid x-api-key"),
        Api::Responses | Api::Chat => refuse(
            api,
            401,
            "",
            "invalid_api_key",
            "Incorrect API key provided: mwr_0123********cdef. You can find your API key at https://platform.openai.com/account/api-keys.",
        ),
        Api::Gemini => {
            let message = "API key not valid. Please pass a valid API key.";
            let mut error = gemini::error(400, message);
            error["error"]["details"] = json!([
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "API_KEY_INVALID",
                    "domain": "googleapis.com",
                    "metadata": {"service": "generativelanguage.googleapis.com"},
                },
                {
                    "@type": "type.googleapis.com/google.rpc.LocalizedMessage",
                    "locale": "en-US",
                    "message": message,
                },
            ]);
            Answer::json(400, &error)
        }
    }
}

/// Nothing is left of what was paid in advance, or nothing was ever paid.
pub(crate) fn no_credit(api: Api) -> Answer {
    match api {
        Api::Anthropic => refuse(
            api,
            400,
            "invalid_request_error",
            "",
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.",
        ),
        Api::Responses | Api::Chat => {
            let message =
                "Your account is not active, please check your billing details on our website.";
            Answer::json(
                429,
                &openai::error(message, "billing_not_active", Some("billing_not_active")),
            )
        }
        Api::Gemini => refuse(
            api,
            429,
            "",
            "",
            "Your prepayment credits are depleted. Please go to AI Studio at https://ai.studio/projects to manage your project and billing.",
        ),
    }
}

/// The conversation is longer than the model takes. `OpenAI`'s two wires say it each in its way.
pub(crate) fn prompt_too_long(api: Api) -> Answer {
    let message = match api {
        Api::Anthropic => "prompt is too long: 212345 tokens > 200000 maximum",
        Api::Responses => {
            "Your input exceeds the context window of this model. Please adjust your input and try again."
        }
        Api::Chat => {
            "This model's maximum context length is 272000 tokens. However, your messages resulted in 312345 tokens. Please reduce the length of the messages."
        }
        Api::Gemini => {
            "The input token count (1200293) exceeds the maximum number of tokens allowed (1048576)."
        }
    };
    refuse(api, 400, "invalid_request_error", "context_length_exceeded", message)
}

/// A limit per minute. Without `seconds` nothing is said on when, which `OpenAI` never leaves out
/// of its words and its headers.
pub(crate) fn rate_limited(api: Api, seconds: Option<u32>) -> Answer {
    let answer = match api {
        Api::Anthropic => {
            let message = "This request would exceed your rate limit";
            refuse(api, 429, "rate_limit_error", "", message)
        }
        Api::Responses | Api::Chat => openai_rate_limited(seconds),
        Api::Gemini => match seconds {
            None => refuse(api, 429, "", "", "Resource has been exhausted (e.g. check quota)."),
            Some(seconds) => gemini_quota("GenerateRequestsPerMinutePerProjectPerModel", seconds),
        },
    };
    let header = seconds.filter(|_| api != Api::Gemini);
    let header = header.map(|seconds| ("retry-after", seconds.to_string()));
    with_headers(answer, header.into_iter().collect())
}

fn openai_rate_limited(seconds: Option<u32>) -> Answer {
    let Some(seconds) = seconds else {
        let message = "Rate limit reached for requests";
        let error = openai::error(message, "requests", Some("rate_limit_exceeded"));
        return Answer::json(429, &error);
    };
    let message = format!(
        "Rate limit reached for gpt-5 in organization org-scripted on tokens per min (TPM): Limit 30000, Used 29937, Requested 1063. Please try again in {seconds}s. Visit https://platform.openai.com/account/rate-limits to learn more."
    );
    let answer = Answer::json(429, &openai::error(&message, "tokens", Some("rate_limit_exceeded")));
    let headers = [
        ("retry-after-ms", (seconds * 1000).to_string()),
        ("x-ratelimit-limit-requests", "500".to_owned()),
        ("x-ratelimit-limit-tokens", "30000".to_owned()),
        ("x-ratelimit-remaining-requests", "499".to_owned()),
        ("x-ratelimit-remaining-tokens", "63".to_owned()),
        ("x-ratelimit-reset-requests", "120ms".to_owned()),
        ("x-ratelimit-reset-tokens", format!("{seconds}s")),
    ];
    with_headers(answer, headers.into())
}

/// A limit that only time fills again. `OpenAI`'s wires carry what a `ChatGPT` plan says, which
/// gateways before one pass on.
pub(crate) fn usage_limit(api: Api, resets_at: i64) -> Answer {
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
        // Google names the seconds of its own clock, and for a day's quota hours of them.
        Api::Gemini => gemini_quota("GenerateRequestsPerDayPerProjectPerModel", 9005),
        Api::Responses | Api::Chat => Answer::json(
            429,
            &json!({"error": {
                "type": "usage_limit_reached",
                "message": "The usage limit has been reached",
                "plan_type": "plus",
                "resets_at": resets_at,
            }}),
        ),
    }
}

/// The quota of a paid key.
pub(crate) fn quota(api: Api) -> Answer {
    let message = "You exceeded your current quota, please check your plan and billing details.";
    match api {
        Api::Anthropic => refuse(api, 429, "rate_limit_error", "", message),
        Api::Responses | Api::Chat => {
            let message = format!(
                "{message} For more information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
            );
            let error = openai::error(&message, "insufficient_quota", Some("insufficient_quota"));
            Answer::json(429, &error)
        }
        // What a day's quota says most of the time: seconds, after which it is no better.
        Api::Gemini => gemini_quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier", 20),
    }
}

/// Google's one sentence for every limit; which one it was, only the details and the lines after
/// it say.
fn gemini_quota(id: &str, seconds: u32) -> Answer {
    let metric = "generativelanguage.googleapis.com/generate_content_free_tier_requests";
    let message = format!(
        "{GEMINI_QUOTA}\n* Quota exceeded for metric: {metric}, limit: 20, model: gemini-2.5-pro\nPlease retry in {seconds}.04466179s."
    );
    let mut error: Value = gemini::error(429, &message);
    error["error"]["details"] = json!([
        {
            "@type": "type.googleapis.com/google.rpc.Help",
            "links": [{
                "description": "Learn more about Gemini API quotas",
                "url": "https://ai.google.dev/gemini-api/docs/rate-limits",
            }],
        },
        {
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{
                "quotaMetric": metric,
                "quotaId": id,
                "quotaDimensions": {"location": "global", "model": "gemini-2.5-pro"},
                "quotaValue": "20",
            }],
        },
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{seconds}s")},
    ]);
    Answer::json(429, &error)
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
