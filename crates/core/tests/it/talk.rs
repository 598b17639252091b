//! Stories of talk: plans with questions, answers, messages, follow-ups.

use midwatch_core::event::{Action, Artifact, Event, LandAction, Role, RunResult};
use midwatch_core::pipeline::MAX_REPLANS;
use midwatch_core::plan::Questions;
use midwatch_core::reason::{FailReason, HoldReason};
use midwatch_core::task::{Follows, Outcome, Stage, State, TaskSpec};

use crate::story::{Story, agent_run, completed, failed, failed_agent};
use crate::world::{commit, question, spec};

fn plan(text: &str, questions: &[&str]) -> RunResult {
    let asked = questions.iter().map(|id| question(id));
    completed([Artifact::Plan(text.to_owned())].into_iter().chain(asked).collect())
}

fn answer(id: &str, choice: &str) -> Event {
    let (question, choice) = (id.to_owned(), choice.to_owned());
    Event::QuestionAnswered { question, choice, by: "me".to_owned() }
}

fn say(text: &str) -> Event {
    Event::Messaged { text: text.to_owned(), by: "me".to_owned() }
}

fn asking(steps: &str) -> TaskSpec {
    TaskSpec { questions: Questions::Ask, ..spec(steps) }
}

#[test]
fn an_approval_is_of_the_plan_that_was_seen_and_its_questions_come_first() {
    let mut story = Story::of("paicr");
    let agent = story.until("Agent");
    story.ends_run(&agent, plan("one", &["q", "r"]));
    assert_eq!(story.held(), Some(HoldReason::Approval));
    let first = story.task.plan_at_hand().unwrap();
    let approve = |plan: &str| Event::PlanApproved { plan: plan.to_owned(), by: "me".to_owned() };
    assert!(story.task.apply(&approve(&first)).is_err(), "two questions are open");
    assert!(story.task.apply(&answer("q", "neither")).is_err(), "no choice of it");
    assert!(story.task.apply(&answer("x", "this")).is_err(), "no question of it");
    story.take(answer("q", "this"));
    story.take(answer("r", "that"));
    assert_eq!(story.held(), Some(HoldReason::Approval), "answers are no approval");

    story.reject("smaller steps");
    let agent = story.until("Agent");
    story.ends_run(&agent, plan("two", &[]));
    assert!(story.task.apply(&approve(&first)).is_err(), "that was of another plan");
    story.approve_plan();
    let implement = story.until("Agent");
    let run = agent_run(&implement);
    assert_eq!(run.role, Role::Implement);
    assert!(run.prompt.contains("q?\n  this") && run.prompt.contains("two"), "{}", run.prompt);
    assert!(matches!(story.end(), Outcome::Done(_)));
}

#[test]
fn plans_are_made_again_so_often_and_no_more() {
    let mut story = Story::of("paicr");
    for _ in 0..=MAX_REPLANS {
        let agent = story.until("Agent");
        story.ends_run(&agent, plan("again", &[]));
        story.reject("otherwise");
    }
    assert_eq!(failed(&story.end()), FailReason::ReviewRejected);
}

#[test]
fn an_agent_that_asks_is_held_saved_and_goes_on_with_the_answer() {
    let mut story = Story::new(asking("ic"));
    let agent = story.until("Agent");
    story.ends_run(&agent, completed(vec![question("q")]));
    story.until("SaveRescue");
    while story.held().is_none() {
        story.go_on();
    }
    assert_eq!(story.held(), Some(HoldReason::Question));
    let State::Held(hold) = &story.task.state else { unreachable!() };
    assert!(hold.detail.contains("q: q? (this | that)"), "{}", hold.detail);
    story.take(answer("q", "that"));
    assert_eq!(story.task.state, State::Queued);
    let again = story.until("Agent");
    let run = agent_run(&again);
    assert_eq!(run.resume.as_deref(), Some("session"));
    assert!(run.prompt.contains("that"), "{}", run.prompt);
    assert!(matches!(story.end(), Outcome::Done(_)));
}

