//! Stories: one task, one thing that goes wrong, and what becomes of it.

use midwatch_core::agent::AgentOutcome;
use midwatch_core::event::{Action, Artifact, Event, LandAction, LeftOut, RunResult, RunWork};
use midwatch_core::evidence::Exit;
use midwatch_core::id::Epoch;
use midwatch_core::landing::ReadBack;
use midwatch_core::reason::{FailReason, HoldReason};
use midwatch_core::task::{Hold, Kept, Outcome, State, Wake};

use crate::story::{Story, agent_run, completed, failed, verdict, work};
use crate::world::{agent_result, check_result, commit};

#[test]
fn the_plain_ways_end_done() {
    for steps in ["ic", "picr"] {
        let mut story = Story::of(steps);
        assert!(matches!(story.end(), Outcome::Done(_)), "{steps}");
    }
}

#[test]
fn a_cancel_between_the_agents_end_and_its_import_saves_the_work() {
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    let Action::Run(order) = &agent else { unreachable!() };
    let (run, epoch) = (order.run.clone(), order.epoch);
    // The two are stored before anything is decided between them.
    story.task.apply(&Event::RunEnded { run, epoch, result: completed(vec![]) }).unwrap();
    story.cancel();
    assert!(story.open("Rescue").is_some(), "{:#?}", story.task.open);
    assert_eq!(story.end(), Outcome::Cancelled);
    assert!(story.task.rescue_ref.is_some());
}

#[test]
fn a_cancel_stops_the_run_and_saves_what_it_left() {
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    story.cancel();
    assert_eq!(story.task.stopping.len(), 1);
    story.ends_run(&agent, completed(vec![]));
    let rescue = story.until("Rescue");
    story.cancel();
    assert!(story.task.stopping.is_empty(), "what saves work is not stopped");
    story.ends_run(&rescue, RunResult::Bundled { left_out: vec![], beside: vec![] });
    assert_eq!(story.end(), Outcome::Cancelled);
}

#[test]
fn a_cancel_after_the_landing_changes_nothing() {
    let mut story = Story::of("ic");
    let publish = story.until("Publish");
    story.cancel();
    assert!(story.open("Publish").is_some(), "it is waited for");
    let event = story.answer(&publish);
    story.take(event);
    assert!(matches!(story.end(), Outcome::Done(_)), "what landed is told as landed");
}

#[test]
fn a_rescue_that_failed_by_the_machine_is_tried_again() {
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    story.fails(&agent, FailReason::Timeout);
    for _ in 0..2 {
        let rescue = story.until("Rescue");
        story.fails(&rescue, FailReason::NodeLost);
    }
    story.until("SaveRescue");
    assert_eq!(failed(&story.end()), FailReason::Timeout);
    assert!(story.task.rescue_ref.is_some());
}

#[test]
fn what_no_rescue_could_save_and_what_no_commit_holds_is_remembered() {
    let core = || LeftOut { path: "core".to_owned(), bytes: 300 << 20 };
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    story.fails(&agent, FailReason::Timeout);
    let rescue = story.until("Rescue");
    story.fails(&rescue, FailReason::OutOfMemory);
    assert_eq!(failed(&story.end()), FailReason::Timeout);
    assert_eq!(story.task.kept.values().collect::<Vec<_>>(), [&Kept::All]);

    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    story.fails(&agent, FailReason::Timeout);
    let rescue = story.until("Rescue");
    story.ends_run(&rescue, RunResult::Bundled { left_out: vec![core()], beside: vec![] });
    assert_eq!(failed(&story.end()), FailReason::Timeout);
    let Action::Run(order) = &agent else { unreachable!() };
    assert_eq!(story.task.kept.get(&order.run), Some(&Kept::Files(vec![core()])));
}

/// A full disk passes: the work waits for room, and the end of its task with it.
#[test]
fn a_rescue_without_room_waits_for_some_and_saves_then() {
    let begun = || {
        let mut story = Story::at_work("ic");
        let agent = story.until("Agent");
        story.fails(&agent, FailReason::AgentFailed);
        let rescue = story.until("Rescue");
        story.fails(&rescue, FailReason::Disk);
        assert_eq!(story.held(), Some(HoldReason::DiskLow));
        assert!(story.task.kept.is_empty() && story.task.unsaved.is_some());
        story
    };
    let waited = |story: &mut Story| {
        let State::Held(Hold { until: Wake::At(at), .. }) = story.task.state else {
            panic!("{:?}", story.task.state)
        };
        story.now = at;
        story.settle();
    };
    let mut story = begun();
    waited(&mut story);
    story.until("SaveRescue");
    let again = story.until("Agent");
    assert_eq!(story.task.attempts, 1, "what failed before the wait is not forgotten");
    assert_ne!(agent_run(&again).start, story.task.spec.base, "it goes on from what was saved");
    assert!(matches!(story.end(), Outcome::Done(_)));
    assert!(story.task.kept.is_empty() && story.task.rescue_ref.is_some());

    // More than any room there will be, and somebody who does not wait.
    let mut story = begun();
    for _ in 0..2 {
        waited(&mut story);
        let rescue = story.until("Rescue");
        story.fails(&rescue, FailReason::Disk);
    }
    assert_eq!(story.held(), None, "three times are enough");
    assert_eq!(story.task.kept.values().collect::<Vec<_>>(), [&Kept::All]);
    let mut story = begun();
    story.cancel();
    assert_eq!(story.end(), Outcome::Cancelled);
    assert_eq!(story.task.kept.values().collect::<Vec<_>>(), [&Kept::All]);
}

