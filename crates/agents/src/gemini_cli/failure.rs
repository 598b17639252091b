//! What went wrong, from gemini-cli's last word, its exit code and its words on stderr.

use midwatch_core::reason::FailReason;

use crate::provider;

/// How it ends when it cannot do what it was asked to.
const BAD_INPUT: i32 = 42;
/// What it says, then, of a conversation that it does not have.
const LOST: &str = "Error resuming session";

/// The exit codes that are its own. All others are the provider's status, modulo 256.
fn of_exit(exit: i32) -> Option<FailReason> {
    match exit {
        41 => Some(FailReason::Authentication),
        53 => Some(FailReason::TurnLimit),
        // Its input, its sandbox, its settings, a tool, a folder that it does not trust, a stop.
        BAD_INPUT | 44 | 52 | 54 | 55 | 130 => Some(FailReason::AgentFailed),
        _ => None,
    }
}

/// The status that became an exit code: 401 is 145.
fn status_of_exit(exit: i32) -> Option<u64> {
    [400, 401, 402, 403, 404, 408, 413, 429, 500, 502, 503, 504, 529]
        .into_iter()
        .find(|status| status % 256 == u64::try_from(exit).unwrap_or_default())
}

/// What a limit per minute is told by, and a day's that is near its end. Google begins both with
/// the sentence of a quota that is used up.
const SUGGESTED: &str = "Suggested retry after ";
/// Up to here it is a limit per minute to the CLI too, in seconds.
const LONGEST_RETRY: i64 = 300;

/// The reason of an end, by the kind of error that it names, its words and its exit code.
pub(super) fn reason(kind: &str, words: &str, exit: Option<i32>) -> FailReason {
    match kind {
        "TerminalQuotaError" => return FailReason::UsageLimit,
        "RetryableQuotaError" => return FailReason::RateLimit,
        "ModelNotFoundError" => return FailReason::ModelNotFound,
        "FatalTurnLimitedError" => return FailReason::TurnLimit,
        "FatalAuthenticationError" => return FailReason::Authentication,
        _ => {}
    }
    if words.contains("ENOSPC") || words.contains("no_space_left") {
        return FailReason::Disk;
    }
    if exit == Some(BAD_INPUT) && words.contains(LOST) {
        return FailReason::SessionLost;
    }
    if let Some(reason) = exit.and_then(of_exit) {
        return reason;
    }
    if let Some(reason) = of_suggestion(words) {
        return reason;
    }
    let status = code(words).or_else(|| exit.and_then(status_of_exit));
    match status {
        Some(status) => provider::refusal(status, words),
        None => of_words(words),
    }
}

/// The reason where only words are known.
pub(super) fn of_words(words: &str) -> FailReason {
    if let Some(reason) = of_suggestion(words) {
        return reason;
    }
    if let Some(status) = code(words) {
        return provider::refusal(status, words);
    }
    if let Some(reason) = provider::of_words(words) {
        return reason;
    }
    let of_model = ["stream", "empty response", "no response", "overloaded", "Incomplete JSON"];
    if provider::is_unreachable(words) || of_model.iter().any(|part| words.contains(part)) {
        FailReason::ModelUnavailable
    } else {
        FailReason::AgentFailed
    }
}

/// The number in `"code":401`, or in `status: 401`.
fn code(words: &str) -> Option<u64> {
    ["\"code\":", "code: ", "status: ", "status "].iter().find_map(|mark| {
        let (_, rest) = words.split_once(mark)?;
        let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok().filter(|code| (400..600).contains(code))
    })
}

fn of_suggestion(words: &str) -> Option<FailReason> {
    let seconds = seconds_after(words, SUGGESTED)?;
    Some(if seconds > LONGEST_RETRY { FailReason::UsageLimit } else { FailReason::RateLimit })
}

/// When a quota fills again, from now: `reset after 2h30m5s`, `Suggested retry after 36.6s`.
pub(super) fn resets_at(words: &str, now: i64) -> Option<i64> {
    let seconds = ["reset after ", SUGGESTED].iter().find_map(|mark| seconds_after(words, mark));
    seconds.map(|seconds| now + seconds)
}

fn seconds_after(words: &str, mark: &str) -> Option<i64> {
    let (_, rest) = words.split_once(mark)?;
    let (mut seconds, mut digits) = (0_i64, String::new());
    let mut rest = rest.chars().peekable();
    while let Some(c) = rest.next() {
        let unit = match c {
            '0'..='9' if digits.len() < 6 => {
                digits.push(c);
                continue;
            }
            // A part of a second; the whole one that it is of is waited for.
            '.' if !digits.is_empty() => {
                while rest.next_if(char::is_ascii_digit).is_some() {}
                digits = (digits.parse::<i64>().ok()? + 1).to_string();
                continue;
            }
            'd' => 86_400,
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => break,
        };
        seconds += digits.parse::<i64>().ok()? * unit;
        digits.clear();
    }
    (seconds > 0).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_goes_before_the_words_and_they_before_the_exit() {
        for (kind, words, exit, expected) in [
            ("TerminalQuotaError", "429", 173, FailReason::UsageLimit),
            ("Error", r#"{"error":{"code":401,"message":"no"}}"#, 145, FailReason::Authentication),
            ("Error", "API key not valid. code: 400", 144, FailReason::Authentication),
            ("Error", "?", 145, FailReason::Authentication),
            ("Error", "?", 244, FailReason::ModelUnavailable),
            ("FatalTurnLimitedError", "", 53, FailReason::TurnLimit),
            ("Error", "", 41, FailReason::Authentication),
            ("Error", "write failed: ENOSPC", 1, FailReason::Disk),
            ("Error", "it broke", 1, FailReason::AgentFailed),
            ("", "Error resuming session: No previous sessions found", 42, FailReason::SessionLost),
            ("", "Error resuming session: No previous sessions found", 1, FailReason::AgentFailed),
            (
                "",
                "You exceeded your current quota. Suggested retry after 36.6s.",
                173,
                FailReason::RateLimit,
            ),
            (
                "",
                "You exceeded your current quota. Suggested retry after 9005s.",
                173,
                FailReason::UsageLimit,
            ),
            ("", "You exceeded your current quota.", 173, FailReason::UsageLimit),
        ] {
            assert_eq!(reason(kind, words, Some(exit)), expected, "{kind} {words} {exit}");
        }
    }

    #[test]
    fn a_reset_is_counted_from_now() {
        let words = "Your quota will reset after 2h30m5s.";
        assert_eq!(resets_at(words, 100), Some(100 + 9005));
        assert_eq!(resets_at("it will reset after a while", 100), None);
        assert_eq!(resets_at("Suggested retry after 36.6s.]", 100), Some(137));
        assert_eq!(resets_at("Suggested retry after 2s.. Retrying", 100), Some(102));
    }
}
