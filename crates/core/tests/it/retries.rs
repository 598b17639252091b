//! Stories of failures: what is tried again, when, and how often.

use midwatch_core::admit::Entry;
use midwatch_core::decide::{MAX_EPOCHS, MAX_FREE_RETRIES, SLOT_KEPT_SECONDS, decide};
use midwatch_core::event::{Action, Event, RunResult};
use midwatch_core::pipeline::MAX_ATTEMPTS;
use midwatch_core::reason::{FailReason, HoldReason, RetryRule};
use midwatch_core::task::{Outcome, Stage, State, Wake};
use midwatch_core::time::Time;

use crate::story::{Story, agent_run, completed, failed, failed_agent};
use crate::world::spec;

#[test]
fn setup_that_fails_with_the_change_goes_back_with_what_was_said() {
    let mut ordered = spec("ic");
    ordered.setup = Some("npm ci".to_owned());
    let mut story = Story::new(ordered);
    story.import(|facts| facts.lock_hash = "lock-new".to_owned());
    let setup = story.until("Setup");
    story.fails(&setup, FailReason::Evicted);
    let setup = story.until("Setup");
    assert_eq!(story.task.repairs, 0, "the machine's fault is not the agent's");
    story.fails(&setup, FailReason::SetupFailed);
    let agent = story.until("Agent");
    assert!(agent_run(&agent).prompt.contains("Installing dependencies failed"));
    assert!(matches!(story.end(), Outcome::Done(_)));
}

#[test]
fn a_reviewer_without_a_verdict_is_tried_three_times() {
    let mut story = Story::of("icr");
    story.import(|_| ());
    for _ in 0..3 {
        let review = story.until("Agent");
        story.ends_run(&review, completed(vec![]));
    }
    assert_eq!(failed(&story.end()), FailReason::ReviewRejected);
}

#[test]
fn a_plan_that_is_empty_fails() {
    let mut story = Story::of("picr");
    let plan = story.until("Agent");
    story.ends_run(&plan, completed(vec![]));
    assert_eq!(failed(&story.end()), FailReason::InvalidInput);
}

#[test]
fn a_retry_goes_on_with_the_session_and_the_last_one_begins_anew() {
    let mut story = Story::at_work("ic");
    for resumed in [None, Some("session"), None] {
        let agent = story.until("Agent");
        assert_eq!(agent_run(&agent).resume.as_deref(), resumed);
        story.ends_run(&agent, failed_agent(FailReason::Stalled, None));
    }
    assert_eq!(failed(&story.end()), FailReason::Stalled);
}

#[test]
fn a_conversation_that_is_lost_begins_anew_at_once_and_costs_nothing() {
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    story.ends_run(&agent, failed_agent(FailReason::Stalled, None));
    let resumed = story.until("Agent");
    assert_eq!(agent_run(&resumed).resume.as_deref(), Some("session"));
    let lost_at = story.now;
    story.ends_run(&resumed, failed_agent(FailReason::SessionLost, None));
    let anew = story.until("Agent");
    let run = agent_run(&anew);
    assert_eq!((run.resume.as_deref(), story.task.attempts), (None, 1));
    assert!(run.prompt.contains("Stalled"), "what is known of the work stays: {}", run.prompt);
    assert!(!run.prompt.contains("SessionLost"), "nothing was done there: {}", run.prompt);
    assert!(story.now <= lost_at.plus_seconds(2), "{:?} after {lost_at:?}", story.now);
    // Who began a conversation cannot have lost it: that is a failure like any other.
    story.ends_run(&anew, failed_agent(FailReason::SessionLost, None));
    let last = story.until("Agent");
    assert_eq!((agent_run(&last).resume.as_deref(), story.task.attempts), (None, 2));
    story.ends_run(&last, failed_agent(FailReason::SessionLost, None));
    assert_eq!(failed(&story.end()), FailReason::AgentFailed);
}

#[test]
fn a_limit_holds_until_its_reset_and_the_step_goes_on() {
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    story.ends_run(&agent, failed_agent(FailReason::UsageLimit, Some(5_000)));
    while story.held().is_none() {
        story.go_on();
    }
    let State::Held(hold) = &story.task.state else { unreachable!() };
    assert_eq!(hold.until, Wake::At(Time::from_seconds(5_060)));
    assert!(story.task.rescue_ref.is_some(), "saved before it waits");
    story.now = Time::from_seconds(5_060);
    story.settle();
    assert_eq!(story.task.state, State::Queued);
    let again = story.until("Agent");
    assert_eq!(agent_run(&again).resume.as_deref(), Some("session"));
    assert_eq!((story.task.attempts, &story.task.stage), (0, &Stage::Step(0)));
}

