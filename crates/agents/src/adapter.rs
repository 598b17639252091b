//! What every adapter does, and the list of them.

use midwatch_core::agent::{
    AgentCommand, AgentEvent, AgentKind, AgentOrder, AgentOutcome, Capabilities, Session, Usage,
};

use crate::clean;
use crate::{aider, claude_code, codex, custom, gemini_cli, opencode, qwen_code};

/// The longest prompt in an argv: the kernel takes 128 KiB per argument, and other programs
/// show arguments to everybody.
pub(crate) const ARGUMENT_LIMIT: usize = 32 * 1024;

/// Knows one CLI.
pub trait Adapter: Send + Sync {
    /// Which CLI.
    fn kind(&self) -> AgentKind;

    /// What it can do, as declared by the adapter; a custom agent's follow from its profile.
    fn capabilities(&self, order: &AgentOrder) -> Capabilities;

    /// The command that carries out the order.
    ///
    /// # Errors
    /// The order asks for what this CLI cannot do, or lacks what it needs.
    fn command(&self, order: &AgentOrder) -> Result<AgentCommand, CommandError>;

    /// Arguments that make the program of [`Adapter::command`] print its version; empty where
    /// none are known.
    fn version_args(&self, _: &AgentOrder) -> Vec<String> {
        vec!["--version".to_owned()]
    }

    /// Reads what the command prints. `earlier` is what former runs of the same conversation
    /// used: codex counts over the whole thread, and it is subtracted.
    fn stream(&self, order: &AgentOrder, earlier: Usage) -> Box<dyn Stream>;
}

/// Reads one run of a CLI.
pub trait Stream: Send {
    /// Takes a line of stdout, without its line feed. Bytes that are no event give
    /// [`AgentEvent::Malformed`]; known lines of no interest give nothing.
    fn line(&mut self, line: &[u8]) -> Vec<AgentEvent>;

    /// Takes a line of stderr; kept for the outcome only.
    fn stderr_line(&mut self, line: &[u8]);

    /// Judges the end. `None`: we stopped it, and why is known to whoever did, whatever the
    /// exit code says: CLIs end with 0 after a signal, too.
    fn end(&mut self, ending: Ending) -> Option<AgentOutcome>;

    /// What the CLI was retrying when it was last heard of: the reason to show when it had to
    /// be stopped for want of progress. `None` when it was not retrying.
    fn trouble(&self, now: i64) -> Option<AgentOutcome>;

    /// The id to resume with, once known.
    fn session(&self) -> Option<&str>;

    /// Totals of this run so far.
    fn usage(&self) -> Usage;

    /// The last text of the agent, for typed outputs; at most [`FINAL_TEXT_LIMIT`] bytes.
    fn final_text(&self) -> &str;
}

/// The most bytes of the last text that are kept.
pub const FINAL_TEXT_LIMIT: usize = 256 * 1024;

/// How the process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// The exit code, 128 + signal after one; `None` when it was lost.
    pub exit: Option<i32>,
    /// We sent it a signal or tore its sandbox down.
    pub stopped_by_us: bool,
    /// Seconds since 1970: a reset time is printed as a time of day.
    pub now: i64,
}

/// An order that an adapter cannot turn into a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The model is always passed explicitly: defaults depend on the credential and the release.
    #[error("{0} needs a model")]
    ModelMissing(&'static str),
    /// A model that would be taken for an option, or is no name at all.
    #[error("{0:?} is no name of a model")]
    Model(String),
    /// This CLI cannot use that kind of credential.
    #[error("{agent} cannot use a credential of kind {credential}")]
    Credential {
        /// The adapter.
        agent: &'static str,
        /// The kind.
        credential: &'static str,
    },
    /// An id that is not of the form that the CLI makes.
    #[error("{0:?} is no session id")]
    Session(String),
    /// A custom agent without its declaration.
    #[error("a custom agent needs `command` in its profile")]
    NotDeclared,
    /// A custom agent's command does not have the placeholder that its way of prompting needs.
    #[error("the custom agent's command has no {0}")]
    Placeholder(&'static str),
    /// A custom agent that was told to resume, and has no way to.
    #[error("the custom agent's command has no {{session}}, so it cannot resume")]
    CannotResume,
    /// The prompt is too long to stand in an argv.
    #[error(
        "the prompt has {0} bytes, and an argument may have 32768: let the agent take it by file or stdin"
    )]
    PromptTooLong(usize),
    /// Text with a NUL byte cannot be an argument, and has no business elsewhere.
    #[error("{0} holds a NUL byte")]
    Nul(&'static str),
    /// codex refuses to work with a home below /tmp.
    #[error("codex cannot work with a HOME below /tmp")]
    HomeBelowTmp,
}