#[test]
fn a_message_stands_for_an_answer() {
    let mut story = Story::new(asking("ic"));
    let agent = story.until("Agent");
    story.ends_run(&agent, completed(vec![question("q")]));
    while story.held().is_none() {
        story.go_on();
    }
    story.take(say("neither: do the other thing"));
    let again = story.until("Agent");
    assert!(agent_run(&again).prompt.contains("do the other thing"));
    assert!(matches!(story.end(), Outcome::Done(_)));
}

/// An agent's run that ended with these words and left nothing.
fn leaves_words(story: &mut Story, said: &str) {
    let agent = story.until("Agent");
    let RunResult::Agent(mut result) = completed(vec![]) else { unreachable!() };
    said.clone_into(&mut result.text);
    story.ends_run(&agent, RunResult::Agent(result));
    let Action::Land(LandAction::Import { epoch, .. }) = story.until("Import") else {
        unreachable!()
    };
    story.take(Event::NothingToImport { epoch });
}

#[test]
fn who_asks_in_prose_and_changes_nothing_is_answered() {
    let mut story = Story::new(asking("ic"));
    leaves_words(&mut story, "I looked around.\n\nShould it go into a file or a **table?**\n");
    assert_eq!(story.held(), Some(HoldReason::Question));
    let State::Held(hold) = &story.task.state else { unreachable!() };
    assert!(hold.detail.contains("question: I looked around. Should it"), "{}", hold.detail);
    story.take(answer("question", "a table"));
    let again = story.until("Agent");
    let prompt = &agent_run(&again).prompt;
    assert!(prompt.contains("a **table?**\n  a table"), "{prompt}");
    assert!(!prompt.contains("Nobody answers"), "{prompt}");
    assert!(matches!(story.end(), Outcome::Done(_)));
}

#[test]
fn who_changes_nothing_and_does_not_ask_has_failed_with_its_words() {
    let asks = "Which one? Tell me.";
    for (spec, said) in [(spec("ic"), "Which one?"), (asking("ic"), asks), (asking("ic"), "")] {
        let mut story = Story::new(spec);
        leaves_words(&mut story, said);
        let outcome = story.end();
        assert_eq!(failed(&outcome), FailReason::EmptyDiff, "{said}");
        let Outcome::Failed { detail, .. } = outcome else { unreachable!() };
        let told = detail.strip_prefix("the agent ended and the repository is as it was").unwrap();
        let wanted =
            if said.is_empty() { String::new() } else { format!("; it said last: {said}") };
        assert_eq!(told, wanted);
    }
}

#[test]
fn who_is_told_that_nobody_answers_decides_or_is_asked_again() {
    let mut story = Story::of("ic");
    let agent = story.until("Agent");
    story.ends_run(&agent, completed(vec![question("q")]));
    let Action::Land(LandAction::Import { epoch, .. }) = story.until("Import") else {
        unreachable!()
    };
    story.take(Event::NothingToImport { epoch });
    let again = story.until("Agent");
    let prompt = &agent_run(&again).prompt;
    assert!(prompt.contains("Nobody answers") && prompt.contains("q?"), "{prompt}");
    assert!(matches!(story.end(), Outcome::Done(_)));
}

#[test]
fn an_answer_is_text_and_changes_nothing() {
    let mut story = Story::of("n");
    let agent = story.until("Agent");
    assert_eq!(agent_run(&agent).role, Role::Answer);
    let RunResult::Agent(mut result) = completed(vec![]) else { unreachable!() };
    result.text = "forty-two".to_owned();
    story.ends_run(&agent, RunResult::Agent(result));
    assert_eq!(story.end(), Outcome::Answered { text: "forty-two".to_owned() });

    let mut silent = Story::of("n");
    let agent = silent.until("Agent");
    silent.ends_run(&agent, completed(vec![]));
    assert_eq!(failed(&silent.end()), FailReason::InvalidInput);
}

