//! What happens after a failure: the row of its reason, and how often it was tried already.

use crate::event::Event;
use crate::pause;
use crate::pipeline::MAX_ATTEMPTS;
use crate::reason::{FailReason, HoldReason, Pause, RetryRule};
use crate::task::{Ending, Failure, Hold, Task, Unsaved, Wake, WakeEvent};
use crate::time::Time;

use super::MAX_FREE_RETRIES;

/// The farthest reset that is believed, in seconds: the longest known limits are weekly, and
/// the time is only what a CLI said. After that it is tried again.
const FARTHEST_RESET: i64 = 7 * 24 * 60 * 60;
/// Seconds added to a reset time that a provider told.
const RESET_MARGIN: i64 = 60;
/// Seconds before a model that did not answer is asked again, while another agent works.
const MODEL_DOWN: i64 = 30 * 60;
/// How often a repository that is away is looked for, for hours, before only a person lets the
/// task look again.
const MAX_AWAY_LOOKS: u32 = 24;
/// Before work that found no room on the disk is tried to be saved again.
const FULL_DISK: Pause = Pause { first: 10, most: 60 };
/// Pauses in a row for an outage that several tasks see, before they fail: over three hours.
pub const MAX_OUTAGE_PAUSES: u32 = 24;

pub(super) fn after(task: &Task, failure: &Failure, now: Time) -> Event {
    let Some(reason) = failure.reason else {
        return Event::Held(Hold {
            reason: HoldReason::SandboxUnavailable,
            detail: failure.detail.clone(),
            until: Wake::On(WakeEvent::Resume),
        });
    };
    let facts = reason.facts();
    let end = || Event::EndingChosen(Ending::Fail(reason, failure.detail.clone()));
    // An outage is waited for instead: a task that tries after each wait would only be one more.
    let outage = task.outage && task.model_failed().is_some();
    let may_charge = !outage && task.attempts + 1 < MAX_ATTEMPTS;
    let again = |charged, tries| {
        let millis = pause::millis(&task.spec.name, tries, facts.pause);
        Event::Retried { charged, at: now.plus_millis(millis) }
    };
    // A review without a verdict could not run: tried again, though a rejection never is.
    if reason == FailReason::ReviewRejected && may_charge {
        return again(true, task.attempts);
    }
    if outage && let Some(until) = outage_until(task, facts.pause, now) {
        return gone(failure, HoldReason::ModelDown, until);
    }
    // Waiting mends no name; whoever has another may still have to wait for that one.
    if reason == FailReason::ModelNotFound && has_another_model(task, failure) {
        return gone(failure, HoldReason::ModelNotFound, Wake::On(WakeEvent::Resume));
    }
    match facts.retry {
        RetryRule::Charged if may_charge => again(true, task.attempts),
        RetryRule::Once if task.attempts == 0 => again(true, task.attempts),
        RetryRule::Charged | RetryRule::Once | RetryRule::Never
            if facts.elsewhere && has_another(task, failure, now) =>
        {
            let until = Wake::At(now.plus_seconds(MODEL_DOWN));
            gone(failure, HoldReason::ModelDown, until)
        }
        RetryRule::Free if task.free_retries < MAX_FREE_RETRIES => again(false, task.free_retries),
        RetryRule::Never | RetryRule::Once | RetryRule::Charged | RetryRule::Free => end(),
        RetryRule::HoldUntilReset => {
            let until = Wake::At(match failure.resets_at {
                Some(reset) if reset > now => {
                    reset.min(now.plus_seconds(FARTHEST_RESET)).plus_seconds(RESET_MARGIN)
                }
                Some(_) | None => {
                    let millis = pause::millis(&task.spec.name, task.pauses, facts.pause);
                    now.plus_millis(millis)
                }
            });
            gone(failure, HoldReason::CredentialCoolingDown, until)
        }
        RetryRule::HoldForLogin => {
            gone(failure, HoldReason::NeedsLogin, Wake::On(WakeEvent::Resume))
        }
        RetryRule::HoldUntilThere => {
            let until = if task.looks < MAX_AWAY_LOOKS {
                let millis = pause::millis(&task.spec.name, task.looks, facts.pause);
                Wake::At(now.plus_millis(millis))
            } else {
                Wake::On(WakeEvent::Resume)
            };
            let detail = failure.detail.clone();
            Event::Held(Hold { reason: HoldReason::RepositoryAway, detail, until })
        }
    }
}

/// When a model that other tasks do not reach either is asked again; none when it is something else
/// that failed, or when it was waited for often enough. Whoever began before it was known waits as
/// long as all others do: only a try after that makes the pause grow.
fn outage_until(task: &Task, pause: Pause, now: Time) -> Option<Wake> {
    let known = task.unavailable.get(&task.model_failed()?).map(|gone| gone.until);
    known.filter(|until| until.lasts(now)).or_else(|| {
        let millis = pause::millis(&task.spec.name, task.pauses, pause);
        (task.pauses < MAX_OUTAGE_PAUSES).then(|| Wake::At(now.plus_millis(millis)))
    })
}

/// Work that finds no room on the disk waits for some: for a while first, and then in the queue,
/// which lets nobody in before there is.
pub(super) fn no_room(task: &Task, unsaved: &Unsaved, now: Time) -> Hold {
    let millis = pause::millis(&task.spec.name, unsaved.tries, FULL_DISK);
    Hold {
        reason: HoldReason::DiskLow,
        detail: format!("there is no room to save the work of {}", unsaved.run),
        until: Wake::At(now.plus_millis(millis)),
    }
}

/// An agent is gone for a while: the next one takes over, or the task waits. What was no agent's
/// (a push) waits at once.
fn gone(failure: &Failure, reason: HoldReason, until: Wake) -> Event {
    let detail = failure.detail.clone();
    match failure.agent {
        Some(agent) => Event::AgentUnavailable { agent, reason, detail, until },
        None => Event::Held(Hold { reason, detail, until }),
    }
}

/// Whether an agent other than the one that failed has a model that may be there, now or later.
fn has_another_model(task: &Task, failure: &Failure) -> bool {
    failure.agent.is_some_and(|failed| {
        (0..task.spec.agents()).any(|agent| agent != failed && !task.names_no_model(agent))
    })
}

/// Whether an agent other than the one that failed can work now.
fn has_another(task: &Task, failure: &Failure, now: Time) -> bool {
    let Some(failed) = failure.agent else {
        return false;
    };
    (0..task.spec.agents()).any(|agent| {
        let gone = task.unavailable.get(&agent).is_some_and(|gone| gone.until.lasts(now));
        agent != failed && !gone
    })
}
