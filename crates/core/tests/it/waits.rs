//! Stories of waiting: limits, logins, other agents, pauses.

use midwatch_core::admit::Entry;
use midwatch_core::credentials::Credentials;
use midwatch_core::decide::decide;
use midwatch_core::event::{Event, RunResult};
use midwatch_core::reason::{FailReason, HoldReason};
use midwatch_core::task::{Fallback, Outcome, State, Task, Wake, WakeEvent};
use midwatch_core::time::Time;

use crate::story::{Story, agent_run, completed, failed, failed_agent};
use crate::world::spec;

fn resume(story: &mut Story) {
    story.take(Event::Resumed { by: "me".to_owned() });
}

/// A story with another agent to fall back to, just begun.
fn with_fallback(credential: Option<&str>) -> Story {
    let mut ordered = spec("ic");
    ordered.fallbacks.push(Fallback {
        profile: "other".to_owned(),
        credential_key: credential.map(ToOwned::to_owned),
        resumes: false,
    });
    Story::new(ordered)
}

/// Another task learnt this of the first agent's credential.
fn learnt(reason: HoldReason, pauses: u32) -> Event {
    Event::CredentialLearnt {
        credential: "k".to_owned(),
        reason,
        until: Wake::At(Time::from_seconds(9_000)),
        pauses,
        detail: "what was seen".to_owned(),
    }
}

#[test]
fn a_rejected_login_holds_without_a_charge_and_goes_on_after_a_resume() {
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    story.ends_run(&agent, failed_agent(FailReason::Authentication, None));
    while story.held().is_none() {
        story.go_on();
    }
    let State::Held(hold) = &story.task.state else { unreachable!() };
    let expected = (HoldReason::NeedsLogin, Wake::On(WakeEvent::Resume));
    assert_eq!((hold.reason, hold.until), expected);
    resume(&mut story);
    let again = story.until("Agent");
    assert_eq!(agent_run(&again).resume.as_deref(), Some("session"));
    assert_eq!(story.task.attempts, 0);
    assert!(matches!(story.end(), Outcome::Done(_)));
}

#[test]
fn another_agent_takes_over_from_the_saved_work_and_the_first_comes_back_after_its_reset() {
    let mut story = with_fallback(Some("k2"));
    let agent = story.until("Agent");
    story.ends_run(&agent, failed_agent(FailReason::UsageLimit, Some(5_000)));
    story.until("SaveRescue");
    let again = story.until("Agent");
    let run = agent_run(&again);
    assert_eq!((run.agent, run.resume.as_deref()), (1, None));
    assert_ne!(run.start, story.task.spec.base, "it goes on from what was saved");
    assert!(run.prompt.contains("UsageLimit") && run.prompt.contains("earlier run"));
    story.ends_run(&again, completed(vec![]));
    // The check is red after the reset: the first agent repairs.
    story.now = Time::from_seconds(6_000);
    story.until("Check");
    story.red_check();
    let repair = story.until("Agent");
    assert_eq!(agent_run(&repair).agent, 0);
    assert!(matches!(story.end(), Outcome::Done(_)));
}

#[test]
fn a_task_is_let_in_by_the_credential_of_the_agent_that_will_work() {
    let mut story = with_fallback(Some("k2"));
    let key = |story: &Story| Entry::of(&story.task, story.now, 0, story.now).unwrap().credential;
    assert_eq!(key(&story).as_deref(), Some("k"));
    let agent = story.until("Agent");
    story.ends_run(&agent, failed_agent(FailReason::UsageLimit, Some(5_000)));
    assert_eq!(agent_run(&story.until("Agent")).agent, 1);
    assert_eq!(key(&story).as_deref(), Some("k2"));
    story.now = Time::from_seconds(6_000);
    assert_eq!(key(&story).as_deref(), Some("k"), "the first one is back");
}

#[test]
fn an_agent_with_the_same_credential_is_no_help_once_that_is_learnt() {
    let mut story = with_fallback(Some("k"));
    story.until("Agent");
    story.take(learnt(HoldReason::CredentialCoolingDown, 3));
    let agent = story.until("Agent");
    story.ends_run(&agent, failed_agent(FailReason::Stalled, None));
    while story.held().is_none() {
        story.go_on();
    }
    let State::Held(hold) = &story.task.state else { unreachable!() };
    assert_eq!(hold.until, Wake::At(Time::from_seconds(9_000)));
    assert_eq!(story.task.pauses, 3, "pauses go on growing");
}

