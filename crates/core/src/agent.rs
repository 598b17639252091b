//! What an agent is asked, and what it may say back, in the words of no particular CLI.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::reason::FailReason;

/// Which adapter drives an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AgentKind {
    /// Anthropic's Claude Code CLI.
    ClaudeCode,
    /// OpenAI's codex CLI.
    Codex,
    /// The opencode CLI.
    OpenCode,
    /// Google's gemini-cli.
    GeminiCli,
    /// The aider CLI.
    Aider,
    /// The qwen-code CLI.
    QwenCode,
    /// Any other CLI, declared in a profile.
    Custom,
}

impl AgentKind {
    /// Every kind, in the order that they are offered.
    pub const ALL: [Self; 7] = [
        Self::ClaudeCode,
        Self::Codex,
        Self::OpenCode,
        Self::GeminiCli,
        Self::Aider,
        Self::QwenCode,
        Self::Custom,
    ];

    /// The kinds that need no declaration.
    pub fn built_in() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|kind| *kind != Self::Custom)
    }

    /// The name of the adapter, which is also the name of its built-in profile.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::Codex => "codex",
            Self::OpenCode => "opencode",
            Self::GeminiCli => "gemini-cli",
            Self::Aider => "aider",
            Self::QwenCode => "qwen-code",
            Self::Custom => "custom",
        }
    }

    /// Reads a name made by [`AgentKind::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Which kind of credential the gateway holds for a run; it decides how the run token is shown
/// to the CLI, because the CLI sends other headers for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CredentialKind {
    /// A key of the Anthropic API (`x-api-key`).
    AnthropicKey,
    /// A Claude subscription token (`authorization: Bearer` with the OAuth beta header).
    AnthropicSubscription,
    /// A bearer token of a gateway that speaks Anthropic's API (`authorization: Bearer`).
    AnthropicToken,
    /// A key of the OpenAI API (`authorization: Bearer`).
    OpenAiKey,
    /// A key of Google's Gemini API (`x-goog-api-key`).
    GeminiKey,
    /// No credential: a custom agent that talks to no model.
    None,
}

impl CredentialKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::AnthropicKey,
        Self::AnthropicSubscription,
        Self::AnthropicToken,
        Self::OpenAiKey,
        Self::GeminiKey,
        Self::None,
    ];

    /// The name on every wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AnthropicKey => "AnthropicKey",
            Self::AnthropicSubscription => "AnthropicSubscription",
            Self::AnthropicToken => "AnthropicToken",
            Self::OpenAiKey => "OpenAiKey",
            Self::GeminiKey => "GeminiKey",
            Self::None => "None",
        }
    }

    /// Reads a name made by [`CredentialKind::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// How a custom agent takes its prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PromptBy {
    /// On standard input.
    Stdin,
    /// `{prompt_file}` in the argv stands for the path of a file that holds it.
    File,
    /// `{prompt}` in the argv stands for the text. Only for prompts under 32 KiB.
    Argument,
}

/// A CLI that is declared in a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomAgent {
    /// The command; `{prompt_file}`, `{prompt}`, `{model}` and `{session}` are replaced.
    pub argv: Vec<String>,
    /// How the prompt goes in.
    pub prompt_by: PromptBy,
    /// Environment beside ours; never a credential.
    pub env: BTreeMap<String, String>,
    /// JSON pointers into lines of JSON on stdout; none means plain text.
    pub mapping: Option<EventMapping>,
}

/// Where to find things in a custom agent's JSON lines. Each is a JSON pointer (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventMapping {
    /// The session id, on any line.
    pub session: Option<String>,
    /// Text for people.
    pub text: Option<String>,
    /// The name of a tool that is called.
    pub tool: Option<String>,
    /// Input tokens, summed over lines.
    pub input_tokens: Option<String>,
    /// Output tokens, summed over lines.
    pub output_tokens: Option<String>,
}

/// Whether a run begins a conversation or goes on with one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Session {
    /// A new one; the id is ours where the CLI lets us choose it.
    Fresh {
        /// A UUID.
        id: String,
    },
    /// The stored id of an earlier run with the same HOME.
    Resume {
        /// The id as the CLI gave it.
        id: String,
    },
}

