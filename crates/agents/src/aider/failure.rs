//! What went wrong, from the names of litellm's errors: aider has neither codes nor exit codes.

use midwatch_core::reason::FailReason;

use crate::provider;

/// Errors by their name, and what they mean where the words do not say more.
const NAMES: [(&str, FailReason); 15] = [
    ("AuthenticationError", FailReason::Authentication),
    ("PermissionDeniedError", FailReason::Authentication),
    ("ContextWindowExceededError", FailReason::TokenLimit),
    ("RateLimitError", FailReason::RateLimit),
    ("NotFoundError", FailReason::ModelUnavailable),
    ("BadRequestError", FailReason::ModelUnavailable),
    ("UnprocessableEntityError", FailReason::ModelUnavailable),
    ("InternalServerError", FailReason::ModelUnavailable),
    ("ServiceUnavailableError", FailReason::ModelUnavailable),
    ("APIConnectionError", FailReason::ModelUnavailable),
    ("APIError", FailReason::ModelUnavailable),
    ("APIResponseValidationError", FailReason::ModelUnavailable),
    ("JSONSchemaValidationError", FailReason::ModelUnavailable),
    ("OpenAIError", FailReason::ModelUnavailable),
    ("Timeout", FailReason::ModelUnavailable),
];

/// What it says when the answer, or the stream of it, was empty or could not be read.
const EMPTY: &str = "Empty response received from LLM";

/// What it says of a full context and of an answer that was cut at its limit, in the place of
/// the error: `Model openai/gpt-5 has hit a token limit!`.
const FULL: (&str, &str) = ("Model ", " has hit a token limit!");

/// How it says that it could not use an answer, or gave up asking for a better one. It ends with
/// 0 all the same, and what it applied is then not the whole of what was asked.
const UNDONE: [&str; 3] = [
    "The LLM did not conform to the edit format.",
    "Exception while updating files:",
    "Only 3 reflections allowed, stopping.",
];

/// Whether a line says that the turn was not done.
pub(super) fn is_undone(line: &str) -> bool {
    UNDONE.contains(&line)
}

/// The reason of a line that names an error of litellm's: `litellm.RateLimitError: …`, or says
/// that nothing came or that there is no room.
pub(super) fn of_line(line: &str) -> Option<FailReason> {
    if line.starts_with(EMPTY) {
        return Some(FailReason::ModelUnavailable);
    }
    if line.starts_with(FULL.0) && line.ends_with(FULL.1) {
        return Some(FailReason::TokenLimit);
    }
    let (_, rest) = line.split_once("litellm.")?;
    let name = rest.split(|c: char| !c.is_ascii_alphanumeric()).next()?;
    let (_, reason) = NAMES.iter().find(|(known, _)| *known == name)?;
    Some(match name {
        "NotFoundError" => provider::refusal(404, rest),
        _ => provider::of_words(rest).unwrap_or(*reason),
    })
}

/// The reason of an end that no error was told of.
pub(super) fn of_text(text: &str) -> FailReason {
    if let Some(reason) = of_line(text) {
        return reason;
    }
    if text.contains("No space left on device") {
        FailReason::Disk
    } else {
        FailReason::AgentFailed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_error_has_its_reason_and_the_words_go_before() {
        for (line, reason) in [
            ("litellm.AuthenticationError: no", Some(FailReason::Authentication)),
            ("litellm.RateLimitError: slow down", Some(FailReason::RateLimit)),
            ("litellm.RateLimitError: insufficient_quota", Some(FailReason::UsageLimit)),
            ("litellm.BadRequestError: prompt is too long: 9 > 8", Some(FailReason::TokenLimit)),
            ("litellm.NotFoundError: x - model: gtp-5", Some(FailReason::ModelNotFound)),
            ("litellm.NotFoundError: x", Some(FailReason::ModelUnavailable)),
            ("litellm.InternalServerError: x", Some(FailReason::ModelUnavailable)),
            ("Model openai/gpt-5 has hit a token limit!", Some(FailReason::TokenLimit)),
            ("The model has hit a token limit!", None),
            ("litellm.newer: x", None),
            ("It is written.", None),
        ] {
            assert_eq!(of_line(line), reason, "{line}");
        }
    }
}
