//! What was ordered. Immutable once submitted.

use std::collections::BTreeMap;

use crate::agent::{AgentKind, CredentialKind};
use crate::id::{BranchName, CommitId, TaskName};
use crate::pipeline::Pipeline;
use crate::plan::Questions;

/// Everything that was ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskSpec {
    /// The name.
    pub name: TaskName,
    /// What a person asked.
    pub goal: String,
    /// The repository's key: identifies its mirror.
    pub repository: String,
    /// The base.
    pub base: CommitId,
    /// The steps.
    pub pipeline: Pipeline,
    /// Which adapter.
    pub agent: AgentKind,
    /// The profile's name; HOME belongs to task, step and profile.
    pub profile: String,
    /// The model.
    pub model: Option<String>,
    /// The kind of credential.
    pub credential: CredentialKind,
    /// Identifies the credential among all tasks; none when the agent needs none.
    pub credential_key: Option<String>,
    /// The agent can go on with a conversation.
    pub resumes: bool,
    /// Who works when the first agent cannot, in order.
    pub fallbacks: Vec<Fallback>,
    /// What becomes of questions that agents ask.
    pub questions: Questions,
    /// The task that this one goes on from.
    pub follows: Option<Box<Follows>>,
    /// Standing instructions.
    pub instructions: String,
    /// The check commands, in order.
    pub checks: Vec<String>,
    /// The command that installs dependencies.
    pub setup: Option<String>,
    /// Asked for without any check.
    pub no_check: bool,
    /// Accept exactly the base's failing set.
    pub known_failures: bool,
    /// The branch of ours.
    pub branch: BranchName,
    /// Push it to the remote instead of leaving it in the user's repository.
    pub push: bool,
    /// Seconds of wall clock for each agent run.
    pub wall_seconds: u64,
    /// The most turns of an agent run.
    pub max_turns: Option<u32>,
    /// Higher goes first.
    pub priority: i32,
}

/// Another agent, model or credential, as far as decisions need to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// The profile's name.
    pub profile: String,
    /// Identifies the credential; none when the agent needs none.
    pub credential_key: Option<String>,
    /// The agent can go on with a conversation.
    pub resumes: bool,
}

/// What a follow-up knows of the task before it. That one is over and stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follows {
    /// The task before.
    pub task: TaskName,
    /// Its goal, for an agent that does not know the conversation.
    pub goal: String,
    /// Its newest commit: imported, else saved. Work begins there.
    pub start: Option<CommitId>,
    /// What the chain landed last, if it landed: new work is committed on top of it, and the branch
    /// only ever grows.
    pub onto: Option<CommitId>,
    /// Every task of the chain, the first one first, that one last. What they made is ours, too.
    pub chain: Vec<TaskName>,
    /// Its conversations, as [`TaskSpec::session_key`] names them.
    pub sessions: BTreeMap<String, String>,
}

impl TaskSpec {
    /// The task that a chain of follow-ups began with: agents of the whole chain live in its HOMEs.
    pub fn first_of_chain(&self) -> &TaskName {
        let first = self.follows.as_ref().and_then(|follows| follows.chain.first());
        first.unwrap_or(&self.name)
    }

    /// How many agents there are, the first included.
    pub fn agents(&self) -> usize {
        self.fallbacks.len() + 1
    }

    /// The profile of an agent.
    pub fn profile_of(&self, agent: usize) -> &str {
        self.fallback(agent).map_or(&self.profile, |one| &one.profile)
    }

    /// The credential's key of an agent.
    pub fn credential_of(&self, agent: usize) -> Option<&str> {
        match self.fallback(agent) {
            Some(one) => one.credential_key.as_deref(),
            None => self.credential_key.as_deref(),
        }
    }

    /// Whether an agent can go on with a conversation.
    pub fn resumes_of(&self, agent: usize) -> bool {
        self.fallback(agent).map_or(self.resumes, |one| one.resumes)
    }

    /// The name of a conversation: a step's, with the profile where it is not the first agent's.
    /// Another model of the same profile goes on with the same conversation.
    pub fn session_key(&self, step: &str, agent: usize) -> String {
        match self.profile_of(agent) {
            profile if profile == self.profile => step.to_owned(),
            profile => format!("{step} {profile}"),
        }
    }

    fn fallback(&self, agent: usize) -> Option<&Fallback> {
        self.fallbacks.get(agent.checked_sub(1)?)
    }
}
