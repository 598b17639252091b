//! What people let through, and what else they decided, in sentences. Not escaped.

use midwatch_api::view::{ApprovalLine, DecidedOn, ResultLine};

use super::quantity::moment;

/// Digits of a plan's digest or a commit's id that are shown.
const DIGITS: usize = 12;

/// A sentence for each approval.
pub(crate) fn sentences(result: &ResultLine) -> Vec<String> {
    result.approvals.iter().map(sentence).collect()
}

fn sentence(approval: &ApprovalLine) -> String {
    let ApprovalLine { of, id, by, at_ms } = approval;
    let at = moment(*at_ms).map(|at| format!(" at {at}")).unwrap_or_default();
    format!("{} by {by}{at}", about(*of, id))
}

/// `plan 0123456789ab`.
pub(crate) fn about(of: DecidedOn, id: &str) -> String {
    let shown = match of {
        DecidedOn::Plan | DecidedOn::Commit => id.get(..DIGITS).unwrap_or(id),
        // What a question is called is short already, and no number.
        DecidedOn::Question => id,
    };
    format!("{} {shown}", of.noun())
}