/// How long each hold lasts when a limit says nothing of its reset, or something odd.
fn pauses(resets_at: Option<i64>, times: usize) -> Vec<i64> {
    let mut story = Story::at_work("ic");
    let mut pauses = Vec::new();
    for _ in 0..times {
        let agent = story.until("Agent");
        story.ends_run(&agent, failed_agent(FailReason::RateLimit, resets_at));
        while story.held().is_none() {
            story.go_on();
        }
        let State::Held(hold) = &story.task.state else { unreachable!() };
        let Wake::At(at) = hold.until else { panic!("{hold:?}") };
        pauses.push((at.0 - story.now.0) / 1000);
        story.now = at;
        story.settle();
    }
    pauses
}

#[test]
fn resets_are_believed_within_reason() {
    let growing = [60, 120, 240, 480, 960, 1920, 3600, 3600];
    for odd in [None, Some(1)] {
        for (pause, plain) in pauses(odd, 8).into_iter().zip(growing) {
            // A jitter of a quarter at most.
            assert!((plain..=plain + plain / 4).contains(&pause), "{pause} for {plain}");
        }
    }
    assert_eq!(pauses(Some(i64::MAX), 1), [7 * 86_400 + 60]);
}

/// What a machine costs is tried again after pauses that grow. A short one keeps the slot; in a long
/// one others have it, and the task goes on when its pause is over and the queue lets it.
#[test]
fn a_long_pause_gives_the_slot_back_and_a_short_one_keeps_it() {
    let mut story = Story::at_work("ic");
    let entry = |story: &Story| Entry::of(&story.task, story.now, 0, story.now);
    for kept in [true, true, true, false, false] {
        let agent = story.until("Agent");
        story.ends_run(&agent, failed_agent(FailReason::NodeLost, None));
        while story.task.pauses_until(story.now).is_none() {
            story.go_on();
        }
        let at = story.task.pauses_until(story.now).unwrap();
        assert_eq!(at <= story.now.plus_seconds(SLOT_KEPT_SECONDS), kept);
        if kept {
            assert!(entry(&story).is_some_and(|entry| entry.running && entry.again));
            continue;
        }
        assert_eq!((&story.task.state, entry(&story)), (&State::Queued, None));
        assert_eq!(decide(&story.task, story.now).wake, Some(Wake::At(at)));
        // Not a moment before, and then by the queue only.
        story.now = at;
        story.settle();
        assert_eq!((&story.task.state, story.task.open.len()), (&State::Queued, 0));
        assert!(entry(&story).is_some_and(|entry| !entry.running && entry.again));
        story.take(Event::Admitted);
        assert!(story.open("Agent").is_some());
        assert!(entry(&story).is_some_and(|entry| entry.running && !entry.again));
    }
    assert_eq!((story.task.attempts, story.task.free_retries), (0, 5));
    assert!(matches!(story.end(), Outcome::Done(_)));
}

#[test]
fn a_task_that_gave_its_slot_back_is_paused_resumed_and_cancelled_like_any_other() {
    let begin = || {
        let mut story = Story::at_work("ic");
        while !matches!(story.task.state, State::Queued) {
            let agent = story.until("Agent");
            story.ends_run(&agent, failed_agent(FailReason::NodeLost, None));
            while story.task.pauses_until(story.now).is_none() {
                story.go_on();
            }
        }
        story
    };
    let by = "me".to_owned();
    let mut story = begin();
    story.take(Event::PauseRequested { by: by.clone() });
    assert_eq!(story.held().unwrap(), HoldReason::Paused);
    // Resumed, it does not wait for the rest of its pause.
    story.take(Event::Resumed { by: by.clone() });
    assert_eq!((&story.task.state, story.task.retry_at), (&State::Queued, None));
    assert!(matches!(story.end(), Outcome::Done(_)));
    let mut story = begin();
    story.take(Event::CancelRequested { by });
    assert_eq!(story.end(), Outcome::Cancelled);
}