/// What an adapter is asked to turn into a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentOrder {
    /// Which adapter.
    pub kind: AgentKind,
    /// The CLI's program as seen inside the sandbox.
    pub program: PathBuf,
    /// The model, always passed explicitly; `None` only for custom agents.
    pub model: Option<String>,
    /// The prompt. Never in argv for the built-in agents.
    pub prompt: String,
    /// Standing instructions, appended to the CLI's own system prompt.
    pub preamble: String,
    /// New or resumed.
    pub session: Session,
    /// The agent may look, not write.
    pub read_only: bool,
    /// The most turns, where the CLI can count them.
    pub max_turns: Option<u32>,
    /// The most money in US cents by the CLI's own estimate, where it has one.
    pub max_cost_cents: Option<u32>,
    /// The kind of credential that the gateway holds.
    pub credential: CredentialKind,
    /// What the CLI gets in the place of a credential. Works only at our gateway, for this run.
    pub run_token: String,
    /// The gateway as seen inside, such as `http://127.0.0.1:8787`, with the upstream's path
    /// prefix (`/v1` for OpenAI) left to the adapter.
    pub gateway: String,
    /// HOME inside the sandbox.
    pub home: PathBuf,
    /// The workspace inside the sandbox.
    pub workspace: PathBuf,
    /// The declaration of a custom agent.
    pub custom: Option<CustomAgent>,
}

/// A program to start, as an adapter made it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgentCommand {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Environment on top of the sandbox's own.
    pub env: BTreeMap<String, String>,
    /// Files to write before the start: absolute path inside the sandbox (under HOME), contents.
    pub files: BTreeMap<PathBuf, String>,
    /// What the program reads on stdin; empty means closed.
    pub stdin: String,
}

/// What an adapter can do; declared, never guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "five independent yes-or-no facts about a CLI")]
pub struct Capabilities {
    /// A later run can go on with the conversation.
    pub resume: bool,
    /// stdout is a stream of structured events.
    pub structured_events: bool,
    /// The stream tells tokens.
    pub usage: bool,
    /// The stream tells money.
    pub cost: bool,
    /// We choose the session id before the start.
    pub chosen_session: bool,
}

/// Tokens and money, as far as known. Counts are totals of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Tokens sent, cached ones included.
    pub input_tokens: u64,
    /// Tokens received.
    pub output_tokens: u64,
    /// Millionths of a US dollar, where known.
    pub cost_micros: Option<u64>,
}

/// A mark of some content: the same content has the same mark, within one version of a CLI and
/// of Midwatch. It tells repetition, and nothing against somebody who looks for collisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub u64);

impl Digest {
    /// The mark of bytes (FNV-1a, 64 bits).
    pub fn of(bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(0xcbf2_9ce4_8422_2325, |mark, byte| {
            (mark ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }
}

/// One normalised event of an agent's stream. All of it is a claim of the inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentEvent {
    /// The conversation has an id.
    Started {
        /// The id to resume with.
        session: String,
        /// The model that the CLI says it uses.
        model: Option<String>,
    },
    /// Text for people.
    Text(String),
    /// A tool call begins.
    ToolStarted {
        /// The call's id.
        id: String,
        /// The tool's name.
        name: String,
        /// One line: the command, the file.
        summary: String,
        /// All of its arguments: the same for the same call.
        arguments: Digest,
    },
    /// A tool call ended.
    ToolFinished {
        /// The call's id.
        id: String,
        /// Whether the tool said it succeeded.
        ok: bool,
        /// One line of the result.
        summary: String,
        /// All of its result: the same for the same answer.
        result: Digest,
    },
    /// The CLI asks its model again. A heartbeat, not progress.
    Retrying {
        /// Counted from 1.
        attempt: u32,
        /// What went wrong, as the CLI says.
        error: String,
    },
    /// Totals so far.
    Usage(Usage),
    /// A limit of the subscription was reached or comes near.
    Limit {
        /// Calls are refused now.
        reached: bool,
        /// When it resets, in seconds since 1970.
        resets_at: Option<i64>,
    },
    /// Something odd that does not end the run.
    Warning(String),
    /// The CLI's own last word.
    Finished {
        /// Whether it says that it succeeded.
        ok: bool,
        /// Its last message.
        text: String,
    },
    /// A line that is no event; kept raw in the log.
    Malformed,
}

impl AgentEvent {
    /// Whether the event shows work: a heartbeat or a retry does not.
    pub const fn is_progress(&self) -> bool {
        match self {
            Self::Started { .. }
            | Self::Text(_)
            | Self::ToolStarted { .. }
            | Self::ToolFinished { .. }
            | Self::Finished { .. } => true,
            Self::Retrying { .. }
            | Self::Usage(_)
            | Self::Limit { .. }
            | Self::Warning(_)
            | Self::Malformed => false,
        }
    }
}

/// How an agent's run ended, judged from its exit and its last events. What becomes of the
/// work is decided from the commit and the checks, never from this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentOutcome {
    /// The CLI did its turn.
    Completed,
    /// It did not.
    Failed {
        /// The typed reason.
        reason: FailReason,
        /// What the CLI said, shortened.
        detail: String,
        /// When a usage limit resets, in seconds since 1970.
        resets_at: Option<i64>,
    },
}
