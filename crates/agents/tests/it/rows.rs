//! The matrix of failures: each way in which a run can end, and what it must be taken for.

use std::time::Duration;

use midwatch_core::agent::{AgentEvent, AgentOutcome, CredentialKind, Session, Usage};
use midwatch_core::reason::FailReason;
use midwatch_testkit::agent_clis::Cli;
use midwatch_testkit::model_server::{Failure, ModelServer, RefusedPort};
use midwatch_testkit::script::Script;
use rustix::process::Signal;

use crate::drive::{Finished, Place};

/// Longer than any row that ends by itself.
const LIMIT: Duration = Duration::from_secs(40);
/// Until the first sign of life that a row waits for.
const START: Duration = Duration::from_mins(1);
/// When a usage limit resets in these runs: 2030-01-01 13:35 UTC.
const RESETS_AT: i64 = 1_893_504_900;

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
}

/// One row.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) expected: Expected,
    trial: Trial,
}

/// The rows of a CLI, in the order of the page.
pub(crate) fn rows(cli: Cli) -> Vec<Row> {
    use Expected::{Completed, Endless, Failed, Silent, Stopped};
    use FailReason::{
        AgentFailed, Authentication, CostLimit, ModelUnavailable, RateLimit, TokenLimit, TurnLimit,
        UsageLimit,
    };
    use Trial::{Asking, Endpoint, InTool, Subscription};
    let claude = cli == Cli::ClaudeCode;
    let row = |name, what, trial, expected| Row { name, what, expected, trial };
    let mut rows = vec![
        row("success", "nothing is wrong", Trial::Success, Completed),
        row("resume", "a conversation goes on", Trial::Resume, Completed),
        row("401", "401", Endpoint(Failure::Unauthorized), Failed(Authentication)),
        row("403", "403", Endpoint(Failure::Forbidden), Failed(Authentication)),
        row("404", "404, unknown model", Endpoint(Failure::NotFound), Failed(ModelUnavailable)),
        row("400", "400", Endpoint(Failure::BadRequest), Failed(ModelUnavailable)),
        row("no-credit", "400, no credit left", Endpoint(Failure::NoCredit), Failed(UsageLimit)),
        row(
            "prompt-too-long",
            "400, prompt too long",
            Endpoint(Failure::PromptTooLong),
            Failed(TokenLimit),
        ),
        row("413", "413", Endpoint(Failure::TooLarge), Failed(TokenLimit)),
        row("429", "429 without a word on when", Endpoint(Failure::RateLimited), Failed(RateLimit)),
        row(
            "429-retry-after",
            "429 with `retry-after: 2`, always",
            Endpoint(Failure::RetryAfter),
            Failed(RateLimit),
        ),
        row(
            "429-once",
            "429 with `retry-after: 1`, once",
            Endpoint(Failure::RetryAfterOnce),
            Completed,
        ),
        row(
            "usage-limit",
            "429, usage limit with a reset",
            Endpoint(Failure::UsageLimit),
            Failed(if claude { RateLimit } else { UsageLimit }),
        ),
        row(
            "quota",
            "429, quota of a key",
            Endpoint(Failure::Quota),
            Failed(if claude { RateLimit } else { UsageLimit }),
        ),
        row("500", "500", Endpoint(Failure::ServerError), Failed(ModelUnavailable)),
        row("529", "529", Endpoint(Failure::Overloaded), Failed(ModelUnavailable)),
        row(
            "cut",
            "the stream is cut, always",
            Endpoint(Failure::CutStream),
            Failed(ModelUnavailable),
        ),
        row(
            "silent",
            "it never answers",
            Endpoint(Failure::Silent),
            if claude { Failed(ModelUnavailable) } else { Silent },
        ),
        row("malformed", "200, no JSON", Endpoint(Failure::Malformed), Failed(ModelUnavailable)),
        row(
            "sse-error",
            "200, an error in the stream",
            Endpoint(Failure::SseError),
            Failed(if claude { ModelUnavailable } else { RateLimit }),
        ),
        row(
            "empty-stream",
            "200, an empty stream",
            Endpoint(Failure::EmptyStream),
            Failed(ModelUnavailable),
        ),
        row(
            "refused",
            "connection refused",
            Trial::Refused,
            if claude { Failed(ModelUnavailable) } else { Endless(ModelUnavailable) },
        ),
        row("term-in-tool", "we send TERM, a tool runs", InTool(Signal::TERM, By::Us), Stopped),
        row(
            "term-asking",
            "we send TERM, the model is asked",
            Asking(Signal::TERM, By::Us),
            Stopped,
        ),
        row(
            "int-in-tool",
            "INT from elsewhere, a tool runs",
            InTool(Signal::INT, By::SomebodyElse),
            Failed(AgentFailed),
        ),
        row(
            "kill-asking",
            "KILL from elsewhere, the model is asked",
            Asking(Signal::KILL, By::SomebodyElse),
            Failed(AgentFailed),
        ),
        row(
            "unknown-session",
            "resume of what is not there",
            Trial::UnknownSession,
            Failed(AgentFailed),
        ),
        row("home-read-only", "HOME cannot be written", Trial::HomeReadOnly, Failed(AgentFailed)),
    ];
    if claude {
        rows.extend([
            row("subscription", "a subscription token", Trial::Subscribed, Completed),
            row(
                "subscription-429",
                "429 with `retry-after: 1`, once, a subscription token",
                Subscription(Failure::RetryAfterOnce),
                Failed(RateLimit),
            ),
            row(
                "subscription-401",
                "401, a subscription token",
                Subscription(Failure::Unauthorized),
                Failed(Authentication),
            ),
            row(
                "subscription-limit",
                "usage limit, a subscription token",
                Subscription(Failure::UsageLimit),
                Failed(UsageLimit),
            ),
            row("turn-limit", "one turn allowed, two needed", Trial::TurnLimit, Failed(TurnLimit)),
            row("cost-limit", "one cent allowed", Trial::CostLimit, Failed(CostLimit)),
            row(
                "session-in-use",
                "a new session under an old id",
                Trial::SessionInUse,
                Failed(AgentFailed),
            ),
            row(
                "tools-taken-away",
                "settings in HOME take the tools away",
                Trial::Denied(r#""Bash","Write""#),
                Failed(AgentFailed),
            ),
            row(
                "tools-denied",
                "settings in HOME deny every call",
                Trial::Denied(r#""Bash(cat *)","Edit(//**)""#),
                Failed(AgentFailed),
            ),
            row(
                "temp-read-only",
                "its folder for temporary files cannot be written",
                Trial::TempReadOnly,
                Failed(AgentFailed),
            ),
        ]);
    }
    rows
}

impl Row {
    /// Runs it for real, in a new place.
    pub(crate) fn run(&self, cli: Cli) -> Result<Finished, String> {
        let mut place = Place::new(cli)?;
        // Only waits are shortened: the adapter's own value is five minutes.
        place.extra.push(("API_TIMEOUT_MS", "3000"));
        let script = Script::saying("All done.").write("note.txt", "hello\n").shell("cat note.txt");
        let server = ModelServer::builder().resets_at(RESETS_AT).script(script);
        let slow = Script::saying("never said").shell("sleep 600");
        let mut order;
        match self.trial {
            Trial::Success => {
                let server = server.start().unwrap();
                let done = place.run(&place.order(&server.url(), "Write a note."), LIMIT);
                let written = place.workspace().join("note.txt").exists();
                if written { Ok(done) } else { Err("the note was not written".to_owned()) }
            }
            Trial::Resume => {
                let server = server.start().unwrap();
                order = place.order(&server.url(), "Write a note.");
                let first = place.run(&order, LIMIT);
                order.session = Session::Resume { id: first.session.unwrap_or_default() };
                order.prompt = "Write it again.".into();
                Ok(place.start(&order, first.usage).finish(LIMIT))
            }
            Trial::Endpoint(failure) => {
                let server = server.start().unwrap();
                let order = place.order(&server.failing_url(failure), "Write a note.");
                Ok(place.run(&order, LIMIT))
            }
            Trial::Subscribed => {
                let server = server.start().unwrap();
                order = place.order(&server.url(), "Write a note.");
                order.credential = CredentialKind::AnthropicSubscription;
                Ok(place.run(&order, LIMIT))
            }
            Trial::Subscription(failure) => {
                let server = server.start().unwrap();
                order = place.order(&server.failing_url(failure), "Write a note.");
                order.credential = CredentialKind::AnthropicSubscription;
                Ok(place.run(&order, LIMIT))
            }
            Trial::Refused => {
                let port = RefusedPort::new().unwrap();
                Ok(place.run(&place.order(&port.url(), "Write a note."), LIMIT))
            }
            Trial::InTool(signal, by) => {
                let server = server.script(slow).start().unwrap();
                let order = place.order(&server.url(), "Wait.");
                let mut running = place.start(&order, Usage::default());
                if !running.until(START, |event| matches!(event, AgentEvent::ToolStarted { .. })) {
                    return Err("no tool was started".to_owned());
                }
                running.signal(signal, by == By::Us);
                Ok(running.finish(LIMIT))
            }
            Trial::Asking(signal, by) => {
                let server = server.failure(Failure::Silent).start().unwrap();
                let order = place.order(&server.url(), "Wait.");
                let mut running = place.start(&order, Usage::default());
                let asked = match cli {
                    Cli::ClaudeCode => server.wait_for("/messages", 1, START),
                    Cli::Codex => server.wait_for("/responses", 1, START),
                };
                if !asked {
                    return Err("the model was not asked".to_owned());
                }
                running.signal(signal, by == By::Us);
                Ok(running.finish(LIMIT))
            }
            Trial::TurnLimit => {
                let server = server.start().unwrap();
                order = place.order(&server.url(), "Write a note.");
                order.max_turns = Some(1);
                Ok(place.run(&order, LIMIT))
            }
            Trial::CostLimit => {
                let script = (0..9).fold(Script::saying("All done."), |it, _| it.shell("true"));
                let server = server.script(script).start().unwrap();
                order = place.order(&server.url(), "Work.");
                order.max_cost_cents = Some(1);
                Ok(place.run(&order, LIMIT))
            }
            Trial::UnknownSession => {
                let server = server.start().unwrap();
                order = place.order(&server.url(), "Go on.");
                order.session =
                    Session::Resume { id: "99999999-2222-4333-8444-555555555555".to_owned() };
                Ok(place.run(&order, LIMIT))
            }
            Trial::SessionInUse => {
                let server = server.start().unwrap();
                let order = place.order(&server.url(), "Write a note.");
                place.run(&order, LIMIT);
                Ok(place.run(&order, LIMIT))
            }
            Trial::HomeReadOnly => {
                let server = server.start().unwrap();
                place.home_read_only = true;
                Ok(place.run(&place.order(&server.url(), "Write a note."), LIMIT))
            }
            Trial::TempReadOnly => {
                let server = server.start().unwrap();
                place.extra.push(("CLAUDE_CODE_TMPDIR", "/usr/agent-tmp"));
                Ok(place.run(&place.order(&server.url(), "Write a note."), LIMIT))
            }
            Trial::Denied(rules) => {
                let server = server.start().unwrap();
                let settings = format!(r#"{{"permissions":{{"deny":[{rules}]}}}}"#);
                std::fs::create_dir_all(place.home().join(".claude")).unwrap();
                std::fs::write(place.home().join(".claude/settings.json"), settings).unwrap();
                Ok(place.run(&place.order(&server.url(), "Write a note."), LIMIT))
            }
        }
    }
}

/// Whether a run was taken for what it must be.
pub(crate) fn as_expected(expected: Expected, done: &Finished) -> bool {
    let endless = matches!(expected, Expected::Endless(_) | Expected::Silent);
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
        Expected::Stopped => outcome.is_none(),
        Expected::Endless(reason) => outcome.is_none() && failed(trouble) == Some(reason),
        Expected::Silent => outcome.is_none() && trouble.is_none(),
    }
}
