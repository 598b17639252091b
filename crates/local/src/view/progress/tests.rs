//! Who decided what, which agent went away, and what is tried again: all of it can be read later.

use midwatch_core::id::CommitId;
use midwatch_core::task::WakeEvent;
use serde_json::{Value, json};

use super::*;
use crate::store::tests::order;

fn task(fallback: bool) -> Task {
    let mut order = order();
    if fallback {
        let mut other = order.agent.clone();
        other.profile = "other".into();
        order.fallbacks = vec![other];
    }
    Task::new(order.to_spec("t").unwrap())
}

#[track_caller]
fn told(task: &Task, event: &Event) -> Value {
    let progress = progress(task, event, Time(5)).unwrap_or_else(|| panic!("nothing of {event:?}"));
    serde_json::to_value(progress).unwrap()
}

#[test]
fn every_decision_of_somebody_is_told_with_who_took_it() {
    let (commit, by) = (CommitId::parse(&"a".repeat(40)).unwrap(), "me".to_owned());
    let decided = |decision: &str, of: Option<&str>, id: Option<&str>, text: Option<&str>| json!({"type": "decided", "decision": decision, "by": "me", "of": of, "id": id, "text": text});
    let cases = [
        (
            Event::Approved { commit: commit.clone(), by: by.clone() },
            decided("Approved", Some("Commit"), Some(commit.as_str()), None),
        ),
        (
            Event::PlanApproved { plan: "d1".into(), by: by.clone() },
            decided("Approved", Some("Plan"), Some("d1"), None),
        ),
        (
            Event::Rejected { feedback: "keep it".into(), by: by.clone() },
            decided("Rejected", None, None, Some("keep it")),
        ),
        (
            Event::Rejected { feedback: String::new(), by: by.clone() },
            decided("Rejected", None, None, None),
        ),
        (
            Event::QuestionAnswered {
                question: "db".into(),
                choice: "file".into(),
                by: by.clone(),
            },
            decided("Answered", Some("Question"), Some("db"), Some("file")),
        ),
        (
            Event::Messaged { text: "and the docs".into(), by: by.clone() },
            decided("Messaged", None, None, Some("and the docs")),
        ),
        (Event::PauseRequested { by: by.clone() }, decided("Paused", None, None, None)),
        (Event::CancelRequested { by: by.clone() }, decided("Cancelled", None, None, None)),
    ];
    for (event, wanted) in cases {
        assert_eq!(told(&task(false), &event), wanted);
    }
    let resumed = told(&task(false), &Event::Resumed { by });
    assert_eq!(resumed["detail"], "resumed by me");
}

#[test]
fn a_retry_and_a_fallback_are_told() {
    let mut task = task(true);
    task.free_retries = 2;
    let retried = told(&task, &Event::Retried { charged: false, at: Time(9) });
    let wanted = json!({"type": "retry", "number": 2, "charged": false, "notBeforeMs": 9});
    assert_eq!(retried, wanted);
    let gone = |agent: usize, until| Event::AgentUnavailable {
        agent,
        reason: HoldReason::NeedsLogin,
        detail: "401".into(),
        until,
    };
    let first = gone(0, Wake::On(WakeEvent::Resume));
    task.apply(&Event::Admitted).unwrap();
    task.apply(&first).unwrap();
    let shown = told(&task, &first);
    assert_eq!((&shown["profile"], &shown["next"]), (&json!("custom"), &json!("other")));
    assert_eq!((&shown["reason"], &shown["untilMs"]), (&json!("NeedsLogin"), &Value::Null));
    let second = gone(1, Wake::At(Time(7)));
    task.apply(&second).unwrap();
    let shown = told(&task, &second);
    assert_eq!((&shown["profile"], &shown["next"]), (&json!("other"), &Value::Null));
    assert_eq!(shown["untilMs"], 7);
}

#[test]
fn what_another_task_learnt_is_told_of_the_agent_that_it_stops() {
    let mut task = task(true);
    task.spec.credential_key = Some("k".into());
    task.spec.fallbacks[0].credential_key = Some("k".into());
    task.apply(&Event::Admitted).unwrap();
    let mut wrong = task.clone();
    let nameless = Event::AgentUnavailable {
        agent: 0,
        reason: HoldReason::ModelNotFound,
        detail: "404".into(),
        until: Wake::On(WakeEvent::Resume),
    };
    wrong.apply(&nameless).unwrap();
    let learnt = Event::CredentialLearnt {
        credential: "k".into(),
        reason: HoldReason::CredentialCoolingDown,
        until: Wake::At(Time(7)),
        pauses: 1,
        detail: "429".into(),
    };
    for (mut task, stopped) in [(task, "custom"), (wrong, "other")] {
        task.apply(&learnt).unwrap();
        assert_eq!(told(&task, &learnt)["profile"], stopped);
    }
}

/// Somebody stopped it: that is no failure of the run, and none is told.
#[test]
fn a_run_that_a_pause_stopped_is_told_as_stopped() {
    let mut task = task(false);
    task.apply(&Event::Admitted).unwrap();
    let result =
        RunResult::Failed { reason: FailReason::Internal, detail: "it was stopped".into() };
    let run = RunName::parse("t-check-2").unwrap();
    let ended = Event::RunEnded { run, epoch: Epoch(2), result };
    assert_eq!(told(&task, &ended)["stopped"], false, "the control: nobody asked");
    task.apply(&Event::PauseRequested { by: "me".into() }).unwrap();
    let stopped = told(&task, &ended);
    assert_eq!((&stopped["stopped"], &stopped["detail"]), (&json!(true), &Value::Null));
}
