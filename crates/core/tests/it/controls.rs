//! Controls: for each law, something that breaks it, and the judge says so. A judge that never
//! objects would pass a million steps as well.

use midwatch_core::agent::AgentOutcome;
use midwatch_core::decide::{Decision, decide};
use midwatch_core::event::{Action, Artifact, EndKind, Event, LandAction, RunResult};
use midwatch_core::evidence::Evidence;
use midwatch_core::landing::ReadBack;
use midwatch_core::reason::FailReason;
use midwatch_core::task::{Outcome, Said, State, Task, Wake, WakeEvent};
use midwatch_core::time::Time;

use crate::choices::{Bytes, Seeded};
use crate::laws::{Broken, Law, Laws};
use crate::story::Story;
use crate::walk::Walk;
use crate::world::{agent_result, commit, spec};

mod starts;

fn caught(judged: &Result<(), Broken>, law: Law) {
    assert_eq!(judged.as_ref().err().map(|broken| broken.law), Some(law), "{judged:?}");
}

fn plain_walk() -> Walk<Bytes> {
    Walk::new(Bytes(vec![].into_iter()))
}

/// A walk with a broken `decide`.
fn walk_with(decide: fn(&Task, Time) -> Decision) -> Result<(), Broken> {
    let mut walk = plain_walk();
    walk.decide = decide;
    walk.go(0)
}

fn decided(events: Vec<Event>, wake: Option<Wake>) -> Decision {
    Decision { events, wake }
}

#[test]
fn the_controls_walk_ends_well_when_nothing_is_broken() {
    assert_eq!(walk_with(decide), Ok(()));
}

#[test]
fn broken_deciders_are_caught() {
    caught(
        &walk_with(|task, now| match &task.state {
            State::Running(_) => {
                let event = Event::Retried { charged: true, at: now.plus_millis(1) };
                decided(vec![event], None)
            }
            _ => decide(task, now),
        }),
        Law::Converges,
    );
    caught(
        &walk_with(|task, now| match (&task.state, task.retry_at) {
            (State::Running(_), Some(at)) if at > now => decided(vec![], Some(Wake::At(at))),
            (State::Running(_), _) => {
                let event = Event::Retried { charged: true, at: now.plus_seconds(1) };
                decided(vec![event], None)
            }
            _ => decide(task, now),
        }),
        Law::Ends,
    );
    caught(
        &walk_with(|task, now| match &task.state {
            State::Queued => decided(vec![], None),
            _ => decide(task, now),
        }),
        Law::WaitIsNamed,
    );
    caught(
        &walk_with(|task, now| match &task.state {
            State::Running(_) => decided(vec![], Some(Wake::On(WakeEvent::Action))),
            _ => decide(task, now),
        }),
        Law::WakeCanCome,
    );
    caught(
        &walk_with(|task, now| match &task.state {
            State::Running(_) => decided(vec![], Some(Wake::At(now))),
            _ => decide(task, now),
        }),
        Law::WakeCanCome,
    );
    caught(&walk_with(|_, _| decided(vec![Event::Released], None)), Law::DecisionsAreLegal);
    caught(
        &walk_with(|task, now| match (&task.state, decide(task, now)) {
            (State::Ended(_), _) => decided(vec![Event::Released], None),
            (_, decision) => decision,
        }),
        Law::TerminalStays,
    );
    // The floor of the machine refuses what is not verified before the judge has to.
    caught(
        &walk_with(|task, now| {
            let mut decision = decide(task, now);
            if task.imported.is_some() && matches!(task.state, State::Running(_)) {
                decision = decided(vec![publish(1)], None);
            }
            decision
        }),
        Law::DecisionsAreLegal,
    );
}

fn publish(number: u32) -> Event {
    let spec = spec("ic");
    Event::Intended(Action::Land(LandAction::Publish {
        commit: commit(number),
        base: commit(0),
        branch: spec.branch,
        push: false,
    }))
}

#[test]
fn a_log_with_a_gap_is_caught() {
    let mut walk = plain_walk();
    walk.go(0).unwrap();
    let at = walk.log.iter().position(|event| matches!(event, Event::Imported { .. })).unwrap();
    walk.log.remove(at);
    caught(&walk.crash(), Law::ReplayIsLive);
}

#[test]
fn a_late_report_that_changes_something_is_caught() {
    let story = Story::of("ic");
    let mut after = story.task.clone();
    after.base_ready = true;
    let event = Event::RunEnded {
        run: midwatch_core::id::RunName::parse("t-x-9").unwrap(),
        epoch: midwatch_core::id::Epoch(9),
        result: RunResult::BaseReady,
    };
    caught(&Laws::default().applied(&story.task, &event, &after), Law::LateChangesNothing);

    let mut walk = Walk::new(Seeded::new(1));
    walk.take(Event::Admitted, true).unwrap();
    let cancel = Event::CancelRequested { by: "me".to_owned() };
    caught(&walk.late(cancel), Law::LateChangesNothing);
}

