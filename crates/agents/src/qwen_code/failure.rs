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

/// What `start.cjs` tells of a refusal, before the status and the words.
const REFUSED: &str = "midwatch: refused: ";
/// How the CLI tells of a request that `start.cjs` ended.
const ENDED: &str = "Connection error. (cause: ";

/// The refusal that a line on stderr tells of: its status with the words after it.
pub(super) fn refused(line: &str) -> Option<(FailReason, String)> {
    let words = line.strip_prefix(REFUSED)?;
    let status = leading_status(words)?;
    Some((provider::refusal(status, words), words.to_owned()))
}

/// An answer that is an error, in the provider's words: what it calls a failed connection may be
/// the refusal that ended it.
pub(super) fn told(text: &str) -> String {
    match text.split_once(ENDED) {
        Some((before, cause)) if leading_status(cause).is_some() => {
            format!("{before}{}", cause.replacen(")]", "]", 1))
        }
        Some(_) | None => text.to_owned(),
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
    } else if text.contains("No saved session found with ID") {
        FailReason::SessionLost
    } else {
        FailReason::AgentFailed
    }
}

/// The status that the text begins with.
fn status(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once(MARK)?;
    leading_status(rest.trim_start_matches([':', ' ']))
}

fn leading_status(rest: &str) -> Option<u64> {
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|status| (400..600).contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_that_was_told_has_its_reason_and_is_no_failed_connection() {
        let line = "midwatch: refused: 429 The usage limit has been reached (usage_limit_reached)";
        let (reason, text) = refused(line).unwrap();
        assert_eq!(reason, FailReason::UsageLimit);
        assert!(text.starts_with("429 The usage limit"), "{text}");
        assert_eq!(
            refused("midwatch: refused: 529 Overloaded").unwrap().0,
            FailReason::ModelUnavailable
        );
        assert_eq!(refused("Ripgrep is not available"), None);
        let ended = format!("[API Error: Connection error. (cause: {text})]");
        assert_eq!(told(&ended), format!("[API Error: {text}]"));
        assert_eq!(of_answer(&told(&ended)), FailReason::UsageLimit);
        let refused = "[API Error: Connection error. (cause: fetch failed)]";
        assert_eq!(told(refused), refused);
    }

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
