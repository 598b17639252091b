//! Rows that are read back, and those that are none.

use midwatch_core::agent::AgentOutcome;
use midwatch_core::event::{
    AgentResult, AgentRun, Artifact, LandAction, LeftOut, Question, Role, RunOrder, RunWork,
};
use midwatch_core::evidence::{CheckResult, Exit, NotItsOwn, TestCounts};
use midwatch_core::id::{BranchName, StepName};
use midwatch_core::task::Spent;

use super::*;

fn round_trip(event: Event) -> String {
    let json = serde_json::to_string(&EventRow(event.clone())).unwrap();
    let back: EventRow = serde_json::from_str(&json).unwrap();
    assert_eq!(back.0, event, "{json}");
    json
}

fn commit(c: char) -> CommitId {
    CommitId::parse(&c.to_string().repeat(40)).unwrap()
}

#[test]
fn every_shape_is_read_back() {
    let run = RunName::parse("t-implement-3").unwrap();
    let step = StepName::parse("implement").unwrap();
    let agent = RunWork::Agent(Box::new(AgentRun {
        role: Role::Implement,
        start: commit('a'),
        onto: commit('b'),
        deps: Some("d".into()),
        prompt: "do\n\u{0}it".into(),
        resume: None,
        wall_seconds: 1,
        max_turns: Some(2),
        agent: 1,
        messages: 3,
    }));
    let works = [
        RunWork::Checkout { commit: commit('a') },
        RunWork::Setup {
            commit: commit('a'),
            origin: Some(commit('b')),
            lock_hash: "l".into(),
            command: "c".into(),
        },
        RunWork::Check { commit: commit('a'), index: 1, command: "make".into(), deps: None },
        agent,
        RunWork::Rescue { of: run.clone(), of_epoch: Epoch(2) },
    ];
    for work in works {
        let order = RunOrder { run: run.clone(), step: step.clone(), epoch: Epoch(3), work };
        round_trip(Event::Intended(Action::Run(order)));
    }
    let branch = BranchName::parse("midwatch/x").unwrap();
    for land in [
        LandAction::Fetch { commit: commit('a') },
        LandAction::Import {
            run: run.clone(),
            epoch: Epoch(1),
            onto: commit('a'),
            base: commit('b'),
        },
        LandAction::Publish {
            commit: commit('a'),
            base: commit('b'),
            branch: branch.clone(),
            push: true,
        },
        LandAction::Keep { commit: commit('a'), branch: branch.clone() },
    ] {
        round_trip(Event::Intended(Action::Land(land)));
    }
    let check = CheckResult {
        commit: commit('c'),
        command: "make test".into(),
        exit: Exit::NotItsOwn(NotItsOwn::OutOfMemory),
        duration_ms: 5,
        tests: Some(TestCounts { executed: 3, failed: 1, failing: vec!["x".into()], named: true }),
        tail: vec!["line".into()],
        accepted_missing: vec![],
    };
    let agent = AgentResult {
        outcome: AgentOutcome::Failed {
            reason: FailReason::UsageLimit,
            detail: "d".into(),
            resets_at: Some(9),
        },
        session: Some("s".into()),
        spent: Spent { input_tokens: 1, output_tokens: 2, cost_micros: None },
        text: "t".into(),
        artifacts: vec![
            Artifact::Plan("p".into()),
            Artifact::Verdict { approve: false, comments: vec!["c".into()] },
            Artifact::Question(Question {
                id: "q".into(),
                text: "t".into(),
                choices: vec!["c".into()],
            }),
        ],
        left_out: vec![LeftOut { path: "core".into(), bytes: 9 }],
        beside: vec!["feature".into()],
    };
    for result in [
        RunResult::BaseReady,
        RunResult::DepsReady { layer: "l".into(), kept: true },
        RunResult::Checked(check),
        RunResult::Agent(Box::new(agent)),
        RunResult::Bundled {
            left_out: vec![LeftOut { path: "core".into(), bytes: 9 }],
            beside: vec!["stash".into()],
        },
        RunResult::Failed { reason: FailReason::Disk, detail: "full".into() },
        RunResult::SandboxUnavailable { detail: "landlock".into() },
    ] {
        round_trip(Event::RunEnded { run: run.clone(), epoch: Epoch(3), result });
    }
    for event in [
        Event::Admitted,
        Event::Released,
        Event::Advanced(Stage::Step(2)),
        Event::Advanced(Stage::Fetch),
        Event::Held(Hold {
            reason: HoldReason::Approval,
            detail: "x".into(),
            until: Wake::At(Time(5)),
        }),
        Event::EndingChosen(Ending::Fail(FailReason::Timeout, "t".into())),
        Event::EndingChosen(Ending::Cancel),
        Event::Ended(EndKind::Done),
        Event::Ended(EndKind::Answered),
        Event::AgentUnavailable {
            agent: 1,
            reason: HoldReason::NeedsLogin,
            detail: "401".into(),
            until: Wake::On(WakeEvent::Resume),
        },
        Event::CredentialLearnt {
            credential: "stored x".into(),
            reason: HoldReason::CredentialCoolingDown,
            until: Wake::At(Time(9)),
            pauses: 2,
            detail: "limit".into(),
        },
        Event::ModelAnswered { run: run.clone(), epoch: Epoch(3) },
        Event::PauseRequested { by: "me".into() },
        Event::PlanApproved { plan: "d1".into(), by: "me".into() },
        Event::QuestionAnswered { question: "q".into(), choice: "c".into(), by: "me".into() },
        Event::Messaged { text: "and".into(), by: "me".into() },
        Event::FollowedUp { step: 1 },
        Event::Ended(EndKind::NoChange { why: "w".into() }),
        Event::Retried { charged: true, at: Time(7) },
        Event::Rescued {
            epoch: Epoch(1),
            reference: Some("r".into()),
            snapshot: Some(commit('d')),
        },
        Event::Landed(ReadBack { branch, commit: commit('a'), target: "local".into() }),
        Event::LandFailed {
            key: ActionKey("publish".into()),
            reason: FailReason::PushRejected,
            detail: "no".into(),
        },
    ] {
        round_trip(event);
    }
}

