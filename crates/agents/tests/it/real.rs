//! Each pinned CLI through success, failure, kill and resume.

use std::time::Duration;

use midwatch_core::agent::{AgentEvent, AgentOutcome, CredentialKind, Session, Usage};
use midwatch_core::reason::FailReason;
use midwatch_testkit::agent_clis::Cli;
use midwatch_testkit::model_server::{
    Credential, Failure, ModelServer, anthropic, chat, gemini, responses,
};
use midwatch_testkit::script::{Conversation, Script};
use rustix::process::Signal;

use crate::drive::{Place, RUN_TOKEN, SESSION};

mod believed;
mod modules;

/// No run here takes this long; a slow machine may come near.
const LIMIT: Duration = Duration::from_mins(2);

/// How long one that goes on after TERM is watched before it is torn down.
const AFTER_TERM: Duration = Duration::from_secs(5);

/// All CLIs, each in a place of its own; one that cannot run here is said.
fn each(test: impl Fn(Cli, Place)) {
    for cli in Cli::ALL {
        if let Some(place) = place(cli) {
            test(cli, place);
        }
    }
}

#[expect(clippy::print_stdout, reason = "what could not run must not look as if it had")]
fn place(cli: Cli) -> Option<Place> {
    let place = Place::new(cli);
    if let Err(why) = &place {
        println!("NOT RUN: {} could not be driven: {why}", cli.as_str());
    }
    place.ok()
}

fn server(script: impl Fn(&Conversation) -> Script + Send + Sync + 'static) -> ModelServer {
    ModelServer::builder()
        .credential(Credential::AnthropicKey(RUN_TOKEN.into()))
        .credential(Credential::OpenAiKey(RUN_TOKEN.into()))
        .credential(Credential::GeminiKey(RUN_TOKEN.into()))
        .scripts(script)
        .start()
        .unwrap()
}

/// What `answers` answers of the server add up to.
fn used(cli: Cli, answers: u64) -> (u64, u64) {
    match cli {
        Cli::ClaudeCode => {
            let input = anthropic::INPUT_TOKENS
                + anthropic::CACHE_READ_TOKENS
                + anthropic::CACHE_WRITE_TOKENS;
            (answers * input, answers * anthropic::OUTPUT_TOKENS)
        }
        Cli::Codex => (answers * responses::INPUT_TOKENS, answers * responses::OUTPUT_TOKENS),
        Cli::OpenCode | Cli::QwenCode | Cli::Aider => {
            (answers * chat::INPUT_TOKENS, answers * chat::OUTPUT_TOKENS)
        }
        Cli::GeminiCli => (answers * gemini::INPUT_TOKENS, answers * gemini::OUTPUT_TOKENS),
    }
}

/// Tokens are those of the run's answers; aider guesses and rounds them.
fn counted(cli: Cli, usage: &Usage, answers: u64) {
    let found = (usage.input_tokens, usage.output_tokens);
    if cli == Cli::Aider {
        assert!(found.0 > 0 && found.1 > 0, "{found:?}");
    } else {
        assert_eq!(found, used(cli, answers), "{}", cli.as_str());
    }
}

fn failed(outcome: Option<AgentOutcome>) -> Option<FailReason> {
    match outcome? {
        AgentOutcome::Failed { reason, .. } => Some(reason),
        AgentOutcome::Completed => None,
    }
}

#[test]
fn a_run_that_succeeds() {
    each(|cli, place| {
        let server = server(|_| {
            Script::saying("It is written.").write("note.txt", "hello\n").shell("cat note.txt; env")
        });
        // Instructions that lie in the repository are not for the agent to find by itself.
        std::fs::write(place.workspace().join("CLAUDE.md"), "repository-canary").unwrap();
        std::fs::write(place.workspace().join("AGENTS.md"), "repository-canary").unwrap();
        let order = place.order(&server.url(), "Write a note. prompt-canary");
        let done = place.run(&order, LIMIT);
        assert_eq!(done.outcome, Some(AgentOutcome::Completed), "{done:?}");
        assert_eq!(std::fs::read_to_string(place.workspace().join("note.txt")).unwrap(), "hello\n");
        assert!(done.final_text.contains("It is written."), "{}", done.final_text);
        counted(cli, &done.usage, 3);
        let priced = matches!(cli, Cli::ClaudeCode | Cli::Aider);
        assert_eq!(done.usage.cost_micros.is_some(), priced);
        assert!(!done.events.contains(&AgentEvent::Malformed), "{:?}", done.events);
        let started = |event: &AgentEvent| match event {
            AgentEvent::ToolStarted { summary, .. } => Some(summary.contains("note.txt")),
            _ => None,
        };
        let told: Vec<_> = done.events.iter().filter_map(started).collect();
        let calls: &[bool] = if cli == Cli::Aider { &[true] } else { &[true, true] };
        assert_eq!(told, calls, "{:?}", done.events);
        let session = done.session.unwrap();
        match cli {
            Cli::Codex => assert_eq!(session.len(), 36),
            Cli::OpenCode => assert!(session.starts_with("ses_"), "{session}"),
            Cli::ClaudeCode | Cli::GeminiCli | Cli::QwenCode | Cli::Aider => {
                assert_eq!(session, SESSION);
            }
        }
        let requests = server.requests();
        assert!(requests.iter().all(|it| it.status == 200), "a request was refused");
        let bodies = requests.iter().map(|it| String::from_utf8_lossy(&it.body).into_owned());
        let sent = bodies.collect::<String>();
        assert!(sent.contains("preamble-canary") && sent.contains("prompt-canary"));
        assert!(!sent.contains("repository-canary"));
        assert!(requests.iter().all(|it| {
            it.header("x-api-key").is_none() || it.header("authorization").is_none()
        }));
    });
}