#[test]
fn what_is_said_to_a_working_agent_is_heard_when_its_step_ends() {
    let mut story = Story::at_work("icr");
    story.take(say("and mind the tests"));
    let agent = story.until("Agent");
    assert!(!agent_run(&agent).prompt.contains("mind"), "it was started before");
    story.ends_run(&agent, completed(vec![]));
    story.until("Import");
    story.go_on();
    let again = story.until("Agent");
    let run = agent_run(&again);
    assert_eq!((run.role, run.resume.as_deref()), (Role::Implement, Some("session")));
    assert!(run.prompt.contains("and mind the tests"));
    assert!(story.task.messages.is_empty());
    assert!(matches!(story.end(), Outcome::Done(_)));
}

#[test]
fn what_is_said_to_a_held_change_sends_it_back_and_is_judged_anew() {
    let mut story = Story::of("ic");
    story.import(|facts| facts.hard_paths = vec![".github".to_owned()]);
    while story.held().is_none() {
        story.go_on();
    }
    story.take(say("leave CI alone"));
    let agent = story.until("Agent");
    assert!(agent_run(&agent).prompt.contains("leave CI alone"));
    assert_eq!(agent_run(&agent).onto, commit(1), "on top of the work so far");
    story.import(|_| ());
    assert!(matches!(story.end(), Outcome::Done(_)));
}

#[test]
fn what_is_handed_over_already_takes_no_message() {
    let mut story = Story::of("ic");
    story.until("Publish");
    assert!(story.task.apply(&say("wait")).is_err());
    assert!(matches!(story.end(), Outcome::Done(_)));
    assert!(story.task.apply(&say("wait")).is_err());
}

#[test]
fn a_follow_up_goes_on_from_the_work_before_in_its_conversation() {
    let follows = Follows {
        task: midwatch_core::id::TaskName::parse("before").unwrap(),
        goal: "the first goal".to_owned(),
        start: Some(commit(500)),
        onto: None,
        chain: vec![],
        sessions: [("implement".to_owned(), "earlier".to_owned())].into(),
    };
    let ordered = TaskSpec { follows: Some(Box::new(follows)), ..spec("picr") };
    let mut story = Story::new(ordered.clone());
    let agent = story.until("Agent");
    let run = agent_run(&agent);
    assert_eq!((run.role, run.resume.as_deref()), (Role::Implement, Some("earlier")));
    assert_eq!((&run.start, &run.onto), (&commit(500), &commit(0)));
    assert_eq!(story.task.stage, Stage::Step(1), "what was planned before was planned");
    assert!(!run.prompt.contains("the first goal"), "it knows the conversation");
    assert!(matches!(story.end(), Outcome::Done(_)));

    // Somebody cleaned its HOME meanwhile.
    let mut cleaned = Story::new(ordered.clone());
    let agent = cleaned.until("Agent");
    cleaned.ends_run(&agent, failed_agent(FailReason::SessionLost, None));
    let agent = cleaned.until("Agent");
    let run = agent_run(&agent);
    assert_eq!((run.resume.as_deref(), cleaned.task.attempts), (None, 0));
    assert_ne!(run.start, commit(0), "from what is saved");
    assert!(run.prompt.contains("the first goal"), "{}", run.prompt);
    assert!(matches!(cleaned.end(), Outcome::Done(_)));

    let mut forgetful = Story::new(TaskSpec { resumes: false, ..ordered.clone() });
    let agent = forgetful.until("Agent");
    assert!(agent_run(&agent).prompt.contains("the first goal"));

    // What has landed is built upon: nothing on the branch is made anew.
    let mut landed = ordered.clone();
    landed.follows.as_mut().unwrap().onto = Some(commit(500));
    let agent = Story::new(landed).until("Agent");
    assert_eq!(agent_run(&agent).onto, commit(500));

    let mut idle = Story::new(ordered);
    idle.import(|facts| facts.commit = commit(500));
    assert_eq!(failed(&idle.end()), FailReason::EmptyDiff, "that was there before");
}