#[test]
fn a_rejected_plan_is_planned_again_and_approved_again() {
    let mut story = Story::of("paicr");
    let plan = story.until("Agent");
    story.ends_run(&plan, completed(vec![Artifact::Plan("one".to_owned())]));
    assert_eq!(story.held(), Some(HoldReason::Approval));
    story.reject("smaller steps");
    let again = story.until("Agent");
    let run = agent_run(&again);
    assert_eq!(run.role, midwatch_core::event::Role::Plan);
    assert!(run.prompt.contains("smaller steps"), "{}", run.prompt);
    story.ends_run(&again, completed(vec![Artifact::Plan("two".to_owned())]));
    assert_eq!(story.held(), Some(HoldReason::Approval), "the new plan is not approved yet");
    story.approve_plan();
    let implement = story.until("Agent");
    assert!(agent_run(&implement).prompt.contains("two"));
    assert!(!agent_run(&implement).prompt.contains("smaller"), "that was of the plan");
}

#[test]
fn the_reviewer_is_asked_after_each_rework_and_three_times_at_most() {
    let mut story = Story::of("icr");
    for round in 1..=3 {
        let implement = story.until("Agent");
        assert_eq!(agent_run(&implement).prompt.contains("more"), round > 1, "round {round}");
        let done = completed(vec![]);
        story.ends_run(&implement, done);
        let review = story.until("Agent");
        let run = agent_run(&review);
        assert_eq!(run.role, midwatch_core::event::Role::Review, "round {round}");
        assert_eq!(run.resume, None, "a reviewer begins anew");
        assert!(!run.prompt.contains("more"), "nor does it see what it said");
        story.ends_run(&review, verdict(false));
    }
    assert_eq!(failed(&story.end()), FailReason::ReviewRejected);
}

#[test]
fn a_rejection_by_somebody_reaches_the_agent_and_the_reviewer_judges_the_new_commit() {
    let mut story = Story::of("icr");
    story.import(|facts| facts.hard_paths = vec![".github".to_owned()]);
    let review = story.until("Agent");
    story.ends_run(&review, verdict(true));
    assert_eq!(story.held(), Some(HoldReason::Approval));
    story.reject("leave CI alone");
    let implement = story.until("Agent");
    assert!(agent_run(&implement).prompt.contains("leave CI alone"));
    story.import(|_| ());
    let review = story.until("Agent");
    assert_eq!(agent_run(&review).start, commit(2));
    assert!(matches!(story.end(), Outcome::Done(_)));
}

#[test]
fn a_shape_of_a_secret_waits_for_somebody_whose_no_makes_it_one() {
    let held = |story: &mut Story| {
        story.import(|facts| facts.secret_shapes = vec!["t.txt: looks like a secret".to_owned()]);
        while story.held().is_none() {
            story.go_on();
        }
        assert_eq!(story.held(), Some(HoldReason::Approval));
    };
    let mut story = Story::of("ic");
    held(&mut story);
    story.approve(1);
    assert!(matches!(story.end(), Outcome::Done(_)));

    let mut story = Story::of("ic");
    held(&mut story);
    story.reject("");
    assert_eq!(failed(&story.end()), FailReason::SecretFound);
}

#[test]
fn an_approval_is_of_the_commit_that_was_seen() {
    let mut story = Story::of("ic");
    story.import(|facts| facts.hard_paths = vec![".github".to_owned()]);
    while story.held().is_none() {
        story.go_on();
    }
    story.approve(77);
    story.take(Event::Admitted);
    assert_eq!(story.held(), Some(HoldReason::Approval), "another commit's approval");
    story.take(Event::Resumed { by: "me".to_owned() });
    story.take(Event::Admitted);
    assert_eq!(story.held(), Some(HoldReason::Approval), "a resume is no approval");
    story.approve(1);
    assert!(matches!(story.end(), Outcome::Done(_)));
}

#[test]
fn tests_that_are_no_longer_counted_need_an_approval() {
    let mut story = Story::of("ic");
    story.import(|_| ());
    let action = story.until("Check");
    let RunWork::Check { commit, command, .. } = work(&action) else { unreachable!() };
    let result = check_result(commit.clone(), command, Exit::Code(0), None);
    story.ends_run(&action, RunResult::Checked(result));
    assert_eq!(story.held(), Some(HoldReason::Approval));
}