/// The adapter of a kind.
pub fn adapter(kind: AgentKind) -> &'static dyn Adapter {
    match kind {
        AgentKind::ClaudeCode => &claude_code::ClaudeCode,
        AgentKind::Codex => &codex::Codex,
        AgentKind::OpenCode => &opencode::OpenCode,
        AgentKind::GeminiCli => &gemini_cli::GeminiCli,
        AgentKind::Aider => &aider::Aider,
        AgentKind::QwenCode => &qwen_code::QwenCode,
        AgentKind::Custom => &custom::Custom,
    }
}

/// What a CLI that node runs is asked for its version by: node's own arguments come first.
pub(crate) fn node_version_args(order: &AgentOrder) -> Vec<String> {
    let program = order.program.to_string_lossy().into_owned();
    vec!["node".to_owned(), program, "--version".to_owned()]
}

/// The model of an order, fit to stand in an argv.
pub(crate) fn model(order: &AgentOrder) -> Result<&str, CommandError> {
    let model = order.model.as_deref().ok_or(CommandError::ModelMissing(order.kind.as_str()))?;
    let fits = !model.is_empty()
        && model.len() <= 200
        && !model.starts_with('-')
        && model.chars().all(|c| c.is_ascii_graphic());
    if fits { Ok(model) } else { Err(CommandError::Model(clean::line(model))) }
}

/// Refuses text with a NUL byte, saying what it is.
pub(crate) fn without_nul(what: &'static str, text: &str) -> Result<(), CommandError> {
    if text.contains('\0') { Err(CommandError::Nul(what)) } else { Ok(()) }
}

/// What is said of an order whose credential its CLI cannot use.
pub(crate) fn credential_refused(order: &AgentOrder) -> CommandError {
    CommandError::Credential { agent: order.kind.as_str(), credential: order.credential.as_str() }
}

/// The session's id, fit to stand in an argv.
pub(crate) fn session_id(session: &Session) -> Result<&str, CommandError> {
    let (Session::Fresh { id } | Session::Resume { id }) = session;
    if clean::is_session_id(id) { Ok(id) } else { Err(CommandError::Session(clean::line(id))) }
}

/// What an agent is told that may only look. The sandbox's discard of its changes is what
/// holds; this saves it the try.
pub(crate) const READ_ONLY: &str = "You may read and search, and run commands that change nothing. Change no file: \
     whatever you write is thrown away.";

/// The standing instructions of an order.
pub(crate) fn preamble(order: &AgentOrder) -> String {
    match (order.read_only, order.preamble.trim()) {
        (false, text) => text.to_owned(),
        (true, "") => READ_ONLY.to_owned(),
        (true, text) => format!("{text}\n\n{READ_ONLY}"),
    }
}

/// What is said of an end without a last word.
pub(crate) fn without_result(exit: Option<i32>) -> String {
    match exit {
        None => "the agent ended, and its exit code was lost".to_owned(),
        Some(code @ 129..=192) => format!("the agent was ended by signal {}", code - 128),
        Some(code) => format!("the agent ended with exit code {code} and without a result"),
    }
}

/// The gateway without a slash at its end.
pub(crate) fn gateway(order: &AgentOrder) -> &str {
    order.gateway.trim_end_matches('/')
}

#[cfg(test)]
pub(crate) mod tests {
    use midwatch_core::agent::CredentialKind;

    use super::*;

    /// An order that every adapter takes.
    pub(crate) fn order(kind: AgentKind) -> AgentOrder {
        AgentOrder {
            kind,
            program: "/opt/agents/bin/agent".into(),
            model: Some("model-1".into()),
            prompt: "Mend the bug.".into(),
            preamble: "You work \"unattended\".\nSay so.".into(),
            session: Session::Fresh { id: "11111111-2222-4333-8444-555555555555".into() },
            read_only: false,
            max_turns: None,
            max_cost_cents: None,
            credential: match kind {
                AgentKind::ClaudeCode => CredentialKind::AnthropicKey,
                AgentKind::Codex | AgentKind::OpenCode | AgentKind::Aider | AgentKind::QwenCode => {
                    CredentialKind::OpenAiKey
                }
                AgentKind::GeminiCli => CredentialKind::GeminiKey,
                AgentKind::Custom => CredentialKind::None,
            },
            run_token: "mwr_run-token".into(),
            gateway: "http://127.0.0.1:8787/".into(),
            home: "/home/agent".into(),
            workspace: "/workspace".into(),
            custom: None,
        }
    }

    #[test]
    fn every_kind_has_its_adapter() {
        for kind in AgentKind::ALL {
            assert_eq!(adapter(kind).kind(), kind);
        }
    }
}