/// A task as it stands with its publishing intent open, and the whole judge's memory of it.
fn publishing(hard: bool, steps: &str) -> (Story, Event) {
    let mut story = Story::of(steps);
    story.import(|facts| {
        if hard {
            facts.hard_paths = vec![".github".to_owned()];
        }
    });
    if !hard {
        story.until("Publish");
        story.task.open.clear();
    }
    (story, publish(1))
}

#[test]
fn intents_that_may_not_be_are_caught() {
    let mut story = Story::of("ic");
    let checkout = Event::Intended(story.until("Checkout"));
    let before = Task::new(spec("ic"));
    let mut laws = Laws::default();
    assert_eq!(laws.applied(&before, &checkout, &before), Ok(()));
    caught(&laws.applied(&before, &checkout, &before), Law::EpochsOnlyGrow);
    caught(&Laws::default().applied(&story.task, &checkout, &story.task), Law::KeysAreUnique);

    let mut far = story.until("Checkout");
    if let Action::Run(order) = &mut far {
        order.epoch.0 = 301;
    }
    let far = Event::Intended(far);
    caught(&Laws::default().applied(&before, &far, &before), Law::RunsAreBounded);

    let mut after = story.task.clone();
    after.open.clear();
    let stop = Event::Advanced(after.stage.clone());
    caught(&Laws::default().applied(&story.task, &stop, &after), Law::RunsAreOpen);
}

#[test]
fn publishing_what_may_not_be_is_caught() {
    let (story, event) = publishing(false, "ic");
    let judged = |task: &Task| Laws::default().applied(task, &event, task);
    assert_eq!(judged(&story.task), Ok(()), "the control itself is right");

    let mut task = story.task.clone();
    task.evidence.clear();
    caught(&judged(&task), Law::PublishesVerified);

    let mut task = story.task.clone();
    let other = task.evidence.remove(&commit(1)).unwrap();
    task.evidence.insert(commit(2), other);
    let of_another = publish(2);
    caught(&Laws::default().applied(&task, &of_another, &task), Law::PublishesVerified);

    let mut task = story.task.clone();
    task.cancel = true;
    caught(&judged(&task), Law::CancelStopsPublishing);

    let (story, event) = publishing(false, "icr");
    caught(&Laws::default().applied(&story.task, &event, &story.task), Law::ReviewIsOfThatCommit);
}

#[test]
fn what_nobody_approved_is_caught() {
    let (mut story, event) = publishing(true, "ic");
    for _ in 0..9 {
        if matches!(story.task.state, State::Held(_)) {
            break;
        }
        story.go_on();
    }
    let mut laws = Laws::default();
    caught(&laws.applied(&story.task, &event, &story.task), Law::ApprovalIsOfThatCommit);
    let another = Event::Approved { commit: commit(2), by: "me".to_owned() };
    laws.applied(&story.task, &another, &story.task).unwrap();
    caught(&laws.applied(&story.task, &event, &story.task), Law::ApprovalIsOfThatCommit);
    let this = Event::Approved { commit: commit(1), by: "me".to_owned() };
    laws.applied(&story.task, &this, &story.task).unwrap();
    assert_eq!(laws.applied(&story.task, &event, &story.task), Ok(()));

    let mut story = Story::of("ic");
    let implement = Event::Intended(story.until("Agent"));
    for (steps, law) in [("aic", Law::ApprovalIsOfThatCommit), ("paicr", Law::ApprovalIsOfThatPlan)]
    {
        let unapproved = Task::new(spec(steps));
        caught(&Laws::default().applied(&unapproved, &implement, &unapproved), law);
    }
}

#[test]
fn a_return_that_no_reviewer_asked_for_is_caught() {
    let task = Story::of("icr").task;
    let event = Event::ReviewReturned { step: 0 };
    caught(&Laws::default().applied(&task, &event, &task), Law::ReturnsAreAskedFor);
}

#[test]
fn landing_twice_is_caught() {
    let task = Story::of("ic").task;
    let landed = |number| {
        let branch = task.spec.branch.clone();
        let read_back = ReadBack { branch, commit: commit(number), target: "local".to_owned() };
        let mut after = task.clone();
        after.read_back = Some(read_back.clone());
        (Event::Landed(read_back), after)
    };
    let mut laws = Laws::default();
    let ((first, one), (second, two)) = (landed(1), landed(2));
    assert_eq!(laws.applied(&task, &first, &one), Ok(()));
    caught(&laws.applied(&one, &second, &two), Law::LandsOnce);
}

