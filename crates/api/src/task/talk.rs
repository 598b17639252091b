//! What is said to agents: goals and messages, what becomes of their questions, and the task that
//! an order goes on from.

use std::collections::BTreeMap;

use midwatch_core as core;
use serde::{Deserialize, Serialize};

use core::id::{CommitId, TaskName};
use core::input::InvalidInput;
use core::plan::Questions;
use core::task::Follows;

/// What becomes of questions that agents ask.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum QuestionPolicy {
    /// The task is held until somebody answers.
    Ask,
    /// The agent is told that nobody answers, and decides.
    #[default]
    Proceed,
}

impl From<QuestionPolicy> for Questions {
    fn from(policy: QuestionPolicy) -> Self {
        match policy {
            QuestionPolicy::Ask => Self::Ask,
            QuestionPolicy::Proceed => Self::Proceed,
        }
    }
}

/// The task before a follow-up. The client names it; the server fills in how it stood when it
/// was over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FollowsRef {
    /// Its name.
    pub task: String,
    /// Its goal.
    #[serde(default)]
    pub goal: String,
    /// Its newest commit: imported, else saved.
    #[serde(default)]
    pub start: Option<String>,
    /// What the chain landed last: new work is committed on top of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onto: Option<String>,
    /// Its conversations.
    #[serde(default)]
    pub sessions: BTreeMap<String, String>,
    /// Every task of the chain, the first one first: HOME is that one's, and bundles may stand on
    /// commits of any of them.
    #[serde(default)]
    pub chain: Vec<String>,
}

impl FollowsRef {
    /// Names a task to go on from.
    pub fn of(task: &str) -> Self {
        Self {
            task: task.to_owned(),
            goal: String::new(),
            start: None,
            onto: None,
            sessions: BTreeMap::new(),
            chain: vec![],
        }
    }
}

impl TryFrom<&FollowsRef> for Follows {
    type Error = InvalidInput;

    fn try_from(wanted: &FollowsRef) -> Result<Self, InvalidInput> {
        let chain = wanted.chain.iter().map(|task| TaskName::parse(task));
        let chain = chain.collect::<Result<_, _>>().map_err(|e| e.of("follows.chain"))?;
        let start = wanted.start.as_deref().map(CommitId::parse).transpose();
        let onto = wanted.onto.as_deref().map(CommitId::parse).transpose();
        Ok(Self {
            task: TaskName::parse(&wanted.task).map_err(|error| error.of("follows.task"))?,
            goal: wanted.goal.clone(),
            start: start.map_err(|error| error.of("follows.start"))?,
            onto: onto.map_err(|error| error.of("follows.onto"))?,
            chain,
            sessions: wanted.sessions.clone(),
        })
    }
}

/// The longest goal or message, in bytes.
pub const GOAL_MAX: usize = 256 << 10;

/// What people say to an agent in words of their own. Both have the same rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoken {
    /// What a task is to reach.
    Goal,
    /// What is said to its agent later.
    Message,
}

impl Spoken {
    /// The word for it in errors.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Goal => "goal",
            Self::Message => "message",
        }
    }

    /// How to be brief.
    pub const fn shorten(self) -> &'static str {
        match self {
            Self::Goal => "put the details into a file of the repository and name it in the goal",
            Self::Message => "say it in fewer words",
        }
    }

    /// Its rules: not empty, no NUL, at most [`GOAL_MAX`] bytes.
    pub fn check(self, text: &str) -> Result<(), InvalidInput> {
        let refused = |rule: &str, fix: &str| Err(InvalidInput::new(self.as_str(), "", rule, fix));
        if text.trim().is_empty() {
            return refused("is required", "say what you want in a sentence");
        }
        if let Some(at) = text.find('\0') {
            return refused(&format!("holds a NUL at byte {at}"), "remove it");
        }
        if text.len() > GOAL_MAX {
            let rule = format!("has {} bytes, {GOAL_MAX} at most", text.len());
            return refused(&rule, self.shorten());
        }
        Ok(())
    }
}
