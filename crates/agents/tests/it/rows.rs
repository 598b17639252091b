//! The matrix of failures: each way in which a run can end, and what it must be taken for.

use std::time::Duration;

use midwatch_core::agent::{AgentCommand, AgentOutcome, CredentialKind, Session, Usage};
use midwatch_core::reason::FailReason;
use midwatch_testkit::agent_clis::Cli;
use midwatch_testkit::model_server::{Failure, ModelServer, RefusedPort};
use midwatch_testkit::script::Script;
use rustix::process::Signal;

use crate::drive::{Finished, Place};

#[path = "rows/table.rs"]
mod table;

pub(crate) use table::rows;

/// How long one that goes on after TERM is watched.
const AFTER_TERM: Duration = Duration::from_secs(12);
/// Until the first sign of life that a row waits for.
const START: Duration = Duration::from_mins(3);
/// When a usage limit resets in these runs: 2030-01-01 13:35 UTC.
const RESETS_AT: i64 = 1_893_504_900;

/// An edit in aider's form of lines that no file has.
const NOT_THERE: &str =
    "note.txt\n```\n<<<<<<< SEARCH\nnot there\n=======\nhello\n>>>>>>> REPLACE\n```\n";

/// What is done to the run.
#[derive(Debug, Clone, Copy)]
enum Trial {
    /// Nothing: the control of all others.
    Success,
    /// A conversation of an earlier run goes on.
    Resume,
    /// The endpoint fails so.
    Endpoint(Failure),
    /// Nothing is wrong, with a subscription token.
    Subscribed,
    /// The endpoint fails so, with a subscription token.
    Subscription(Failure),
    /// Nothing listens.
    Refused,
    /// A signal while a tool runs.
    InTool(Signal, By),
    /// A signal while the model is asked.
    Asking(Signal, By),
    /// One turn allowed, two needed.
    TurnLimit,
    /// One cent allowed.
    CostLimit,
    /// A session that does not exist.
    UnknownSession,
    /// A new session under an id that exists.
    SessionInUse,
    /// HOME cannot be written.
    HomeReadOnly,
    /// Claude Code's folder for temporary files cannot be made.
    TempReadOnly,
    /// The model answers with an edit of what is not there, over and over.
    Unapplied,
    /// What the adapter writes for the CLI is changed so that it denies what is called.
    NotAllowed,
    /// These rules in the settings of the home deny what is called.
    Denied(&'static str),
}

/// Who sent a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Us,
    SomebodyElse,
}

/// What a row must be taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    Completed,
    Failed(FailReason),
    /// We stopped it.
    Stopped,
    /// It has no end of its own; when stopped, this is its trouble.
    Endless(FailReason),
    /// It has no end of its own and says nothing.
    Silent,
    /// We sent TERM, and it went on.
    Outlives,
}

/// One row.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) expected: Expected,
    trial: Trial,
}

