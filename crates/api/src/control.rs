//! Requests and answers on the control socket.

use serde::{Deserialize, Serialize};

use crate::task::TaskOrder;
use crate::view::ResultLine;

/// Counts every incompatible change of this interface.
pub const API_NUMBER: u32 = 1;

/// What a client sends to submit a task.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Submit {
    /// The name; none lets the server make one from the goal.
    pub name: Option<String>,
    /// The order.
    pub order: TaskOrder,
    /// The credential, when it came from the environment; goes to `credentials/<id>` and
    /// nowhere else. No `Debug` here, so that it cannot be printed.
    pub secret: Option<String>,
}

/// What the server answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Submitted {
    /// The task's name.
    pub task: String,
    /// It was there already with the same order.
    pub attached: bool,
}

/// Who a server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Runs so far, newest last.
    pub runs: Vec<RunView>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Let the commit through.
    Approve {
        /// The commit that was looked at; none: the one at hand.
        commit: Option<String>,
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
    },
}