/// The last event of a story that ends, and the task before and after it.
fn last_of(mut story: Story) -> (Task, Event, Task) {
    let end = story.end();
    let kind = match &end {
        Outcome::Done(_) => EndKind::Done,
        Outcome::Unverified(_) => EndKind::Unverified,
        other => panic!("{other:?}"),
    };
    let mut before = story.task.clone();
    before.state = State::Running(std::collections::BTreeSet::new());
    (before, Event::Ended(kind), story.task)
}

#[test]
fn ends_without_their_proof_are_caught() {
    let judged = |(before, event, after): (Task, Event, Task)| {
        Laws::default().applied(&before, &event, &after)
    };
    assert_eq!(judged(last_of(Story::of("ic"))), Ok(()), "the control itself is right");

    let (before, event, mut after) = last_of(Story::of("ic"));
    after.evidence.clear();
    caught(&judged((before, event, after)), Law::DoneIsLanded);

    let (mut before, event, mut after) = last_of(Story::of("ic"));
    before.read_back = None;
    after.read_back = None;
    caught(&judged((before, event, after)), Law::DoneIsLanded);

    let mut unchecked = spec("ic");
    (unchecked.checks, unchecked.no_check) = (vec![], true);
    let (before, event, mut after) = last_of(Story::new(unchecked));
    assert_eq!(judged((before.clone(), event.clone(), after.clone())), Ok(()));
    after.spec.push = true;
    caught(&judged((before, event, after)), Law::UnverifiedIsAskedFor);

    let before = Story::of("ic").task;
    let mut after = before.clone();
    let why = "it is so".to_owned();
    after.state = State::Ended(Outcome::NoChange { why: why.clone() });
    let event = Event::Ended(EndKind::NoChange { why });
    caught(&judged((before, event, after)), Law::NoChangeIsSaid);
}

#[test]
fn evidence_of_another_commit_is_caught() {
    let mut story = Story::of("ic");
    let Action::Run(order) = story.until("Check") else { unreachable!() };
    let mut after = story.task.clone();
    after.open.clear();
    after.state = State::Running(std::collections::BTreeSet::new());
    after.evidence.insert(commit(5), Evidence::new(commit(6)));
    let event =
        Event::RunEnded { run: order.run, epoch: order.epoch, result: RunResult::BaseReady };
    caught(&Laws::default().applied(&story.task, &event, &after), Law::EvidenceIsOfItsCommit);
}

#[test]
fn lost_work_is_caught() {
    let mut story = Story::of("ic");
    let Action::Run(order) = story.until("Agent") else { unreachable!() };
    let mut laws = Laws::default();
    let before = story.task.clone();
    let said = vec![Artifact::NoChange("it is so".to_owned())];
    let result = RunResult::Agent(Box::new(agent_result(AgentOutcome::Completed, said)));
    let event = Event::RunEnded { run: order.run, epoch: order.epoch, result };
    story.task.apply(&event).unwrap();
    laws.applied(&before, &event, &story.task).unwrap();
    let mut over = story.task.clone();
    let (reason, detail) = (FailReason::Timeout, String::new());
    over.state = State::Ended(Outcome::Failed { reason, detail: detail.clone() });
    let end = Event::Ended(EndKind::Failed { reason, detail });
    caught(&laws.applied(&story.task, &end, &over), Law::WorkIsSaved);
    let saved = Event::Rescued { epoch: order.epoch, reference: None, snapshot: None };
    laws.applied(&story.task, &saved, &story.task).unwrap();
    assert_eq!(laws.applied(&story.task, &end, &over), Ok(()));
}

#[test]
fn handing_over_before_what_was_said_is_heard_is_caught() {
    let (mut story, event) = publishing(false, "ic");
    story.task.messages.push(Said { text: "and that".to_owned(), by: "me".to_owned() });
    caught(&Laws::default().applied(&story.task, &event, &story.task), Law::MessagesAreHeard);
}

#[test]
fn an_answer_that_changes_something_is_caught() {
    let mut story = Story::of("ic");
    let import = Event::Intended(story.until("Import"));
    story.task.open.clear();
    assert_eq!(Laws::default().applied(&story.task, &import, &story.task), Ok(()));
    let mut answers = story.task.clone();
    answers.spec = spec("n");
    caught(&Laws::default().applied(&answers, &import, &answers), Law::AnswersPublishNothing);

    let mut story = Story::of("n");
    let before = story.task.clone();
    story.task.state = State::Ended(Outcome::Answered { text: " ".to_owned() });
    let event = Event::Ended(EndKind::Answered);
    caught(&Laws::default().applied(&before, &event, &story.task), Law::AnswersPublishNothing);
}
