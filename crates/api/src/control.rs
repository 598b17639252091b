//! Requests and answers on the control socket.

use std::path::PathBuf;

use midwatch_core::id::TaskName;
use midwatch_core::input::InvalidInput;
use serde::{Deserialize, Serialize};

use crate::kind::{Kind, WireObject};
use crate::task::TaskOrder;
use crate::view::ResultLine;

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
    /// The plan that waits for an approval; null where none does.
    #[serde(default)]
    pub plan: Option<String>,
    /// Runs so far, newest last.
    pub runs: Vec<RunView>,
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
    /// The folder with its logs.
    pub folder: String,
}

/// A decision of somebody about a held task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(
    tag = "verb",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Command {
    /// Stop, save, end.
    Cancel {
        /// Who.
        by: String,
    },
    /// Let the commit or the plan through.
    Approve {
        /// The commit that was looked at; none: the one at hand.
        commit: Option<String>,
        /// The plan that was looked at, by 8 digits of its digest at least; none: the one at hand.
        #[serde(default)]
        plan: Option<String>,
        /// Who.
        by: String,
    },
    /// Do not.
    Reject {
        /// What to do instead; empty ends the task.
        feedback: String,
        /// Who.
        by: String,
    },
    /// Go on now.
    Resume {
        /// Who.
        by: String,
        /// A key in the place of the one that was rejected; goes where that one is kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret: Option<Secret>,
    },
    /// Stop agents, save, and wait.
    Pause {
        /// Who.
        by: String,
    },
    /// Answer a question of the agent's.
    Answer {
        /// The question's id.
        question: String,
        /// One of its choices, or text where it has none.
        choice: String,
        /// Who.
        by: String,
    },
    /// Say something to the agent of a task that is not over.
    Message {
        /// What.
        text: String,
        /// Who.
        by: String,
    },
}

/// The switch for everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PauseAll {
    /// Stop; false lets everything go on.
    pub paused: bool,
    /// Who.
    pub by: String,
}

/// What the switch did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PausedAll {
    /// Who holds everything; none: tasks may begin.
    pub paused_by: Option<String>,
    /// The tasks that were paused or resumed by it.
    pub tasks: Vec<String>,
}

/// A credential on its way to the server. Cannot be printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Tasks that are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ListQuery {
    /// How many at most, 1 to 1000; default 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Goes on after a page: its `next`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Only tasks in these states, joined by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// The states that a task may be in, on every wire.
pub const STATES: [&str; 9] = [
    "Queued",
    "Running",
    "Held",
    "Done",
    "Unverified",
    "Answered",
    "NoChange",
    "Failed",
    "Cancelled",
];

/// The most tasks of a page.
pub const PAGE_MAX: u32 = 1000;

/// Tasks that are asked for, within bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// How many at most.
    pub limit: u32,
    /// Goes on after this task.
    pub after: Option<Cursor>,
    /// Only in these states; all when empty.
    pub states: Vec<String>,
}

/// A place in the list of tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// When its task was submitted, milliseconds since 1970.
    pub submitted_ms: i64,
    /// The task's name.
    pub name: String,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.submitted_ms, self.name)
    }
}

impl TryFrom<ListQuery> for Asked {
    type Error = InvalidInput;

    fn try_from(query: ListQuery) -> Result<Self, InvalidInput> {
        let limit = query.limit.unwrap_or(PAGE_MAX);
        if !(1..=PAGE_MAX).contains(&limit) {
            let rule = format!("is not 1 to {PAGE_MAX}");
            let fix = "ask for a page, and go on with its `next`";
            return Err(InvalidInput::new("limit", &limit.to_string(), &rule, fix));
        }
        let after = query.cursor.as_deref().map(cursor).transpose()?;
        let asked = query.state.as_deref().unwrap_or_default();
        let states = asked.split(',').filter(|state| !state.is_empty()).map(state);
        Ok(Self { limit, after, states: states.collect::<Result<_, _>>()? })
    }
}

fn cursor(text: &str) -> Result<Cursor, InvalidInput> {
    let read = text.split_once('.').and_then(|(at, name)| {
        let name = TaskName::parse(name).ok()?.as_str().to_owned();
        Some(Cursor { submitted_ms: at.parse().ok()?, name })
    });
    read.ok_or_else(|| {
        let fix = "copy `next` of the page before, or leave it away";
        InvalidInput::new("cursor", text, "is none of ours", fix)
    })
}