#[test]
fn a_rejected_credential() {
    each(|cli, place| {
        let server = ModelServer::builder()
            .credential(Credential::AnthropicKey("another".into()))
            .credential(Credential::OpenAiKey("another".into()))
            .credential(Credential::GeminiKey("another".into()))
            .start()
            .unwrap();
        let done = place.run(&place.order(&server.url(), "Go."), LIMIT);
        assert_eq!(failed(done.outcome), Some(FailReason::Authentication));
        assert!(!done.ending.stopped_by_us);
        match cli {
            Cli::ClaudeCode | Cli::Codex | Cli::OpenCode => assert_eq!(done.exit, Some(1)),
            // The provider's status, modulo 256: Google says 400 to a wrong key.
            Cli::GeminiCli => assert_eq!(done.exit, Some(144)),
            Cli::QwenCode | Cli::Aider => assert_eq!(done.exit, Some(0), "it lies"),
        }
        assert!(cli == Cli::Aider || done.stdout.ends_with(b"}\n"), "every line is JSON");
        assert!(done.seconds < 60.0, "own retries are low: {}", done.seconds);
    });
}

#[test]
fn a_subscription_that_is_used_up_names_its_reset() {
    let Some(place) = place(Cli::ClaudeCode) else { return };
    let server = ModelServer::builder()
        .credential(Credential::AnthropicSubscription(RUN_TOKEN.into()))
        .resets_at(1_999_999_980)
        .start()
        .unwrap();
    let mut order = place.order(&server.url(), "Go.");
    order.credential = CredentialKind::AnthropicSubscription;
    let done = place.run(&order, LIMIT);
    assert_eq!(done.outcome, Some(AgentOutcome::Completed), "the control: {}", done.stderr);
    order.gateway = server.failing_url(Failure::UsageLimit);
    order.session = Session::Fresh { id: "22222222-2222-4333-8444-555555555555".into() };
    let done = place.run(&order, LIMIT);
    let Some(AgentOutcome::Failed { reason, resets_at, .. }) = done.outcome else {
        panic!("{done:?}");
    };
    assert_eq!((reason, resets_at), (FailReason::UsageLimit, Some(1_999_999_980)));
}

#[test]
fn killed_at_work_and_resumed() {
    each(|cli, place| {
        let server = server(|conversation| {
            if conversation.prompt().contains("second-prompt") {
                Script::saying("Both done.").write("second", "x\n")
            } else {
                Script::saying("never said").shell("touch first; sleep 600")
            }
        });
        // Without tools there is no time in which one runs: it is killed as it asks.
        if cli == Cli::Aider {
            return killed_as_it_asks(&place);
        }
        let mut order = place.order(&server.url(), "first-prompt");
        let mut running = place.start(&order, Usage::default());
        assert!(running.until_file(LIMIT, &place.workspace().join("first")));
        running.signal(Signal::TERM, true);
        let stopped = running.finish(if cli.outlives_term() { AFTER_TERM } else { LIMIT });
        assert!(!stopped.timed_out || cli.outlives_term(), "{stopped:?}");
        // Those that may go on do so in one run and not in the next. Either way the turn is not
        // ended behind our back: its tool sleeps on, and what comes after it is never said.
        let ended = stopped.events.iter().any(|event| match event {
            AgentEvent::Text(text) => text.contains("never said"),
            AgentEvent::ToolFinished { ok, .. } => *ok,
            _ => false,
        });
        assert!(!ended && !stopped.final_text.contains("never said"), "{stopped:?}");
        assert_eq!(stopped.outcome, None, "whatever the exit code: {:?}", stopped.exit);
        let session = stopped.session.unwrap();
        order.session = Session::Resume { id: session.clone() };
        order.prompt = "second-prompt".into();
        let resumed = place.start(&order, stopped.usage).finish(LIMIT);
        assert_eq!(resumed.outcome, Some(AgentOutcome::Completed), "{resumed:?}");
        assert!(place.workspace().join("second").exists());
        assert_eq!(resumed.session, Some(session));
        counted(cli, &resumed.usage, 2);
        let last = server.requests().pop().unwrap().body;
        let last = String::from_utf8_lossy(&last);
        assert!(last.contains("first-prompt"), "the conversation went on");
        assert!(last.contains("preamble-canary"), "the preamble is given again");
    });
}

