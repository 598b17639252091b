//! What an order says of talk: questions of agents, and the task that it goes on from.

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

/// The task before a follow-up, as it stood when it was over. Made by the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FollowsRef {
    /// Its name.
    pub task: String,
    /// Its goal.
    pub goal: String,
    /// Its newest commit: imported, else saved.
    pub start: Option<String>,
    /// Its conversations.
    pub sessions: BTreeMap<String, String>,
    /// Every task of the chain, the first one first: HOME is that one's, and bundles may stand on
    /// commits of any of them.
    pub chain: Vec<String>,
}

impl TryFrom<&FollowsRef> for Follows {
    type Error = InvalidInput;

    fn try_from(wanted: &FollowsRef) -> Result<Self, InvalidInput> {
        for task in &wanted.chain {
            TaskName::parse(task).map_err(|error| error.of("follows.chain"))?;
        }
        let start = wanted.start.as_deref().map(CommitId::parse).transpose();
        Ok(Self {
            task: TaskName::parse(&wanted.task).map_err(|error| error.of("follows.task"))?,
            goal: wanted.goal.clone(),
            start: start.map_err(|error| error.of("follows.start"))?,
            sessions: wanted.sessions.clone(),
        })
    }
}