impl Row {
    /// Runs it for real, in a new place.
    pub(crate) fn run(&self, cli: Cli) -> Result<Finished, String> {
        let limit = limit(cli);
        let mut place = Place::new(cli)?;
        // Only waits are shortened: the adapter's own value is five minutes.
        place.extra.push(("API_TIMEOUT_MS", "3000"));
        let script = Script::saying("All done.").write("note.txt", "hello\n").shell("cat note.txt");
        let server = ModelServer::builder().resets_at(RESETS_AT).script(script);
        let slow = Script::saying("never said").shell("touch begun; sleep 600");
        let mut order;
        match self.trial {
            Trial::Success => {
                let server = server.start().unwrap();
                let done = place.run(&place.order(&server.url(), "Write a note."), limit);
                let written = place.workspace().join("note.txt").exists();
                let said = String::from_utf8_lossy(&done.stdout);
                let why = format!("the note was not written\n{said}{}", done.stderr);
                if written { Ok(done) } else { Err(why) }
            }
            Trial::Resume => {
                let server = server.start().unwrap();
                order = place.order(&server.url(), "Write a note.");
                let first = place.run(&order, limit);
                order.session = Session::Resume { id: first.session.unwrap_or_default() };
                order.prompt = "Write it again.".into();
                Ok(place.start(&order, first.usage).finish(limit))
            }
            Trial::Endpoint(failure) => {
                let server = server.start().unwrap();
                let order = place.order(&server.failing_url(failure), "Write a note.");
                Ok(place.run(&order, limit))
            }
            Trial::Subscribed => {
                let server = server.start().unwrap();
                order = place.order(&server.url(), "Write a note.");
                order.credential = CredentialKind::AnthropicSubscription;
                Ok(place.run(&order, limit))
            }
            Trial::Subscription(failure) => {
                let server = server.start().unwrap();
                order = place.order(&server.failing_url(failure), "Write a note.");
                order.credential = CredentialKind::AnthropicSubscription;
                Ok(place.run(&order, limit))
            }
            Trial::Refused => {
                let port = RefusedPort::new().unwrap();
                Ok(place.run(&place.order(&port.url(), "Write a note."), limit))
            }
            Trial::InTool(signal, by) => {
                let server = server.script(slow).start().unwrap();
                let order = place.order(&server.url(), "Wait.");
                let mut running = place.start(&order, Usage::default());
                // Not every CLI tells of a tool before it is over.
                if !running.until_file(START, &place.workspace().join("begun")) {
                    return Err("no tool was started".to_owned());
                }
                running.signal(signal, by == By::Us);
                Ok(running.finish(if by == By::Us { AFTER_TERM } else { limit }))
            }
            Trial::Asking(signal, by) => {
                let server = server.failure(Failure::Silent).start().unwrap();
                let order = place.order(&server.url(), "Wait.");
                let mut running = place.start(&order, Usage::default());
                let path = match cli {
                    Cli::ClaudeCode => "/messages",
                    Cli::Codex => "/responses",
                    Cli::OpenCode | Cli::QwenCode | Cli::Aider => "/chat/completions",
                    Cli::GeminiCli => ":streamGenerateContent",
                };
                if !server.wait_for(path, 1, START) {
                    return Err("the model was not asked".to_owned());
                }
                running.signal(signal, by == By::Us);
                Ok(running.finish(if by == By::Us { AFTER_TERM } else { limit }))
            }
            Trial::TurnLimit => {
                let server = server.start().unwrap();
                order = place.order(&server.url(), "Write a note.");
                order.max_turns = Some(1);
                Ok(place.run(&order, limit))
            }
            Trial::CostLimit => {
                let script = (0..9).fold(Script::saying("All done."), |it, _| it.shell("true"));
                let server = server.script(script).start().unwrap();
                order = place.order(&server.url(), "Work.");
                order.max_cost_cents = Some(1);
                Ok(place.run(&order, limit))
            }
            Trial::UnknownSession => {
                let server = server.start().unwrap();
                order = place.order(&server.url(), "Go on.");
                let id = match cli {
                    Cli::ClaudeCode | Cli::Codex | Cli::GeminiCli | Cli::QwenCode | Cli::Aider => {
                        "99999999-2222-4333-8444-555555555555"
                    }
                    Cli::OpenCode => "ses_999999999999aaaaaaaaaaaaaaaaaa",
                };
                order.session = Session::Resume { id: id.to_owned() };
                Ok(place.run(&order, limit))
            }
            Trial::SessionInUse => {
                let server = server.start().unwrap();
                let order = place.order(&server.url(), "Write a note.");
                place.run(&order, limit);
                Ok(place.run(&order, limit))
            }
            Trial::HomeReadOnly => {
                let server = server.start().unwrap();
                place.home_read_only = true;
                Ok(place.run(&place.order(&server.url(), "Write a note."), limit))
            }
            Trial::TempReadOnly => {
                let server = server.start().unwrap();
                place.extra.push(("CLAUDE_CODE_TMPDIR", "/usr/agent-tmp"));
                Ok(place.run(&place.order(&server.url(), "Write a note."), limit))
            }
            Trial::Unapplied => {
                let server = server.script(Script::saying(NOT_THERE)).start().unwrap();
                Ok(place.run(&place.order(&server.url(), "Write a note."), limit))
            }
            Trial::NotAllowed => {
                let script = (0..5).fold(Script::saying("All done."), |it, _| it.shell("cat x"));
                let server = server.script(script).start().unwrap();
                place.without = Some(deny_cat);
                Ok(place.run(&place.order(&server.url(), "Read x."), limit))
            }
            Trial::Denied(rules) => {
                let server = server.start().unwrap();
                let settings = format!(r#"{{"permissions":{{"deny":[{rules}]}}}}"#);
                std::fs::create_dir_all(place.home().join(".claude")).unwrap();
                std::fs::write(place.home().join(".claude/settings.json"), settings).unwrap();
                Ok(place.run(&place.order(&server.url(), "Write a note."), limit))
            }
        }
    }
}

/// Denies one command, in the settings of whichever CLI this is: the tool itself stays on offer.
fn deny_cat(command: &mut AgentCommand) {
    let given = command.clone();
    for (path, text) in &mut command.files {
        if path.ends_with(".midwatch/qwen.json") {
            *text = text.replace(r#""deny":[]"#, r#""deny":["run_shell_command(cat *)"]"#);
        } else if path.ends_with("policies/midwatch.toml") {
            text.push_str("\n[[rule]]\ntoolName = \"run_shell_command\"\ncommandPrefix = \"cat\"\ndecision = \"deny\"\npriority = 950\n");
        }
    }
    // Of its rules the last one that fits holds.
    let (before, bash) = (r#""*":"allow","#, r#""bash":{"*":"allow","cat *":"deny"},"#);
    for text in command.env.values_mut().chain(command.files.values_mut()) {
        *text = text.replace(before, &format!("{before}{bash}"));
    }
    assert_ne!(*command, given, "the adapter's rules have another form: nothing is denied");
}

/// Longer than any row that ends by itself.
fn limit(cli: Cli) -> Duration {
    match cli {
        Cli::ClaudeCode | Cli::Codex => Duration::from_secs(40),
        // They try again for up to 80 seconds, whatever they are told, and a busy machine takes
        // long to start them.
        Cli::OpenCode | Cli::GeminiCli | Cli::QwenCode | Cli::Aider => Duration::from_secs(200),
    }
}

/// Whether a run was taken for what it must be.
pub(crate) fn as_expected(expected: Expected, done: &Finished) -> bool {
    let endless = matches!(expected, Expected::Endless(_) | Expected::Silent | Expected::Outlives);
    endless == done.timed_out
        && as_expected_outcome(expected, done.outcome.as_ref(), done.trouble.as_ref())
}

/// The same for a recording, which cannot time out.
pub(crate) fn as_expected_outcome(
    expected: Expected,
    outcome: Option<&AgentOutcome>,
    trouble: Option<&AgentOutcome>,
) -> bool {
    let failed = |outcome: Option<&AgentOutcome>| match outcome {
        Some(AgentOutcome::Failed { reason, .. }) => Some(*reason),
        Some(AgentOutcome::Completed) | None => None,
    };
    match expected {
        Expected::Completed => outcome == Some(&AgentOutcome::Completed),
        Expected::Failed(reason) => failed(outcome) == Some(reason),
        Expected::Stopped | Expected::Outlives => outcome.is_none(),
        Expected::Endless(reason) => outcome.is_none() && failed(trouble) == Some(reason),
        Expected::Silent => outcome.is_none() && trouble.is_none(),
    }
}
