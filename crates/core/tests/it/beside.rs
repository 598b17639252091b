//! Commits that an agent left where its work does not reach.

use midwatch_core::agent::AgentOutcome;
use midwatch_core::event::RunResult;
use midwatch_core::reason::FailReason;
use midwatch_core::task::{Outcome, State};

use crate::story::{Story, completed, failed};
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