/// Reads the name of a state, in any case.
pub fn state(text: &str) -> Result<String, InvalidInput> {
    let known = STATES.into_iter().find(|known| known.eq_ignore_ascii_case(text));
    known.map(ToOwned::to_owned).ok_or_else(|| {
        let names = STATES.map(ToOwned::to_owned);
        InvalidInput::new("state", text, "is unknown", &crate::nearest::known(text, &names))
    })
}

/// A page of tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskPage {
    /// Newest first.
    pub tasks: Vec<TaskView>,
    /// The cursor of the next page; null when this is the last.
    pub next: Option<String>,
}

/// Where to follow from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EventsQuery {
    /// Only what happened after this place in the task's log; default 0: everything.
    pub after: u64,
}

/// How a difference is shown.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum PatchForm {
    /// The whole patch.
    #[default]
    Patch,
    /// A line per file.
    Stat,
}

/// Which difference.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PatchQuery {
    /// How it is shown; default `patch`.
    pub form: PatchForm,
}

/// A difference between a task's base and its newest commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Patch {
    /// The base.
    pub base: String,
    /// The newest imported commit.
    pub commit: String,
    /// Text made from bytes of a sandbox: escaped before a terminal sees it.
    pub text: String,
}

/// Where a result is to be put.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OpenBody {
    /// A folder that does not exist, absolute.
    pub folder: PathBuf,
    /// The bits that the modes of its files leave out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub umask: Option<u32>,
}

/// Where a result was put for somebody to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Opened {
    /// The worktree.
    pub folder: PathBuf,
    /// What is checked out there.
    pub commit: String,
    /// The ref it comes from: a branch, or saved work.
    pub from: String,
}

/// What files describe. All of it is stored, or nothing.
#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Apply {
    /// Profiles, pipelines and repositories.
    pub objects: Vec<WireObject>,
    /// Tasks, each with what was found for it.
    pub tasks: Vec<ApplyTask>,
    /// Say what would change, and change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// A task of a file.
#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApplyTask {
    /// The object as it was written.
    pub object: WireObject,
    /// What was made of it; none for one that is known to be there.
    pub submit: Option<Submit>,
}

/// What became of an object.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// It is new.
    Created,
    /// It was there and is another now.
    Configured,
    /// It was there already, just so.
    Unchanged,
}

impl Change {
    /// As it is said and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
        }
    }
}

/// What became of everything that was applied, in its order: objects, then tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// One for each object.
    pub changes: Vec<AppliedObject>,
}

/// What became of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppliedObject {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What became of it.
    pub change: Change,
}

/// A stored object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectView {
    /// The object.
    pub object: WireObject,
    /// Counts its changes, from 1.
    pub generation: u32,
    /// When it was applied first, milliseconds since 1970.
    pub created_ms: i64,
    /// When it was changed last.
    pub changed_ms: i64,
}

/// How a task is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DeleteTaskQuery {
    /// Who asks.
    pub by: String,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_asked_for_within_bounds() {
        let query = |limit, cursor: Option<&str>, state: Option<&str>| {
            let (cursor, state) = (cursor.map(Into::into), state.map(Into::into));
            Asked::try_from(ListQuery { limit, cursor, state }).map_err(|error| error.to_string())
        };
        let asked = query(Some(5), Some("12.fix-login"), Some("held,Failed")).unwrap();
        assert_eq!((asked.limit, asked.states), (5, vec!["Held".to_owned(), "Failed".to_owned()]));
        assert_eq!(asked.after.unwrap().to_string(), "12.fix-login");
        for (limit, cursor, state, word) in [
            (Some(0), None, None, "limit '0'"),
            (Some(1_000_000_000), None, None, "1 to 1000"),
            (None, Some("x"), None, "cursor 'x'"),
            (None, Some("12.A/B"), None, "cursor"),
            (None, Some("99999999999999999999.a"), None, "cursor"),
            (None, None, Some("Hold"), "did you mean Held"),
        ] {
            let error = query(limit, cursor, state).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
