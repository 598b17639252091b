//! Questions of an agent, in its own words: who may ask is answered and goes on, who may not has
//! failed, and what it said is told.

use std::sync::{Arc, Mutex, PoisonError};

use midwatch_testkit::agent_clis::{Cli, cache};
use midwatch_testkit::model_server::ModelServer;
use midwatch_testkit::script::{Conversation, Script};

use crate::house::{House, Told, tell};

/// How an agent ends that would rather ask.
const ASKS: &str = "I looked around.\n\nShould the new line say `day` or `night`?";
/// What is said to an agent that nobody answers.
const NOBODY: &str = "obody answers questions";
/// How an agent is told to ask.
const ASK: &str = "What only a person can decide, ask";

/// The round of each conversation, its prompts, and all that it was told.
type Seen = Arc<Mutex<Vec<(u32, usize, String)>>>;

/// A provider whose agent asks in its first round and does in its second what it was told.
fn model(seen: &Seen) -> ModelServer {
    let seen = Arc::clone(seen);
    let scripts = move |conversation: &Conversation| {
        let round = conversation.step().map_or(0, |(_, round)| round);
        let told = format!("{}\n{}", conversation.system, conversation.prompts.join("\n"));
        let entry = (round, conversation.prompts.len(), told);
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        match round {
            2 => Script::default().shell("echo night >> README").ends("It is done."),
            _ => Script::default().ends(ASKS),
        }
    };
    ModelServer::builder().scripts(scripts).start().unwrap()
}

/// Runs task `t` with a policy for questions; none where the agent is not here.
fn run(questions: &str, pipeline: &str, seen: &Seen) -> Option<(House, Told)> {
    if let Err(why) = Cli::ClaudeCode.modules() {
        tell(&format!("NOT RUN: claude-code asks: {why}"));
        return None;
    }
    let model = model(seen);
    let house = House::new()
        .with("MIDWATCH_CACHE", cache())
        .with("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-a-subscription-of-nobody")
        .with("ANTHROPIC_BASE_URL", model.url());
    let repository = house.repository("repo", &[("README", "x\n")]);
    let spec = format!("{{agent: claude-code, egress: none, questions: {questions}}}");
    let profile = house.profile("asks", &spec);
    let first = ["run", "add a line", "--name", "t", "--profile", profile.to_str().unwrap()];
    let more = ["--pipeline", pipeline, "--check", "test -e README"];
    let mut told = house.midwatch(&repository, &[&first[..], &more].concat());
    if questions == "ask" {
        told.is("Held", Some("Question"), 5);
        let detail = told.result["detail"].as_str().unwrap();
        assert!(detail.contains("say `day` or `night`?"), "{detail}");
        let shown = house.midwatch(&repository, &["explain", "t"]);
        assert!(shown.stdout.contains("question: I looked around."), "{}", shown.stdout);
        let answered = house.midwatch(&repository, &["answer", "t", "question", "night it is"]);
        assert_eq!(answered.code, Some(0), "{}", answered.stderr);
        told = house.midwatch(&repository, &["wait", "t"]);
        told.is_done();
        assert_eq!(house.git(&repository, &["show", "midwatch/t:README"]), "x\nnight");
    }
    Some((house, told))
}

#[test]
fn an_agent_that_asks_in_prose_is_answered_and_goes_on_in_the_same_session() {
    let seen = Seen::default();
    let Some(_kept) = run("ask", "quick", &seen) else { return };
    let seen = seen.lock().unwrap();
    let of = |round: u32| seen.iter().filter(move |entry| entry.0 == round);
    let (first, second) = (of(1).map(|one| one.1).max(), of(2).map(|one| one.1).min());
    assert!(second > first, "it began a new conversation: {seen:?}");
    assert!(of(2).all(|(_, _, told)| told.contains("night it is")), "{seen:?}");
    for (_, _, told) in of(1).chain(of(2)) {
        assert!(!told.contains(NOBODY), "both are said: {told}");
        assert!(told.contains(ASK), "{told}");
    }
}

/// The control: the same agent, which nobody answers.
#[test]
fn an_agent_that_may_not_ask_has_failed_with_its_words() {
    let seen = Seen::default();
    let Some((_house, told)) = run("proceed", "quick", &seen) else { return };
    told.is("Failed", Some("EmptyDiff"), 3);
    let detail = told.result["detail"].as_str().unwrap();
    assert!(
        detail
            .ends_with("it said last: I looked around. Should the new line say `day` or `night`?"),
        "{detail}"
    );
    let seen = seen.lock().unwrap();
    let first: Vec<_> = seen.iter().filter(|entry| entry.0 == 1).collect();
    assert!(!first.is_empty(), "{seen:?}");
    for (_, _, told) in first {
        assert!(told.contains(NOBODY) && !told.contains(ASK), "{told}");
    }
}