#[test]
fn a_model_that_stays_away_is_left_for_another_and_ends_the_task_where_there_is_none() {
    let mut alone = Story::at_work("ic");
    for _ in 0..3 {
        let agent = alone.until("Agent");
        alone.ends_run(&agent, failed_agent(FailReason::ModelUnavailable, None));
    }
    assert_eq!(failed(&alone.end()), FailReason::ModelUnavailable);

    let mut story = with_fallback(None);
    for _ in 0..3 {
        let agent = story.until("Agent");
        assert_eq!(agent_run(&agent).agent, 0);
        story.ends_run(&agent, failed_agent(FailReason::ModelUnavailable, None));
    }
    let other = story.until("Agent");
    assert_eq!((agent_run(&other).agent, story.task.attempts), (1, 0));
    assert!(matches!(story.end(), Outcome::Done(_)));
}

/// Waiting and trying again cannot help a name that is wrong; another agent's name may be right.
#[test]
fn a_model_that_is_not_there_ends_the_task_at_once_where_there_is_no_other() {
    let mut alone = Story::at_work("ic");
    let agent = alone.until("Agent");
    alone.ends_run(&agent, failed_agent(FailReason::ModelNotFound, None));
    assert_eq!(failed(&alone.end()), FailReason::ModelNotFound);

    let mut story = with_fallback(None);
    let agent = story.until("Agent");
    story.ends_run(&agent, failed_agent(FailReason::ModelNotFound, None));
    let other = story.until("Agent");
    assert_eq!((agent_run(&agent).agent, agent_run(&other).agent), (0, 1));
    assert!(matches!(story.end(), Outcome::Done(_)));

    let mut neither = with_fallback(None);
    for _ in 0..2 {
        let agent = neither.until("Agent");
        neither.ends_run(&agent, failed_agent(FailReason::ModelNotFound, None));
    }
    assert_eq!(failed(&neither.end()), FailReason::ModelNotFound);
}

/// Whichever of the two comes first: the one whose name is right is waited for.
#[test]
fn a_model_that_is_not_there_is_no_end_while_another_agent_waits() {
    for wrong in [0, 1] {
        let mut story = with_fallback(Some("k2"));
        for _ in 0..2 {
            let agent = story.until("Agent");
            let (reason, reset) = if agent_run(&agent).agent == wrong {
                (FailReason::ModelNotFound, None)
            } else {
                (FailReason::UsageLimit, Some(50_000))
            };
            story.ends_run(&agent, failed_agent(reason, reset));
        }
        while story.held().is_none() {
            story.go_on();
        }
        let State::Held(hold) = &story.task.state else { unreachable!() };
        assert_eq!(hold.reason, HoldReason::CredentialCoolingDown);
        assert!(hold.detail.contains("of another agent: ModelNotFound"), "{}", hold.detail);
        story.now = Time::from_seconds(60_000);
        story.take(Event::Released);
        let again = story.until("Agent");
        assert_eq!(agent_run(&again).agent, 1 - wrong, "the wrong name is not tried again");
        assert!(matches!(story.end(), Outcome::Done(_)));
    }
}

/// Nor after a limit of the key that both use, learnt by another task.
#[test]
fn a_model_that_is_not_there_stays_away_whatever_is_learnt_of_its_key() {
    let mut story = with_fallback(Some("k"));
    let agent = story.until("Agent");
    story.ends_run(&agent, failed_agent(FailReason::ModelNotFound, None));
    story.until("Agent");
    let news = learnt(HoldReason::CredentialCoolingDown, 3);
    let mut known = Credentials::default();
    known.learn(&story.task, &news, &story.task);
    let told = known.news_for(&story.task, story.now);
    assert_eq!(told, std::slice::from_ref(&news), "the control: new to one");
    story.take(news);
    assert_eq!(known.news_for(&story.task, story.now), [], "and told once");
    let agent = story.until("Agent");
    story.ends_run(&agent, failed_agent(FailReason::Stalled, None));
    while story.held().is_none() {
        story.go_on();
    }
    assert_eq!(story.held(), Some(HoldReason::CredentialCoolingDown));
    story.now = Time::from_seconds(9_001);
    story.take(Event::Released);
    assert_eq!(agent_run(&story.until("Agent")).agent, 1, "the wrong name is not tried again");
}

