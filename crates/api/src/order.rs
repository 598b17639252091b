//! What a runner is told: everything one run needs, immutable, in one file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub mod base;

/// The version of [`Order`] and of the report. An old runner may finish beside a new server.
pub const ORDER_VERSION: u32 = 1;

/// The file in the run's folder that holds the order.
pub const ORDER_FILE: &str = "order.json";

/// One order, carried out in one sandbox (preparations may use another before it).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Order {
    /// [`ORDER_VERSION`] of the server that wrote it.
    pub version: u32,
    /// The run's name.
    pub run: String,
    /// The run's epoch.
    pub epoch: u32,
    /// The run's own folder, absolute; holds the order, the report, logs, `out`, upper layers.
    pub folder: PathBuf,
    /// What to do.
    pub work: Work,
    /// What the run may use up.
    pub limits: Limits,
    /// Toolchains outside the system folders.
    pub toolchains: Vec<Toolchain>,
    /// The operator's CA bundle, bound and set for every tool.
    pub ca_bundle: Option<PathBuf>,
    /// The way out; none means no network at all.
    pub broker: Option<BrokerDoor>,
    /// Package clients' settings: variables and files (relative to HOME) that point them at the
    /// proxy and at the operator's mirrors. Never a secret.
    pub client_env: BTreeMap<String, String>,
    /// Files under HOME that belong to the same.
    pub client_files: BTreeMap<PathBuf, String>,
    /// Layers that may be missing, by name: `landlock`, `seccomp`, `cgroup`.
    pub accept_missing: Vec<String>,
}

/// What a run does, with all that only this kind needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "PascalCase", rename_all_fields = "camelCase")]
pub enum Work {
    /// Makes an immutable base: a checked-out commit with its own packs.
    Checkout {
        /// The commit.
        commit: String,
        /// The `upstream` store, whose packs are hard-linked.
        upstream: PathBuf,
        /// The folder to make; appears whole (by rename) or not at all.
        base: PathBuf,
        /// `git checkout` workers; 0 means as many as there are cores.
        workers: u32,
    },
    /// Installs dependencies and keeps what is untracked as a layer.
    Setup {
        /// The commit whose lock files count.
        workspace: Workspace,
        /// The shell command.
        command: String,
        /// The layer to make: `<deps>/workspace` and `<deps>/home`; whole or not at all.
        deps: PathBuf,
        /// Cache folders of HOME to keep, relative, such as `.cargo/registry`. Never dotfiles.
        keep_home: Vec<PathBuf>,
    },
    /// An agent works in a workspace.
    Agent {
        /// Where it begins.
        workspace: Workspace,
        /// HOME's upper layer, kept between runs of a task, step and profile. Absolute, outside.
        home: PathBuf,
        /// The agent.
        agent: Box<AgentWork>,
    },
    /// One check command on one commit, with no network at all.
    Check {
        /// The commit under judgement, or the base.
        workspace: Workspace,
        /// The shell command.
        command: String,
    },
    /// Saves what an earlier agent run left.
    Rescue {
        /// As the agent's was, with its `upper` named.
        workspace: Workspace,
    },
}

/// A commit to be seen at `/workspace`: upper over base over deps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Workspace {
    /// The id of the base commit.
    pub base_commit: String,
    /// The immutable base that a checkout run made.
    pub base: PathBuf,
    /// Layers of dependencies: folders with `workspace` and `home` in them, topmost first.
    pub deps: Vec<PathBuf>,
    /// A commit on top of the base, checked out inside before the work starts.
    pub commit: Option<CommitPack>,
    /// An existing upper layer to go on with (rescue); none makes a fresh one in the run's folder.
    pub upper: Option<PathBuf>,
}

/// A commit and the pack that holds what the base lacks of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommitPack {
    /// The commit's id.
    pub id: String,
    /// A folder with `objects/pack/*.pack` and their indexes, bound read-only.
    pub pack: PathBuf,
}

/// What an agent's run needs beside its workspace. Mirrors `core::agent::AgentOrder`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentWork {
    /// The adapter: `claude-code`, `codex`, `custom`.
    pub adapter: String,
    /// The program outside; its folder is bound through a toolchain.
    pub program: PathBuf,
    /// The model.
    pub model: Option<String>,
    /// The prompt.
    pub prompt: String,
    /// Standing instructions.
    pub preamble: String,
    /// The session's id.
    pub session: String,
    /// Go on with that session instead of beginning it.
    pub resume: bool,
    /// Look, do not write: nothing is bundled.
    pub read_only: bool,
    /// `AnthropicKey`, `AnthropicSubscription`, `AnthropicToken`, `OpenAiKey`, `None`.
    pub credential_kind: String,
    /// Works at our gateway for this run only. Not a secret of the user's.
    pub run_token: String,
    /// The most turns.
    pub max_turns: Option<u32>,
    /// The most money in US cents, by the CLI's own estimate.
    pub max_cost_cents: Option<u32>,
    /// Seconds between checkpoints; 0 means none.
    pub checkpoint_seconds: u32,
    /// The declaration of a custom agent.
    pub custom: Option<CustomAgent>,
}

