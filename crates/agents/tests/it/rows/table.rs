//! The rows of each CLI: those of all, and where one is taken for something else than most.

use midwatch_core::reason::FailReason::{
    AgentFailed, Authentication, CostLimit, ModelNotFound, ModelUnavailable, RateLimit,
    SessionLost, TokenLimit, TurnLimit, UsageLimit,
};
use midwatch_testkit::agent_clis::Cli;
use midwatch_testkit::model_server::Failure;
use rustix::process::Signal;

use super::Expected::{Completed, Endless, Failed, Outlives, Silent, Stopped};
use super::Trial::{Asking, Endpoint, InTool, Subscription};
use super::{By, Expected, Row, Trial};

/// The rows of a CLI, in the order of the page.
pub(crate) fn rows(cli: Cli) -> Vec<Row> {
    let mut rows = of_all();
    match cli {
        Cli::ClaudeCode => rows.extend(of_claude()),
        Cli::Aider => rows.extend(of_aider()),
        // It goes on, and ends well: that nothing came of it is seen by the supervision.
        Cli::OpenCode | Cli::GeminiCli => rows.push(denied(Completed)),
        Cli::QwenCode => rows.push(denied(Failed(AgentFailed))),
        // No rule of its own holds where its sandbox and its questions are switched off.
        Cli::Codex => rows.push(length()),
    }
    let differs = differs(cli);
    for (name, expected) in &differs {
        let row = rows.iter_mut().find(|row| row.name == *name);
        row.unwrap_or_else(|| panic!("no row {name}")).expected = *expected;
    }
    let without = without(cli);
    rows.retain(|row| !without.contains(&row.name));
    rows
}

fn differs(cli: Cli) -> Vec<(&'static str, Expected)> {
    match cli {
        // Without a subscription there is no word of a limit's reset, nor of a quota.
        Cli::ClaudeCode => {
            vec![("usage-limit", Failed(RateLimit)), ("quota", Failed(RateLimit))]
        }
        Cli::Codex => vec![
            // Of most refusals it passes on the status alone.
            ("no-credit", Failed(RateLimit)),
            ("silent", Silent),
            ("sse-error", Failed(RateLimit)),
            ("refused", Endless(ModelUnavailable)),
        ],
        Cli::OpenCode => vec![
            ("silent", Silent),
            ("refused", Endless(ModelUnavailable)),
            ("malformed", Endless(ModelUnavailable)),
            ("sse-error", Endless(ModelUnavailable)),
            ("empty-stream", Endless(ModelUnavailable)),
        ],
        Cli::GeminiCli => {
            vec![("silent", Endless(ModelUnavailable)), ("term-in-tool", Outlives)]
        }
        // It waits for 300 seconds, which no row does.
        Cli::QwenCode => vec![("silent", Silent), ("term-in-tool", Outlives)],
        // It waits for 300 seconds, which no row does; it works without a HOME that can be
        // written, and begins anew where there is no conversation.
        Cli::Aider => {
            vec![("silent", Silent), ("unknown-session", Completed), ("home-read-only", Completed)]
        }
    }
}

/// Rows that a CLI cannot have, and those that were not recorded yet: its own page says what was.
fn without(cli: Cli) -> &'static [&'static str] {
    match cli {
        Cli::ClaudeCode | Cli::Codex | Cli::OpenCode | Cli::GeminiCli | Cli::QwenCode => &[],
        // It has no tools.
        Cli::Aider => &["term-in-tool", "int-in-tool"],
    }
}

fn row(name: &'static str, what: &'static str, trial: Trial, expected: Expected) -> Row {
    Row { name, what, expected, trial }
}

fn of_all() -> Vec<Row> {
    vec![
        row("success", "nothing is wrong", Trial::Success, Completed),
        row("resume", "a conversation goes on", Trial::Resume, Completed),
        row(
            "401",
            "a key that nobody knows",
            Endpoint(Failure::Unauthorized),
            Failed(Authentication),
        ),
        row("403", "403", Endpoint(Failure::Forbidden), Failed(Authentication)),
        row("404", "404, unknown model", Endpoint(Failure::NotFound), Failed(ModelNotFound)),
        row("400", "400", Endpoint(Failure::BadRequest), Failed(ModelUnavailable)),
        row("no-credit", "no credit left", Endpoint(Failure::NoCredit), Failed(UsageLimit)),
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
            "429 that names 2 seconds, always",
            Endpoint(Failure::RetryAfter),
            Failed(RateLimit),
        ),
        row(
            "429-once",
            "429 that names 1 second, once",
            Endpoint(Failure::RetryAfterOnce),
            Completed,
        ),
        row(
            "usage-limit",
            "429, usage limit with a reset",
            Endpoint(Failure::UsageLimit),
            Failed(UsageLimit),
        ),
        row("quota", "429, quota of a key", Endpoint(Failure::Quota), Failed(UsageLimit)),
        row("500", "500", Endpoint(Failure::ServerError), Failed(ModelUnavailable)),
        row("529", "529", Endpoint(Failure::Overloaded), Failed(ModelUnavailable)),
        row(
            "cut",
            "the stream is cut, always",
            Endpoint(Failure::CutStream),
            Failed(ModelUnavailable),
        ),
        row("silent", "it never answers", Endpoint(Failure::Silent), Failed(ModelUnavailable)),
        row("malformed", "200, no JSON", Endpoint(Failure::Malformed), Failed(ModelUnavailable)),
        row(
            "sse-error",
            "200, an error in the stream",
            Endpoint(Failure::SseError),
            Failed(ModelUnavailable),
        ),
        row(
            "empty-stream",
            "200, an empty stream",
            Endpoint(Failure::EmptyStream),
            Failed(ModelUnavailable),
        ),
        row("refused", "connection refused", Trial::Refused, Failed(ModelUnavailable)),
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
            Failed(SessionLost),
        ),
        row("home-read-only", "HOME cannot be written", Trial::HomeReadOnly, Failed(AgentFailed)),
    ]
}

fn denied(expected: Expected) -> Row {
    row("tools-denied", "its settings deny every call", Trial::NotAllowed, expected)
}

/// Those that tell of it. Claude Code and qwen-code ask for the rest by themselves, and gemini-cli
/// takes what there is for the whole answer.
fn length() -> Row {
    row(
        "length",
        "the answer ends at the limit of tokens",
        Endpoint(Failure::AtLimit),
        Failed(TokenLimit),
    )
}

/// What it ends with 0 all the same.
fn of_aider() -> Vec<Row> {
    vec![
        length(),
        row(
            "unapplied",
            "edits of what is not there, over and over",
            Trial::Unapplied,
            Failed(AgentFailed),
        ),
    ]
}

fn of_claude() -> Vec<Row> {
    vec![
        row("subscription", "a subscription token", Trial::Subscribed, Completed),
        row(
            "subscription-429",
            "429 that names 1 second, once, a subscription token",
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
    ]
}
