//! Commits that an agent left where its work does not reach.

use midwatch_core::agent::AgentOutcome;
use midwatch_core::event::{Action, Event, RunResult};
use midwatch_core::reason::FailReason;
use midwatch_core::task::{Outcome, State};

use crate::story::{Story, agent_run, completed, failed};
use crate::world::agent_result;

/// An agent that ends well and leaves a branch of its own.
fn ended() -> RunResult {
    let mut result = agent_result(AgentOutcome::Completed, vec![]);
    result.beside = vec!["feature".to_owned()];
    RunResult::Agent(Box::new(result))
}

/// How often work is saved until it is as wanted.
fn saved_until(story: &mut Story, wanted: impl Fn(&Story) -> bool) -> u32 {
    let mut saved = 0;
    while !wanted(story) {
        saved += u32::from(story.open("SaveRescue").is_some());
        story.go_on();
    }
    saved
}

fn is_over(story: &Story) -> bool {
    story.task.state.is_terminal()
}

/// A rescue holds all of it: one that comes before an import that fails is not done again.
#[test]
fn what_was_saved_before_its_import_is_not_saved_again() {
    for result in [ended(), completed(vec![])] {
        let mut story = Story::at_work("ic");
        let agent = story.until("Agent");
        story.ends_run(&agent, result);
        let before = saved_until(&mut story, |story| story.open("Import").is_some());
        let import = story.until("Import");
        story.fails(&import, FailReason::SecretFound);
        let after = saved_until(&mut story, is_over);
        assert_eq!(before + after, 1, "before {before}, after {after}");
        assert_eq!(failed(&story.end()), FailReason::SecretFound);
        assert!(story.task.rescue_ref.is_some());
    }
    // Nor where somebody cancels while it is saved.
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    story.ends_run(&agent, ended());
    story.until("SaveRescue");
    story.cancel();
    assert_eq!(saved_until(&mut story, is_over), 1);
    assert_eq!(story.task.state, State::Ended(Outcome::Cancelled));
}

/// The next agent is told of them, and nobody after the work that it made of them was imported.
#[test]
fn what_was_left_elsewhere_is_told_until_a_later_run_is_imported() {
    let elsewhere = |story: &mut Story| {
        let agent = story.until("Agent");
        agent_run(&agent).prompt.contains("elsewhere")
    };
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    let (reason, detail) = (FailReason::AgentFailed, "it failed".to_owned());
    let mut result = agent_result(AgentOutcome::Failed { reason, detail, resets_at: None }, vec![]);
    result.beside = vec!["stash".to_owned()];
    story.ends_run(&agent, RunResult::Agent(Box::new(result)));
    assert!(elsewhere(&mut story));
    let again = story.until("Agent");
    story.ends_run(&again, completed(vec![]));
    story.red_check();
    assert!(!elsewhere(&mut story), "that is behind it");

    // The control: the work that was imported is that of the run that left them.
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    story.ends_run(&agent, ended());
    story.red_check();
    assert!(elsewhere(&mut story));
}

/// What could not be saved is not called saved.
#[test]
fn an_agent_is_not_told_that_what_is_lost_to_it_was_saved() {
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    story.ends_run(&agent, ended());
    let rescue = story.until("Rescue");
    story.fails(&rescue, FailReason::InvalidInput);
    story.red_check();
    let again = story.until("Agent");
    let prompt = &agent_run(&again).prompt;
    assert!(prompt.contains("| feature") && !prompt.contains("saved"), "{prompt}");
}

/// People are shown the work, where some is saved already.
#[test]
fn what_lies_beside_the_work_does_not_take_its_place() {
    let lies_beside = |story: &mut Story| {
        let agent = story.until("Agent");
        let Action::Run(order) = &agent else { panic!("{agent:?}") };
        let (reason, detail) = (FailReason::AgentFailed, "it failed".to_owned());
        let outcome = AgentOutcome::Failed { reason, detail, resets_at: None };
        let mut result = agent_result(outcome, vec![]);
        result.beside = vec!["aside".to_owned()];
        let epoch = order.epoch;
        story.ends_run(&agent, RunResult::Agent(Box::new(result)));
        story.until("SaveRescue");
        let reference = format!("refs/midwatch/rescue/t/{epoch}/heads/aside");
        story.take(Event::Rescued { epoch, reference: Some(reference.clone()), snapshot: None });
        reference
    };
    let mut story = Story::at_work("ic");
    let agent = story.until("Agent");
    story.ends_run(&agent, completed(vec![]));
    story.red_check();
    let work = story.task.rescue_ref.clone();
    assert!(work.is_some());
    lies_beside(&mut story);
    assert_eq!(story.task.rescue_ref, work);

    // The control: where nothing else was saved, it is what there is to see.
    let mut story = Story::at_work("ic");
    let beside = lies_beside(&mut story);
    assert_eq!(story.task.rescue_ref, Some(beside));
}
