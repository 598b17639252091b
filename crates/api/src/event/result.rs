//! What runs and imports came to, as rows.

use midwatch_core as core;
use serde::{Deserialize, Serialize};

use core::agent::AgentOutcome;
use core::event::{AgentResult, Artifact, LeftOut, Question, RunResult};
use core::evidence::{CheckResult, Exit, NotItsOwn, TestCounts};
use core::id::{BranchName, CommitId};
use core::landing::{ImportFacts, ReadBack};
use core::reason::FailReason;
use core::task::Spent;

use super::text;

#[derive(Serialize, Deserialize)]
#[serde(remote = "RunResult", tag = "type", rename_all_fields = "camelCase")]
pub(super) enum RunResultDef {
    BaseReady,
    DepsReady {
        layer: String,
        #[serde(default)]
        kept: bool,
    },
    Checked(#[serde(with = "CheckResultDef")] CheckResult),
    #[serde(with = "agent_result")]
    Agent(Box<AgentResult>),
    Bundled {
        #[serde(default, with = "text::left_out")]
        left_out: Vec<LeftOut>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        beside: Vec<String>,
    },
    Failed {
        #[serde(with = "text::fail")]
        reason: FailReason,
        detail: String,
    },
    SandboxUnavailable {
        detail: String,
    },
}

mod agent_result {
    use super::*;

    pub(super) fn serialize<S: serde::Serializer>(
        v: &AgentResult,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        AgentResultDef::serialize(v, s)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        d: D,
    ) -> Result<Box<AgentResult>, D::Error> {
        AgentResultDef::deserialize(d).map(Box::new)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "CheckResult", rename_all = "camelCase")]
pub(super) struct CheckResultDef {
    #[serde(with = "text::commit")]
    commit: CommitId,
    command: String,
    #[serde(with = "ExitDef")]
    exit: Exit,
    duration_ms: u64,
    #[serde(with = "text::maybe_tests")]
    tests: Option<TestCounts>,
    tail: Vec<String>,
    accepted_missing: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "TestCounts", rename_all = "camelCase")]
pub(super) struct TestCountsDef {
    executed: u64,
    failed: u64,
    failing: Vec<String>,
    named: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Exit")]
pub(super) enum ExitDef {
    Code(i32),
    NotItsOwn(#[serde(with = "NotItsOwnDef")] NotItsOwn),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "NotItsOwn")]
pub(super) enum NotItsOwnDef {
    Deadline,
    OutOfMemory,
    Limit,
    Prepare,
    Lost,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "AgentResult", rename_all = "camelCase")]
pub(super) struct AgentResultDef {
    #[serde(with = "AgentOutcomeDef")]
    outcome: AgentOutcome,
    session: Option<String>,
    #[serde(with = "SpentDef")]
    spent: Spent,
    text: String,
    #[serde(with = "text::artifacts")]
    artifacts: Vec<Artifact>,
    #[serde(default, with = "text::left_out")]
    left_out: Vec<LeftOut>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    beside: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "AgentOutcome", rename_all_fields = "camelCase")]
pub(super) enum AgentOutcomeDef {
    Completed,
    Failed {
        #[serde(with = "text::fail")]
        reason: FailReason,
        detail: String,
        resets_at: Option<i64>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Artifact", rename_all_fields = "camelCase")]
pub(super) enum ArtifactDef {
    Plan(String),
    PullRequestText { title: String, body: String },
    Verdict { approve: bool, comments: Vec<String> },
    NoChange(String),
    Blocked(String),
    FollowUpTask(String),
    Question(#[serde(with = "QuestionDef")] Question),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Question", rename_all = "camelCase")]
pub(super) struct QuestionDef {
    id: String,
    text: String,
    choices: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Spent", rename_all = "camelCase")]
pub(super) struct SpentDef {
    input_tokens: u64,
    output_tokens: u64,
    cost_micros: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ImportFacts", rename_all = "camelCase")]
pub(super) struct ImportFactsDef {
    #[serde(with = "text::commit")]
    commit: CommitId,
    #[serde(with = "text::commit")]
    base: CommitId,
    diffstat: String,
    hard_paths: Vec<String>,
    // Rows of 0.1.0 have the next two among the hard paths, and the last among the soft ones.
    #[serde(default)]
    secret_shapes: Vec<String>,
    #[serde(default)]
    reserved_names: Vec<String>,
    soft_paths: Vec<String>,
    #[serde(default)]
    invisible_text: Vec<String>,
    check_definitions: Vec<String>,
    lock_hash: String,
    empty: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ReadBack", rename_all = "camelCase")]
pub(super) struct ReadBackDef {
    #[serde(with = "text::branch")]
    branch: BranchName,
    #[serde(with = "text::commit")]
    commit: CommitId,
    target: String,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "LeftOut")]
pub(super) struct LeftOutDef {
    path: String,
    bytes: u64,
}
