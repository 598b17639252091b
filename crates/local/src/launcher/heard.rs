//! What an agent says of its provider beside what the gateway saw. An agent's output is hostile: a
//! line of it must not hold a credential, and a line that is missing must not end a task.

use midwatch_core::agent::AgentOutcome;
use midwatch_core::reason::FailReason;

use crate::access::{Heard, Limit, Trouble};

/// Seconds for which a reset is believed that only the agent told: as long as the longest pause
/// where no reset is known.
const TOLD_BY_THE_AGENT: i64 = 3_600;

/// What a run came to, after what was heard of its model. `now` is in seconds since 1970.
pub(super) fn judged(outcome: AgentOutcome, heard: &Heard, now: i64) -> AgentOutcome {
    let AgentOutcome::Failed { reason, detail, resets_at } = outcome else {
        return outcome;
    };
    let failed = |reason, detail, resets_at| AgentOutcome::Failed { reason, detail, resets_at };
    match reason {
        FailReason::UsageLimit | FailReason::RateLimit => match heard.limit {
            Some(Limit { resets_at: Some(reset) }) => failed(reason, detail, Some(reset)),
            Some(Limit { resets_at: None }) => {
                let near = resets_at.filter(|reset| *reset <= now + TOLD_BY_THE_AGENT);
                failed(reason, detail, near)
            }
            None if heard.whole => failed(FailReason::AgentFailed, alone("a limit", &detail), None),
            None => failed(reason, detail, resets_at),
        },
        FailReason::Authentication if heard.whole && !heard.rejected => {
            failed(FailReason::AgentFailed, alone("a rejected login", &detail), None)
        }
        // It said nothing of it, or nothing that we know.
        FailReason::AgentFailed | FailReason::Stalled | FailReason::Timeout => {
            match heard.last.and_then(|trouble| found(trouble, reason, &detail)) {
                Some((reason, detail, reset)) => failed(reason, detail, reset),
                None => failed(reason, detail, resets_at),
            }
        }
        FailReason::Authentication
        | FailReason::ModelUnavailable
        | FailReason::ModelNotFound
        | FailReason::SessionLost
        | FailReason::Looping
        | FailReason::OutOfMemory
        | FailReason::ProcessLimit
        | FailReason::OutputLimit
        | FailReason::Disk
        | FailReason::EmptyDiff
        | FailReason::CheckCouldNotRun
        | FailReason::AlreadyRedOnBase
        | FailReason::VerificationFailed
        | FailReason::ReviewRejected
        | FailReason::SecretFound
        | FailReason::ProtectedPath
        | FailReason::MergeConflict
        | FailReason::PushRejected
        | FailReason::RepositoryAway
        | FailReason::SetupFailed
        | FailReason::Image
        | FailReason::Evicted
        | FailReason::NodeLost
        | FailReason::InvalidInput
        | FailReason::Blocked
        | FailReason::DependencyFailed
        | FailReason::TurnLimit
        | FailReason::TokenLimit
        | FailReason::CostLimit
        | FailReason::PermissionNeeded
        | FailReason::Internal => failed(reason, detail, resets_at),
    }
}

/// What the agent alone says is a failure of its own.
fn alone(what: &str, detail: &str) -> String {
    format!("it told of {what}, and no answer of its provider did: {detail}")
}

/// The reason that its last answer gives to an end that has none of its own.
fn found(
    trouble: Trouble,
    ended: FailReason,
    detail: &str,
) -> Option<(FailReason, String, Option<i64>)> {
    let (reason, what, reset) = match trouble {
        Trouble::Limit(reset) => (FailReason::UsageLimit, "told of a limit", reset),
        Trouble::Login => (FailReason::Authentication, "rejected the login", None),
        Trouble::Down => (FailReason::ModelUnavailable, "was none that it could use", None),
        // A path or a model that it may not use is no reason to hold the credential.
        Trouble::Denied => return None,
    };
    Some((reason, format!("the last answer of its provider {what} ({ended}: {detail})"), reset))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000;

    fn outcome(reason: FailReason, resets_at: Option<i64>) -> AgentOutcome {
        AgentOutcome::Failed { reason, detail: "as it said".into(), resets_at }
    }

    fn whole(answers: &[Option<Trouble>]) -> Heard {
        let mut heard = Heard { whole: true, ..Heard::default() };
        for answer in answers {
            heard.take(*answer);
        }
        heard
    }

    #[track_caller]
    fn came_to(
        said: FailReason,
        resets_at: Option<i64>,
        heard: &Heard,
    ) -> (FailReason, Option<i64>) {
        match judged(outcome(said, resets_at), heard, NOW) {
            AgentOutcome::Failed { reason, detail, resets_at } => {
                assert!(detail.contains("as it said"), "{detail}");
                (reason, resets_at)
            }
            AgentOutcome::Completed => panic!("it failed"),
        }
    }

    #[test]
    fn a_line_of_an_agent_holds_no_credential() {
        let (week, limit) = (Some(NOW + 600_000), FailReason::UsageLimit);
        let failed = (FailReason::AgentFailed, None);
        for answers in [&[][..], &[None], &[Some(Trouble::Down), None, Some(Trouble::Denied)]] {
            assert_eq!(came_to(limit, week, &whole(answers)), failed);
        }
        assert_eq!(came_to(FailReason::Authentication, None, &whole(&[None])), failed);
        // The same line where the gateway saw it, however long ago, and where a server died that may have seen it.
        let rejected = whole(&[&[Some(Trouble::Login)][..], &[None; 100]].concat());
        let login = FailReason::Authentication;
        assert_eq!(came_to(login, None, &rejected), (login, None));
        for said in [limit, login] {
            assert_eq!(came_to(said, week, &Heard::default()), (said, week));
        }
    }

    #[test]
    fn the_reset_is_the_providers() {
        let limit = FailReason::UsageLimit;
        let (soon, week) = (Some(NOW + 60), Some(NOW + 600_000));
        let of_provider = whole(&[&[Some(Trouble::Limit(soon))][..], &[None; 100]].concat());
        assert_eq!(came_to(limit, week, &of_provider), (limit, soon));
        let untold = whole(&[Some(Trouble::Limit(None))]);
        assert_eq!(came_to(limit, week, &untold), (limit, None));
        assert_eq!(came_to(limit, soon, &untold), (limit, soon));
    }

    #[test]
    fn an_agent_that_falls_silent_is_judged_by_its_last_answer() {
        let reset = Some(NOW + 7_000);
        for said in [FailReason::Stalled, FailReason::Timeout, FailReason::AgentFailed] {
            let by = |last: Option<Trouble>| came_to(said, None, &whole(&[None, last]));
            assert_eq!(by(Some(Trouble::Limit(reset))), (FailReason::UsageLimit, reset));
            assert_eq!(by(Some(Trouble::Login)), (FailReason::Authentication, None));
            assert_eq!(by(Some(Trouble::Down)), (FailReason::ModelUnavailable, None));
            assert_eq!(by(Some(Trouble::Denied)), (said, None));
            assert_eq!(by(None), (said, None));
        }
        let over = whole(&[Some(Trouble::Down), None]);
        assert_eq!(came_to(FailReason::Stalled, None, &over), (FailReason::Stalled, None));
        let disk = whole(&[Some(Trouble::Down)]);
        assert_eq!(came_to(FailReason::Disk, None, &disk), (FailReason::Disk, None));
    }
}
