//! What people decide about tasks.

use serde::{Deserialize, Serialize};

use super::who::Who;

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
        by: Who,
    },
    /// Let the commit or the plan through. One of both has to be named, as `toApprove` of the task
    /// names it: an approval of something else is refused, and so is one that names nothing.
    Approve {
        /// The commit that was looked at, by 7 digits of its id at least.
        #[serde(default)]
        commit: Option<String>,
        /// The plan that was looked at, by 7 digits of its digest at least.
        #[serde(default)]
        plan: Option<String>,
        /// Who.
        by: Who,
    },
    /// Do not.
    Reject {
        /// What to do instead; empty ends the task.
        feedback: String,
        /// Who.
        by: Who,
    },
    /// Go on now.
    Resume {
        /// Who.
        by: Who,
        /// A key in the place of the one that was rejected; goes where that one is kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret: Option<Secret>,
        /// The same for each of the order's fallbacks, in their order; none for one that has no key
        /// of its own from the environment.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        fallback_secrets: Vec<Option<Secret>>,
    },
    /// Stop agents, save, and wait.
    Pause {
        /// Who.
        by: Who,
    },
    /// Answer a question of the agent's.
    Answer {
        /// The question's id.
        question: String,
        /// One of its choices, or text where it has none.
        choice: String,
        /// Who.
        by: Who,
    },
    /// Say something to the agent of a task that is not over.
    Message {
        /// What.
        text: String,
        /// Who.
        by: Who,
    },
}

/// The switch for everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PauseAll {
    /// Stop; false lets everything go on.
    pub paused: bool,
    /// Who.
    pub by: Who,
}

/// What the switch did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PausedAll {
    /// Who holds everything; none: tasks may begin.
    pub paused_by: Option<String>,
    /// The tasks that were paused or resumed by it.
    pub tasks: Vec<String>,
    /// Why it holds until a restart only, while it cannot be written down; it is as soon as that
    /// is possible.
    #[serde(default)]
    pub unstored: Option<String>,
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