#[test]
fn repairs_that_change_nothing_are_spent_and_end_with_the_evidence() {
    let mut story = Story::of("ic");
    story.import(|_| ());
    story.red_check();
    for repair in 1..=3 {
        let import = story.until("Import");
        let Action::Land(LandAction::Import { epoch, .. }) = import else { unreachable!() };
        assert_eq!(story.task.repairs, repair);
        story.take(Event::NothingToImport { epoch });
    }
    assert_eq!(failed(&story.end()), FailReason::VerificationFailed);
}

#[test]
fn a_refused_import_after_repairs_is_saved_and_named() {
    let mut story = Story::of("ic");
    story.import(|_| ());
    story.red_check();
    let import = story.until("Import");
    story.fails(&import, FailReason::SecretFound);
    story.until("SaveRescue");
    assert_eq!(failed(&story.end()), FailReason::SecretFound);
}

/// A branch of the agent's own is on no branch of ours, whatever an import brings.
#[test]
fn commits_that_no_import_brings_are_saved_before_it_and_named() {
    let ended = || {
        let mut result = agent_result(AgentOutcome::Completed, vec![]);
        result.beside = vec!["feature".to_owned()];
        RunResult::Agent(Box::new(result))
    };
    let begun = || {
        let mut story = Story::at_work("ic");
        let agent = story.until("Agent");
        story.ends_run(&agent, ended());
        assert!(story.open("Rescue").is_some() && story.open("Import").is_none());
        story
    };
    let saved = |story: &Story| story.task.beside.values().next().unwrap().saved.clone();
    let mut story = begun();
    story.until("Import");
    let place = saved(&story).unwrap();
    assert!(place.starts_with("refs/midwatch/rescue/t/") && place.ends_with('/'), "{place}");
    assert!(matches!(story.end(), Outcome::Done(_)));

    let mut story = begun();
    let Action::Land(LandAction::Import { epoch, .. }) = story.until("Import") else {
        unreachable!()
    };
    story.take(Event::NothingToImport { epoch });
    let Outcome::Failed { reason: FailReason::EmptyDiff, detail } = story.end() else {
        panic!("{:?}", story.task.state)
    };
    assert!(detail.contains("elsewhere (feature)"), "{detail}");
    assert!(story.task.rescue_ref.is_some());

    // Where a task goes on without them, result and agent are told.
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    assert!(!agent_run(&agent).prompt.contains("elsewhere"));
    let detail = "it failed".to_owned();
    let reason = FailReason::AgentFailed;
    let mut result = agent_result(AgentOutcome::Failed { reason, detail, resets_at: None }, vec![]);
    result.beside = vec!["stash".to_owned()];
    story.ends_run(&agent, RunResult::Agent(Box::new(result)));
    let again = story.until("Agent");
    assert!(saved(&story).is_some());
    let prompt = &agent_run(&again).prompt;
    assert!(prompt.contains("| stash") && prompt.contains("does not have them"), "{prompt}");

    // What could not be saved keeps its workspace, though the import goes well.
    let mut story = begun();
    let rescue = story.until("Rescue");
    story.fails(&rescue, FailReason::InvalidInput);
    assert!(matches!(story.end(), Outcome::Done(_)));
    assert_eq!(story.task.kept.values().collect::<Vec<_>>(), [&Kept::All]);
    assert_eq!(saved(&story), None);

    // The control: nothing was left elsewhere.
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    story.ends_run(&agent, completed(vec![]));
    assert!(story.open("Rescue").is_none() && story.open("Import").is_some());
}

#[test]
fn a_refused_push_ends_with_the_commit_kept() {
    let mut story = Story::of("ic");
    let publish = story.until("Publish");
    story.fails(&publish, FailReason::PushRejected);
    assert_eq!(failed(&story.end()), FailReason::PushRejected);
    assert!(story.task.imported.is_some());
}

#[test]
fn a_target_with_another_commit_fails_the_task() {
    let mut story = Story::of("ic");
    story.until("Publish");
    let branch = story.task.spec.branch.clone();
    let read_back = ReadBack { branch, commit: commit(5), target: "local".to_owned() };
    story.take(Event::Landed(read_back));
    assert_eq!(failed(&story.end()), FailReason::PushRejected);
}

#[test]
fn another_kind_of_result_is_our_fault_and_loses_nothing() {
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    story.ends_run(&agent, RunResult::BaseReady);
    story.until("SaveRescue");
    let again = story.until("Agent");
    let saved = commit(1_000_000 + story.task.epoch.0 - 2);
    assert_eq!(agent_run(&again).start, saved, "goes on from what was saved");
    assert_eq!(agent_run(&again).onto, commit(0));
}

#[test]
fn a_late_report_leaves_the_open_run_alone() {
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    let Action::Run(order) = &agent else { unreachable!() };
    let before = story.task.clone();
    let late = Event::RunEnded {
        run: order.run.clone(),
        epoch: Epoch(order.epoch.0 - 1),
        result: completed(vec![]),
    };
    story.take(late);
    assert_eq!(story.task, before);
}