#[test]
fn stored_rows_keep_their_shape() {
    let json = round_trip(Event::Ended(EndKind::Failed {
        reason: FailReason::Timeout,
        detail: "d".into(),
    }));
    assert_eq!(json, r#"{"event":"Ended","kind":{"Failed":{"reason":"Timeout","detail":"d"}}}"#);
    let json = round_trip(Event::Advanced(Stage::Step(1)));
    assert_eq!(json, r#"{"event":"Advanced","stage":{"Step":1}}"#);
}

#[test]
fn rows_of_the_first_version_are_read() {
    let old = r#"{"event":"Intended","action":{"Run":{"run":"t-implement-3","step":"implement","epoch":3,
        "work":{"kind":"Agent","role":"Implement","start":"COMMIT","onto":"COMMIT","deps":null,
        "prompt":"p","resume":null,"wallSeconds":60,"maxTurns":null}}}}"#;
    let row: EventRow = serde_json::from_str(&old.replace("COMMIT", &"a".repeat(40))).unwrap();
    let Event::Intended(Action::Run(order)) = row.0 else { panic!("{row:?}") };
    let RunWork::Agent(run) = order.work else { panic!("{order:?}") };
    assert_eq!((run.agent, run.messages), (0, 0));
}

#[test]
fn a_damaged_row_is_an_error() {
    for bad in ["", "{}", r#"{"event":"Approved","commit":"zz","by":"x"}"#, r#"{"event":"Nope"}"#] {
        assert!(serde_json::from_str::<EventRow>(bad).is_err(), "{bad}");
    }
}
