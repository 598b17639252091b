//! What went wrong, from the words that qwen-code gives as the agent's: a refused request ends
//! as a success, with exit code 0.

use midwatch_core::reason::FailReason;

use crate::provider;

/// What stands before an error of the provider's in the place of an answer.
pub(super) const MARK: &str = "[API Error";

/// The reason of an answer that is an error: `[API Error: 401 Incorrect API key provided.]`.
pub(super) fn of_answer(text: &str) -> FailReason {
    match status(text) {
        Some(status) => provider::refusal(status, text),
        None => provider::of_words(text).unwrap_or(FailReason::ModelUnavailable),
    }
}

/// The reason where only the words on stderr are known.
pub(super) fn of_text(text: &str) -> FailReason {
    if text.contains(MARK) {
        return of_answer(text);
    }
    if text.contains("max session turns") || text.contains("maximum session turns") {
        FailReason::TurnLimit
    } else if text.contains("ENOSPC") || text.contains("No space left on device") {
        FailReason::Disk
    } else if let Some(reason) = provider::of_words(text) {
        reason
    } else if provider::is_unreachable(text) {
        FailReason::ModelUnavailable
    } else {
        FailReason::AgentFailed
    }
}

/// The status that the text begins with.
fn status(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once(MARK)?;
    let rest = rest.trim_start_matches([':', ' ']);
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|status| (400..600).contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_an_error_has_its_reason() {
        for (text, reason) in [
            ("[API Error: 401 Incorrect API key provided.]", FailReason::Authentication),
            ("[API Error: 403 no]", FailReason::Authentication),
            ("[API Error: 400 temperature]", FailReason::ModelUnavailable),
            ("[API Error: 429 slow down]\nPlease wait", FailReason::RateLimit),
            ("[API Error: 429 You exceeded your current quota]", FailReason::UsageLimit),
            ("[API Error: Connection error. (cause: ECONNREFUSED)]", FailReason::ModelUnavailable),
            ("[API Error: 413 too large]", FailReason::TokenLimit),
        ] {
            assert_eq!(of_answer(text), reason, "{text}");
        }
    }
}
