//! What went wrong, from what Claude Code says: the status and the kind of error first, the
//! text last.

use midwatch_core::reason::FailReason;

/// What the stream told about a failure.
#[derive(Debug, Default, Clone)]
pub(super) struct Clues<'a> {
    /// `result.api_error_status`.
    pub(super) status: Option<u64>,
    /// `assistant.error`.
    pub(super) error: Option<&'a str>,
    /// `result.subtype`.
    pub(super) subtype: &'a str,
    /// `result.terminal_reason`.
    pub(super) terminal: &'a str,
    /// `result.result`, or the newest words on stderr.
    pub(super) text: &'a str,
    /// A `rate_limit_event` said that calls are refused.
    pub(super) limit_reached: bool,
}

pub(super) fn reason(clues: &Clues<'_>) -> FailReason {
    match clues.subtype {
        "error_max_turns" => return FailReason::TurnLimit,
        "error_max_budget_usd" => return FailReason::CostLimit,
        _ => {}
    }
    if clues.terminal == "prompt_too_long" {
        return FailReason::TokenLimit;
    }
    if clues.limit_reached {
        return FailReason::UsageLimit;
    }
    match clues.error {
        Some("authentication_failed") => return FailReason::Authentication,
        // No money on the account is a limit of the account: another credential helps.
        Some("billing_error") => return FailReason::UsageLimit,
        Some("model_not_found") => return FailReason::ModelNotFound,
        Some("server_error" | "overloaded") => return FailReason::ModelUnavailable,
        Some("rate_limit") => {
            // "hit your limit", "hit your session limit", and not "not your usage limit".
            let used_up = clues.text.contains("hit your") && clues.text.contains("limit");
            return if used_up { FailReason::UsageLimit } else { FailReason::RateLimit };
        }
        Some("invalid_request") => return FailReason::TokenLimit,
        Some(_) | None => {}
    }
    match clues.status {
        Some(401 | 403) => FailReason::Authentication,
        Some(413) => FailReason::TokenLimit,
        Some(429) => FailReason::RateLimit,
        Some(_) => FailReason::ModelUnavailable,
        None => reason_of_text(clues.text),
    }
}

fn reason_of_text(text: &str) -> FailReason {
    let holds = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    if holds(&["Not logged in", "Invalid API key"]) {
        FailReason::Authentication
    } else if holds(&["API Error", "API returned", "Request timed out", "Unable to connect"]) {
        FailReason::ModelUnavailable
    } else if holds(&["ENOSPC", "No space left on device"]) {
        FailReason::Disk
    } else if text.contains("No conversation found with session ID") {
        FailReason::SessionLost
    } else {
        // Its own refusal to start: a flag, a home. Ours to mend.
        FailReason::AgentFailed
    }
}