fn killed_as_it_asks(place: &Place) {
    let silent = ModelServer::builder().failure(Failure::Silent).start().unwrap();
    let mut order = place.order(&silent.url(), "first-prompt");
    let mut running = place.start(&order, Usage::default());
    assert!(silent.wait_for("/chat/completions", 1, LIMIT));
    running.signal(Signal::TERM, true);
    let stopped = running.finish(LIMIT);
    assert!(!stopped.timed_out && stopped.outcome.is_none(), "{stopped:?}");
    let server = server(|_| Script::saying("Both done.").write("second", "x\n"));
    order.gateway = server.url();
    order.session = Session::Resume { id: SESSION.into() };
    order.prompt = "second-prompt".into();
    let resumed = place.start(&order, stopped.usage).finish(LIMIT);
    assert_eq!(resumed.outcome, Some(AgentOutcome::Completed), "{resumed:?}");
    assert!(place.workspace().join("second").exists());
    let last = server.requests().pop().unwrap().body;
    let last = String::from_utf8_lossy(&last);
    assert!(last.contains("first-prompt"), "the conversation went on");
    assert!(last.contains("preamble-canary"), "the preamble is given again");
}

#[test]
fn resumed_after_a_success_it_counts_its_own_run_only() {
    each(|cli, place| {
        let server = server(|_| Script::saying("Done.").shell("true"));
        let mut order = place.order(&server.url(), "one");
        let first = place.run(&order, LIMIT);
        order.session = Session::Resume { id: first.session.unwrap() };
        order.prompt = "two".into();
        let second = place.start(&order, first.usage).finish(LIMIT);
        assert_eq!(second.outcome, Some(AgentOutcome::Completed), "{second:?}");
        counted(cli, &second.usage, 2);
        // Without its file aider begins anew.
        if cli == Cli::Aider {
            return;
        }
        order.session = Session::Resume { id: "33333333-2222-4333-8444-555555555555".into() };
        let unknown = place.run(&order, LIMIT);
        assert_eq!(failed(unknown.outcome), Some(FailReason::SessionLost), "{}", unknown.stderr);
    });
}

#[test]
fn one_that_may_only_look_has_no_tool_to_write() {
    each(|cli, place| {
        let (writer, shell) = match cli {
            Cli::ClaudeCode => ("\"Write\"", "\"Bash\""),
            // One has a shell only, and our sandbox throws away what that writes; the other has
            // no tools at all.
            Cli::Codex | Cli::Aider => return,
            // With a model of the gpt family it writes by patches.
            Cli::OpenCode => ("\"apply_patch\"", "\"bash\""),
            Cli::GeminiCli | Cli::QwenCode => ("\"write_file\"", "\"run_shell_command\""),
        };
        let server = server(|_| Script::saying("Looked.").write("note.txt", "no\n").shell("ls"));
        let mut order = place.order(&server.url(), "Look.");
        order.read_only = true;
        let done = place.run(&order, LIMIT);
        assert_eq!(done.outcome, Some(AgentOutcome::Completed), "{done:?}");
        // Of all requests but `skip`: some ask beside the conversation, with few tools or none.
        let offered = |skip: usize| {
            let requests = server.requests().into_iter().skip(skip);
            requests.map(|it| it.json()["tools"].to_string()).collect::<String>()
        };
        let told = offered(0);
        let looked = server.requests().len();
        assert!(!told.contains(writer) && told.contains(shell), "{}: {told}", cli.as_str());
        assert!(!place.workspace().join("note.txt").exists() || cli != Cli::ClaudeCode);
        // The control: without the order to only look, the same script writes.
        order.read_only = false;
        order.session = Session::Fresh { id: "44444444-2222-4333-8444-555555555555".into() };
        place.run(&order, LIMIT);
        assert!(place.workspace().join("note.txt").exists());
        assert!(offered(looked).contains(writer), "{}: {}", cli.as_str(), offered(looked));
    });
}
