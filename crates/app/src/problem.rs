//! What ends a command before there is a result: whose fault, what next, which exit code.

use midwatch_api::control::Refusal;
use midwatch_api::view::ResultLine;
use midwatch_core::input::InvalidInput;
use midwatch_core::reason::{FailReason, HoldReason};

/// Exit codes, one meaning each; others will script against them.
pub(crate) mod exit {
    /// Done, answered, unverified because asked for, accepted by `--detach`, found.
    pub(crate) const FINE: u8 = 0;
    /// Our own fault, or the server cannot be reached.
    pub(crate) const INTERNAL: u8 = 1;
    /// Wrong usage or input; nothing was created. For queries: no such task.
    pub(crate) const USAGE: u8 = 2;
    /// The task failed.
    pub(crate) const FAILED: u8 = 3;
    /// The goal needs no change.
    pub(crate) const NO_CHANGE: u8 = 4;
    /// The task is held.
    pub(crate) const HELD: u8 = 5;
    /// This machine or repository cannot run it; nothing was created.
    pub(crate) const CANNOT: u8 = 6;
    /// Cancelled.
    pub(crate) const CANCELLED: u8 = 130;
    /// Whoever read what was being followed has gone: 128 + SIGPIPE, as a shell says it.
    pub(crate) const UNREAD: u8 = 141;
}

/// An end without a task's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// One sentence: field, value, rule, fix. May hold text from outside.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
    /// One of [`exit`].
    pub(crate) exit: u8,
    /// A name of the closed sets of reasons; none where nothing was wrong.
    pub(crate) reason: Option<&'static str>,
}

impl Problem {
    /// Wrong usage or input.
    pub(crate) fn usage(field: &str, value: &str, rule: &str, fix: &str) -> Self {
        InvalidInput::new(field, value, rule, fix).into()
    }

    /// The same, as a whole sentence.
    pub(crate) fn wrong(sentence: impl Into<String>) -> Self {
        Self {
            message: sentence.into(),
            hint: None,
            exit: exit::USAGE,
            reason: Some(FailReason::InvalidInput.as_str()),
        }
    }

    /// This machine or repository cannot run it.
    pub(crate) fn cannot(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: Some(hint.into()),
            exit: exit::CANNOT,
            reason: Some(FailReason::InvalidInput.as_str()),
        }
    }

    /// There is no login, or it is not good any more.
    pub(crate) fn login(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { reason: Some(HoldReason::NeedsLogin.as_str()), ..Self::cannot(message, hint) }
    }

    /// A layer of the sandbox is missing.
    pub(crate) fn sandbox(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            reason: Some(HoldReason::SandboxUnavailable.as_str()),
            ..Self::cannot(message, hint)
        }
    }

    /// Our own fault, or the server cannot be reached.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            exit: exit::INTERNAL,
            reason: Some(FailReason::Internal.as_str()),
        }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The last line of what is about no task: every key, and nothing in it.
    pub(crate) fn nothing() -> ResultLine {
        ResultLine::unknown(None)
    }

    /// The result line of a refusal: every key, null where unknown.
    pub(crate) fn line(&self, task: Option<&str>) -> ResultLine {
        ResultLine {
            reason: self.reason.map(Into::into),
            hint: self.hint.clone(),
            detail: Some(self.message.clone()),
            ..ResultLine::unknown(task)
        }
    }
}

impl From<InvalidInput> for Problem {
    fn from(error: InvalidInput) -> Self {
        Self::wrong(error.to_string())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let Refusal { message, hint, exit } = refusal;
        let reason = match exit {
            exit::USAGE => FailReason::InvalidInput.as_str(),
            exit::CANNOT => HoldReason::SandboxUnavailable.as_str(),
            _ => FailReason::Internal.as_str(),
        };
        Self { message, hint, exit, reason: Some(reason) }
    }
}

/// The exit code of a task's state.
pub(crate) fn exit_of(state: Option<&str>) -> u8 {
    match state {
        Some("Done" | "Answered" | "Unverified") => exit::FINE,
        Some("Failed") => exit::FAILED,
        Some("NoChange") => exit::NO_CHANGE,
        Some("Held") => exit::HELD,
        Some("Cancelled") => exit::CANCELLED,
        // Not over: whoever asks for an end was cut off before it.
        Some(_) | None => exit::INTERNAL,
    }
}
