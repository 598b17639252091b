//! What went wrong, from the sentences that codex prints: it has no codes.

use midwatch_core::reason::FailReason;

/// Words of a failure and what they mean, most telling first.
const TABLE: [(&str, FailReason); 28] = [
    ("hit your usage limit", FailReason::UsageLimit),
    ("usage_limit_reached", FailReason::UsageLimit),
    ("Quota exceeded", FailReason::UsageLimit),
    ("insufficient_quota", FailReason::UsageLimit),
    ("billing_hard_limit_reached", FailReason::UsageLimit),
    ("401 Unauthorized", FailReason::Authentication),
    ("403 Forbidden", FailReason::Authentication),
    ("Missing environment variable", FailReason::Authentication),
    ("context_length_exceeded", FailReason::TokenLimit),
    ("context window", FailReason::TokenLimit),
    ("reason: max_output_tokens", FailReason::TokenLimit),
    ("413 Payload Too Large", FailReason::TokenLimit),
    ("429 Too Many Requests", FailReason::RateLimit),
    ("rate limit", FailReason::RateLimit),
    ("Rate limit", FailReason::RateLimit),
    ("No space left on device", FailReason::Disk),
    ("model_not_found", FailReason::ModelNotFound),
    ("does not exist or you do not have access to it", FailReason::ModelNotFound),
    ("unexpected status", FailReason::ModelUnavailable),
    ("exceeded retry limit", FailReason::ModelUnavailable),
    ("high demand", FailReason::ModelUnavailable),
    ("at capacity", FailReason::ModelUnavailable),
    ("stream disconnected", FailReason::ModelUnavailable),
    ("waiting for network", FailReason::ModelUnavailable),
    ("error sending request", FailReason::ModelUnavailable),
    ("Connection failed", FailReason::ModelUnavailable),
    ("timed out", FailReason::ModelUnavailable),
    ("timeout", FailReason::ModelUnavailable),
];

/// The reason of a failed turn. A turn that failed for what the provider answered and is not
/// in the table (a 400 comes as the bare body) is the provider's.
pub(super) fn of_turn(text: &str) -> FailReason {
    known(text).unwrap_or(FailReason::ModelUnavailable)
}

/// What it says of a thread that it does not have.
const LOST: &str = "no rollout found for thread id";

/// The reason of an end without a turn: unless it is in the table, codex did not start.
pub(super) fn of_start(text: &str) -> FailReason {
    let own = if text.contains(LOST) { FailReason::SessionLost } else { FailReason::AgentFailed };
    known(text).unwrap_or(own)
}

fn known(text: &str) -> Option<FailReason> {
    TABLE.iter().find(|(words, _)| text.contains(words)).map(|(_, reason)| *reason)
}
