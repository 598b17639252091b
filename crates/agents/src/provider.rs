//! What a provider's refusal means, for the CLIs that pass on its status or its words.

use midwatch_core::reason::FailReason;

/// Words of a refusal and what they mean, most telling first, in lower case. They go before the
/// status: providers say 400 and 429 for several things.
const WORDS: [(&str, FailReason); 32] = [
    ("usage_limit_reached", FailReason::UsageLimit),
    ("usage limit", FailReason::UsageLimit),
    ("insufficient_quota", FailReason::UsageLimit),
    ("exceeded your current quota", FailReason::UsageLimit),
    ("exhausted your daily quota", FailReason::UsageLimit),
    ("exhausted your capacity", FailReason::UsageLimit),
    ("billing_hard_limit_reached", FailReason::UsageLimit),
    ("credit balance", FailReason::UsageLimit),
    ("insufficient credits", FailReason::UsageLimit),
    // OpenAI's of an account that was never paid for, and Google's of one that is used up.
    ("account is not active", FailReason::UsageLimit),
    ("credits are depleted", FailReason::UsageLimit),
    ("context_length_exceeded", FailReason::TokenLimit),
    ("prompt is too long", FailReason::TokenLimit),
    ("maximum context length", FailReason::TokenLimit),
    ("context window", FailReason::TokenLimit),
    ("request exceeds the maximum", FailReason::TokenLimit),
    ("input token count", FailReason::TokenLimit),
    // Of bodies that are too large: Google's, and what stands before OpenAI.
    ("request payload size exceeds", FailReason::TokenLimit),
    ("413 payload too large", FailReason::TokenLimit),
    ("api key not valid", FailReason::Authentication),
    ("api_key_invalid", FailReason::Authentication),
    ("invalid_api_key", FailReason::Authentication),
    ("incorrect api key", FailReason::Authentication),
    ("invalid x-api-key", FailReason::Authentication),
    ("does not have permission", FailReason::Authentication),
    // OpenAI's only 403 that is known: another way in is needed, or another provider.
    ("region, or territory not supported", FailReason::Authentication),
    ("model_not_found", FailReason::ModelNotFound),
    // OpenAI, Google and OpenRouter.
    ("does not exist or you do not have access to it", FailReason::ModelNotFound),
    ("is not found for api version", FailReason::ModelNotFound),
    ("is not a valid model id", FailReason::ModelNotFound),
    ("rate_limit_exceeded", FailReason::RateLimit),
    ("rate limit", FailReason::RateLimit),
];

/// What an answer that is no success means.
pub(crate) fn refusal(status: u64, words: &str) -> FailReason {
    if let Some(reason) = of_words(words) {
        return reason;
    }
    match status {
        401 | 403 => FailReason::Authentication,
        // No money left: another credential helps.
        402 => FailReason::UsageLimit,
        404 if names_a_model(words) => FailReason::ModelNotFound,
        413 => FailReason::TokenLimit,
        429 => FailReason::RateLimit,
        _ => FailReason::ModelUnavailable,
    }
}

/// Whether words speak of a model by its name: Anthropic says `model: NAME`, servers of open
/// models "model 'NAME' not found". Any other address that is not there may have `models/` in it.
fn names_a_model(words: &str) -> bool {
    let words = words.to_lowercase();
    let behind = words.split("model").skip(1).map(|rest| rest.trim_start_matches([' ', '\\']));
    behind.into_iter().any(|rest| rest.starts_with([':', '\'', '"', '`']))
}

/// The same where only the words are known.
pub(crate) fn of_words(words: &str) -> Option<FailReason> {
    let words = words.to_lowercase();
    WORDS.iter().find(|(part, _)| words.contains(part)).map(|(_, reason)| *reason)
}

/// Words that say that nobody answered, or not as a provider does.
pub(crate) fn is_unreachable(words: &str) -> bool {
    const PARTS: [&str; 14] = [
        "econnrefused",
        "econnreset",
        "enotfound",
        "etimedout",
        "connection error",
        "connection refused",
        "connectionrefused",
        "unable to connect",
        "fetch failed",
        "socket",
        "terminated",
        "timed out",
        "overloaded",
        "api error",
    ];
    let words = words.to_lowercase();
    PARTS.iter().any(|part| words.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_before_the_status() {
        for (status, words, reason) in [
            (401, "", FailReason::Authentication),
            (403, "no", FailReason::Authentication),
            (400, "API key not valid. Please pass a valid API key.", FailReason::Authentication),
            (400, "prompt is too long: 9 > 8", FailReason::TokenLimit),
            (400, "temperature", FailReason::ModelUnavailable),
            (402, "", FailReason::UsageLimit),
            (404, "model: claude-sonet", FailReason::ModelNotFound),
            (404, "model 'qwen9' not found, try pulling it first", FailReason::ModelNotFound),
            (404, r#"{"message":"The model \"x\" does not exist."}"#, FailReason::ModelNotFound),
            (404, "<h1>Not Found</h1>", FailReason::ModelUnavailable),
            (404, "/v1beta/models/x:generateContent was not found", FailReason::ModelUnavailable),
            (404, "no route for POST /v1/models", FailReason::ModelUnavailable),
            (400, "gtp-5 is not a valid model ID", FailReason::ModelNotFound),
            (413, "", FailReason::TokenLimit),
            // As one library tells of a 403 and a 413.
            (400, "Your API key does not have permission", FailReason::Authentication),
            (400, "Country, region, or territory not supported", FailReason::Authentication),
            (400, "Request exceeds the maximum size", FailReason::TokenLimit),
            (
                400,
                "Request payload size exceeds the limit: 20971520 bytes.",
                FailReason::TokenLimit,
            ),
            (400, "<h1>413 Payload Too Large</h1>", FailReason::TokenLimit),
            (429, "slow down", FailReason::RateLimit),
            (429, r#"{"type":"usage_limit_reached"}"#, FailReason::UsageLimit),
            (429, "You exceeded your current quota", FailReason::UsageLimit),
            (429, "Your account is not active, please check", FailReason::UsageLimit),
            (429, "Your prepayment credits are depleted.", FailReason::UsageLimit),
            (500, "", FailReason::ModelUnavailable),
        ] {
            assert_eq!(refusal(status, words), reason, "{status} {words}");
        }
        assert_eq!(of_words("hello"), None);
    }
}
