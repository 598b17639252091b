//! Requests and answers on the control socket.

use serde::{Deserialize, Serialize};

use crate::task::TaskOrder;
use crate::view::{DecidedOn, ResultLine};

mod apply;
mod decide;
mod follow;
mod list;
mod waiting;
mod who;
mod work;

pub use apply::{Applied, AppliedObject, Apply, ApplyTask, Change, ObjectView};
pub use decide::{Command, PauseAll, PausedAll, Secret};
pub use follow::{EventsQuery, FollowFrom};
pub use list::{Asked, Cursor, ListQuery, PAGE_MAX, TaskPage, WAITING, state};
pub use waiting::WaitingView;
pub use who::Who;
pub use work::{DamageQuery, OpenBody, Opened, Patch, PatchForm, PatchQuery};

/// Counts every incompatible change of this interface.
pub const API_NUMBER: u32 = 2;

/// What a client sends to submit a task.
#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Submit {
    /// The name; none lets the server make one from the goal.
    pub name: Option<String>,
    /// The order.
    pub order: TaskOrder,
    /// The credential, when it came from the environment; goes to `credentials/<id>` and
    /// nowhere else. No `Debug` here, so that it cannot be printed.
    pub secret: Option<String>,
    /// The same for each of the order's fallbacks, in their order; none for one that has no key of
    /// its own from the environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback_secrets: Vec<Option<String>>,
    /// The operator's own HTTP proxy, whose address may hold a password; kept like the credential.
    #[serde(default)]
    pub proxy: Option<String>,
    /// What the repository's server asks for over https; kept like the credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<ServerLogin>,
}

/// A login at a git server. No `Debug` here, so that it cannot be printed.
#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServerLogin {
    /// The user; with tokens often `x-access-token` or `oauth2`.
    pub user: String,
    /// The password or token.
    pub password: String,
}

/// What the server answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Submitted {
    /// The task's name.
    pub task: String,
    /// It was there already with the same order.
    pub attached: bool,
}

/// Who a server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerInfo {
    /// The build: version and a digest of the executable.
    pub build: String,
    /// [`API_NUMBER`].
    pub api: u32,
    /// Its process id.
    pub pid: u32,
    /// Tasks that are not over.
    pub open_tasks: usize,
    /// It ends by itself when nothing goes on: a client started it.
    #[serde(default)]
    pub leaves: bool,
}

/// A refusal. `exit` is the client's exit code.
#[derive(
    Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
#[error("{message}")]
pub struct Refusal {
    /// One sentence: field, value, rule, fix.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// 1, 2 or 6.
    pub exit: u8,
}

/// One task in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskView {
    /// The result so far.
    pub result: ResultLine,
    /// What a person asked.
    pub goal: String,
    /// The agent's profile.
    pub agent: String,
    /// The pipeline.
    pub pipeline: String,
    /// The user's checkout.
    pub repository: String,
    /// When it was submitted, milliseconds since 1970.
    pub submitted_ms: i64,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// Why it waits, what it does, in one sentence.
    pub explain: String,
    /// Why it waits, as values; null while it works, and when it is over.
    #[serde(default)]
    pub waiting: Option<WaitingView>,
    /// The agents whose login was rejected, whatever the task waits for: 0 is its first agent, then
    /// the fallbacks in their order.
    #[serde(default)]
    pub needs_login: Vec<usize>,
    /// The plan that waits for an approval; null where none does.
    #[serde(default)]
    pub plan: Option<String>,
    /// What waits for an approval; null where nothing does.
    #[serde(default)]
    pub to_approve: Option<ToApprove>,
    /// Runs so far, newest last.
    pub runs: Vec<RunView>,
    /// That files of its runs were removed; null where none were, and in lists.
    #[serde(default)]
    pub collected: Option<CollectedView>,
}

/// That a clean-up removed the files of a task's runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CollectedView {
    /// When it began to, milliseconds since 1970.
    pub at_ms: i64,
    /// Why.
    pub why: String,
    /// The runs; not known of what a version before this one removed. What was found instead of
    /// run had no files.
    #[serde(default)]
    pub runs: Option<Vec<String>>,
}

/// What somebody would approve now. An approval that names something else is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ToApprove {
    /// A plan or a commit.
    pub of: DecidedOn,
    /// The plan's digest, or the commit's id.
    pub id: String,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunView {
    /// Its name.
    pub run: String,
    /// Its kind.
    pub kind: String,
    /// Still open.
    pub open: bool,
    /// `Ok`, `Failed`, `Stopped`; of a check `Pass`, `Fail`, `CouldNotRun`; null while it is open.
    #[serde(default)]
    pub outcome: Option<String>,
    /// Why it failed, one sentence.
    #[serde(default)]
    pub detail: Option<String>,
    /// When it was begun, milliseconds since 1970.
    #[serde(default)]
    pub begun_ms: i64,
    /// When it ended.
    #[serde(default)]
    pub ended_ms: Option<i64>,
    /// The folder with its logs.
    pub folder: String,
}

/// How a task is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DeleteTaskQuery {
    /// Who asks.
    pub by: Who,
}

/// What was deleted, and what is left of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deleted {
    /// Its name.
    pub name: String,
    /// Work that stays: one sentence each, with where it is.
    pub kept: Vec<String>,
}