#[test]
fn nothing_starts_runs_for_ever() {
    let mut story = Story::at_work("ic");
    for _ in 0..=MAX_EPOCHS {
        let Some(agent) = story.open("Agent") else { break };
        story.ends_run(&agent, failed_agent(FailReason::UsageLimit, None));
        for _ in 0..4 {
            if let State::Held(hold) = &story.task.state {
                let Wake::At(at) = hold.until else { panic!("{hold:?}") };
                story.now = at;
                story.settle();
            } else if !story.task.state.is_terminal() && story.open("Agent").is_none() {
                story.go_on();
            }
        }
    }
    assert_eq!(failed(&story.end()), FailReason::Internal);
    assert!(story.task.epoch.0 <= MAX_EPOCHS + 1, "{}", story.task.epoch);
}

#[test]
fn a_machine_that_always_fails_is_given_up() {
    for kind in ["Fetch", "Checkout", "Publish"] {
        let mut story = Story::of("ic");
        for _ in 0..=MAX_FREE_RETRIES {
            let action = story.until(kind);
            story.fails(&action, FailReason::Evicted);
        }
        assert_eq!(failed(&story.end()), FailReason::Evicted, "{kind}");
    }
}

#[test]
fn a_sandbox_that_cannot_be_built_holds_until_somebody_resumes() {
    let mut story = Story::of("ic");
    let checkout = story.until("Checkout");
    let detail = "no seccomp".to_owned();
    story.ends_run(&checkout, RunResult::SandboxUnavailable { detail });
    assert_eq!(story.held(), Some(HoldReason::SandboxUnavailable));
    story.take(Event::Resumed { by: "me".to_owned() });
    assert!(matches!(story.end(), Outcome::Done(_)));
}

/// What always fails the same way, for a simulated day with somebody who resumes each hour.
fn day_of(reason: FailReason, kind: &str) -> (Story, Vec<Time>) {
    let mut story = Story::of("ic");
    let end = story.now.plus_seconds(24 * 60 * 60);
    let mut starts = vec![];
    while story.now < end && !story.task.state.is_terminal() {
        if let Some(action) = story.open(kind) {
            starts.push(story.now);
            match &action {
                Action::Run(_) if kind == "Agent" => {
                    story.ends_run(&action, failed_agent(reason, None));
                }
                Action::Run(_) | Action::Land(_) => story.fails(&action, reason),
            }
            continue;
        }
        let hold = match &story.task.state {
            State::Held(hold) => hold.until,
            State::Queued | State::Running(_) | State::Ended(_) => {
                story.go_on();
                continue;
            }
        };
        if let Wake::At(at) = hold {
            story.now = at;
            story.settle();
        } else {
            story.now = story.now.plus_seconds(60 * 60);
            story.take(Event::Resumed { by: "me".to_owned() });
        }
    }
    (story, starts)
}

#[test]
fn every_reason_has_its_rule_and_none_is_a_hot_loop() {
    for reason in FailReason::ALL {
        for kind in ["Fetch", "Checkout", "Agent", "Import", "Publish"] {
            let (story, starts) = day_of(*reason, kind);
            let told = format!("{reason} of {kind}: {} starts", starts.len());
            let most = match reason.facts().retry {
                RetryRule::Never => 1,
                RetryRule::Charged => MAX_ATTEMPTS as usize,
                RetryRule::Once => 2,
                RetryRule::Free => MAX_FREE_RETRIES as usize + 1,
                // Nobody's fault: as long as it lasts, each pause longer, an hour at last.
                RetryRule::HoldUntilReset => 24 + 7,
                RetryRule::HoldForLogin => 24,
                // By itself for hours, and for hours again whenever somebody resumes it: every ten
                // minutes at last.
                RetryRule::HoldUntilThere => 24 + 24 * 6,
            };
            // A verdict that is missing is asked for again; a change that is none cannot be.
            let most = if *reason == FailReason::ReviewRejected { 3 } else { most };
            assert!((1..=most).contains(&starts.len()), "{told}, {most} at most");
            let held = match reason.facts().retry {
                RetryRule::HoldUntilReset | RetryRule::HoldForLogin | RetryRule::HoldUntilThere => {
                    true
                }
                RetryRule::Never | RetryRule::Charged | RetryRule::Once | RetryRule::Free => false,
            };
            let ended = match &story.task.state {
                State::Ended(outcome) => Some(failed(outcome)),
                State::Queued | State::Running(_) | State::Held(_) => None,
            };
            // What was begun anew cannot be lost: that ends as what it is.
            let known = match (kind, reason) {
                ("Agent", FailReason::SessionLost) => FailReason::AgentFailed,
                (_, reason) => *reason,
            };
            assert!(held || ended == Some(known), "{told}: {ended:?}");
            let hot = starts.windows(2).any(|two| two[0] >= two[1]);
            assert!(!hot, "{told}: {starts:?}");
        }
    }
}