/// A CLI declared in a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CustomAgent {
    /// The command; `{prompt_file}`, `{prompt}`, `{model}` and `{session}` are replaced.
    pub argv: Vec<String>,
    /// `Stdin` (default), `File` or `Argument`.
    #[serde(default)]
    pub prompt_by: PromptBy,
    /// Environment beside ours; never a credential.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// JSON pointers into JSON lines on stdout.
    #[serde(default)]
    pub mapping: Option<EventMapping>,
}

/// How a custom agent takes its prompt.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum PromptBy {
    /// On standard input.
    #[default]
    Stdin,
    /// `{prompt_file}` in the argv stands for a file's path.
    File,
    /// `{prompt}` in the argv stands for the text.
    Argument,
}

/// Where to find things in JSON lines, each a JSON pointer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EventMapping {
    /// The session id.
    pub session: Option<String>,
    /// Text for people.
    pub text: Option<String>,
    /// The name of a called tool.
    pub tool: Option<String>,
    /// Input tokens, summed over lines.
    pub input_tokens: Option<String>,
    /// Output tokens, summed over lines.
    pub output_tokens: Option<String>,
}

/// What a run may use up. Each limit ends the run with its own reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// Seconds of wall clock.
    pub wall_seconds: u64,
    /// Seconds without progress (events of work, or output for other runs); 0 means no limit.
    pub idle_seconds: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub pids: u64,
    /// Bytes that upper layers, HOME and temp may grow by.
    pub disk_bytes: u64,
    /// Bytes of stdout and stderr that are kept; more is dropped and counted, and at sixteen
    /// times as much the run is ended.
    pub output_bytes: u64,
    /// Seconds between TERM and kill.
    pub grace_seconds: u64,
    /// How often an agent's same call, or the same short circle of calls, may come to the same
    /// result; 0 means no limit. Orders of 0.1.0 do not have it, nor the next.
    #[serde(default = "loop_rounds")]
    pub loop_rounds: u32,
    /// Seconds that a writing agent may work without changing anything; 0 means no limit.
    #[serde(default = "no_change_seconds")]
    pub no_change_seconds: u64,
}

const fn loop_rounds() -> u32 {
    10
}

/// Less than the usual wall clock, so that there is time to begin anew with the finding.
const fn no_change_seconds() -> u64 {
    45 * 60
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall_seconds: 60 * 60,
            idle_seconds: 15 * 60,
            memory_bytes: 8 << 30,
            pids: 1024,
            disk_bytes: 20 << 30,
            output_bytes: 64 << 20,
            // Half for the agent, half to commit and bundle what it leaves.
            grace_seconds: 30,
            loop_rounds: loop_rounds(),
            no_change_seconds: no_change_seconds(),
        }
    }
}

/// A toolchain outside `/usr`, seen inside at the same path unless that is under a home.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Toolchain {
    /// What it is, such as `rustup`; the folder is seen at `/toolchains/<name>/<folder's name>`.
    pub name: String,
    /// The folder outside.
    pub folder: PathBuf,
    /// Folders for PATH, relative to `folder`, in order.
    pub path: Vec<PathBuf>,
    /// Variables; `{}` in a value stands for the folder as seen inside.
    pub env: BTreeMap<String, String>,
}

/// The two sockets of the broker, in a folder that is bound read-only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BrokerDoor {
    /// Holds `gateway.sock` and `proxy.sock`.
    pub folder: PathBuf,
    /// Forward the model gateway (agents).
    pub gateway: bool,
    /// Forward the egress proxy.
    pub proxy: bool,
}

/// Paths and ports inside every sandbox, the same in every run, because sessions are bound to
/// the working folder.
pub mod inside {
    /// The workspace.
    pub const WORKSPACE: &str = "/workspace";
    /// HOME. Not under /tmp: codex refuses that (measured, codex 0.169.0).
    pub const HOME: &str = "/home/agent";
    /// Where results are left: bundle, outputs.
    pub const OUT: &str = "/midwatch/out";
    /// Our own executable.
    pub const PROGRAM: &str = "/midwatch/midwatch";
    /// The order of the inside half.
    pub const ORDER: &str = "/midwatch/inside.json";
    /// The broker's sockets.
    pub const SOCKETS: &str = "/midwatch/sockets";
    /// A commit's pack.
    pub const PACK: &str = "/midwatch/pack";
    /// Toolchains.
    pub const TOOLCHAINS: &str = "/toolchains";
    /// The CA bundle.
    pub const CA_BUNDLE: &str = "/midwatch/ca.pem";
    /// The same bundle as Java's trust store; only where there is a way out.
    pub const TRUST_STORE: &str = "/midwatch/ca.jks";
    /// The gateway's port on loopback.
    pub const GATEWAY_PORT: u16 = 8787;
    /// The proxy's port on loopback.
    pub const PROXY_PORT: u16 = 8788;
}