/// What somebody has to mend is told though the other agent goes on by itself.
#[test]
fn a_rejected_login_is_told_while_another_agent_waits_for_its_reset() {
    let mut story = with_fallback(Some("k2"));
    for (reason, reset) in
        [(FailReason::Authentication, None), (FailReason::UsageLimit, Some(50_000))]
    {
        let agent = story.until("Agent");
        story.ends_run(&agent, failed_agent(reason, reset));
    }
    while story.held().is_none() {
        story.go_on();
    }
    let State::Held(hold) = &story.task.state else { unreachable!() };
    assert_eq!(hold.reason, HoldReason::CredentialCoolingDown);
    assert!(hold.detail.contains("of another agent: NeedsLogin"), "{}", hold.detail);
    assert!(story.task.needs_login(0) && !story.task.needs_login(1));
}

#[test]
fn an_agent_that_cannot_resume_is_told_what_was_done() {
    let mut ordered = spec("ic");
    ordered.resumes = false;
    let mut story = Story::new(ordered);
    let agent = story.until("Agent");
    let RunResult::Agent(mut result) = failed_agent(FailReason::Stalled, None) else {
        unreachable!()
    };
    result.text = "first I looked,\ndo: harm".to_owned();
    story.ends_run(&agent, RunResult::Agent(result));
    let again = story.until("Agent");
    let run = agent_run(&again);
    assert_eq!(run.resume, None);
    assert!(run.prompt.contains("| first I looked,\n| do: harm"), "{}", run.prompt);
}

#[test]
fn a_loop_begins_anew_with_the_finding() {
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    story.ends_run(&agent, failed_agent(FailReason::Looping, None));
    let again = story.until("Agent");
    assert_eq!(agent_run(&again).resume, None, "the conversation led into the loop");
    assert!(agent_run(&again).prompt.contains("Looping"));
    for _ in 0..2 {
        let agent = story.until("Agent");
        story.ends_run(&agent, failed_agent(FailReason::Looping, None));
    }
    assert_eq!(failed(&story.end()), FailReason::Looping);
}

#[test]
fn a_tool_that_is_refused_is_named_to_one_more_agent_and_then_to_people() {
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    story.ends_run(&agent, failed_agent(FailReason::PermissionNeeded, None));
    let again = story.until("Agent");
    assert_eq!(agent_run(&again).resume, None, "the conversation only asks for it again");
    assert!(agent_run(&again).prompt.contains("PermissionNeeded"), "{}", agent_run(&again).prompt);
    story.ends_run(&again, failed_agent(FailReason::PermissionNeeded, None));
    assert_eq!(failed(&story.end()), FailReason::PermissionNeeded);
}

#[test]
fn a_paused_task_is_stopped_saved_and_goes_on_where_it_was() {
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    story.take(Event::PauseRequested { by: "me".to_owned() });
    assert_eq!(story.task.stopping.len(), 1);
    story.ends_run(&agent, failed_agent(FailReason::Internal, None));
    story.until("SaveRescue");
    while story.held().is_none() {
        story.go_on();
    }
    assert_eq!(story.held(), Some(HoldReason::Paused));
    assert!(story.task.rescue_ref.is_some());
    resume(&mut story);
    let again = story.until("Agent");
    assert_eq!(agent_run(&again).resume.as_deref(), Some("session"));
    assert_eq!((story.task.attempts, story.task.free_retries), (0, 0));
    assert!(matches!(story.end(), Outcome::Done(_)));
}

#[test]
fn a_queued_task_that_is_paused_is_held_at_once() {
    let mut task = Task::new(spec("ic"));
    task.apply(&Event::PauseRequested { by: "me".to_owned() }).unwrap();
    let decision = decide(&task, Time::default());
    task.apply(&decision.events[0]).unwrap();
    let State::Held(hold) = &task.state else { panic!("{:?}", task.state) };
    assert_eq!(hold.reason, HoldReason::Paused);
}

#[test]
fn a_task_that_is_told_of_an_outage_begins_with_another_agent() {
    let mut story = with_fallback(Some("k2"));
    story.take(learnt(HoldReason::ModelDown, 2));
    let agent = story.until("Agent");
    assert_eq!(agent_run(&agent).agent, 1);
}
