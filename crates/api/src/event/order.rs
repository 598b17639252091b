//! What is ordered, as rows.

use midwatch_core as core;
use serde::{Deserialize, Serialize};

use core::event::{Action, AgentRun, LandAction, Role, RunOrder, RunWork};
use core::id::{BranchName, CommitId, Epoch, RunName, StepName};

use super::{EpochDef, text};

#[derive(Serialize, Deserialize)]
#[serde(remote = "Action")]
pub(super) enum ActionDef {
    Run(#[serde(with = "RunOrderDef")] RunOrder),
    Land(#[serde(with = "LandActionDef")] LandAction),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "RunOrder", rename_all = "camelCase")]
pub(super) struct RunOrderDef {
    #[serde(with = "text::run")]
    run: RunName,
    #[serde(with = "text::step")]
    step: StepName,
    #[serde(with = "EpochDef")]
    epoch: Epoch,
    #[serde(with = "RunWorkDef")]
    work: RunWork,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "RunWork", tag = "kind", rename_all_fields = "camelCase")]
pub(super) enum RunWorkDef {
    Checkout {
        #[serde(with = "text::commit")]
        commit: CommitId,
    },
    Setup {
        #[serde(with = "text::commit")]
        commit: CommitId,
        #[serde(with = "text::maybe_commit")]
        origin: Option<CommitId>,
        lock_hash: String,
        command: String,
    },
    Check {
        #[serde(with = "text::commit")]
        commit: CommitId,
        index: usize,
        command: String,
        deps: Option<String>,
    },
    #[serde(with = "agent_run")]
    Agent(Box<AgentRun>),
    Rescue {
        #[serde(with = "text::run")]
        of: RunName,
        #[serde(with = "EpochDef")]
        of_epoch: Epoch,
    },
}

mod agent_run {
    use super::*;

    pub(super) fn serialize<S: serde::Serializer>(v: &AgentRun, s: S) -> Result<S::Ok, S::Error> {
        AgentRunDef::serialize(v, s)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        d: D,
    ) -> Result<Box<AgentRun>, D::Error> {
        AgentRunDef::deserialize(d).map(Box::new)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "AgentRun", rename_all = "camelCase")]
pub(super) struct AgentRunDef {
    #[serde(with = "RoleDef")]
    role: Role,
    #[serde(with = "text::commit")]
    start: CommitId,
    #[serde(with = "text::commit")]
    onto: CommitId,
    deps: Option<String>,
    prompt: String,
    resume: Option<String>,
    wall_seconds: u64,
    max_turns: Option<u32>,
    // Rows of 0.1.0 have neither of the two: there was one agent, and nobody said anything.
    #[serde(default)]
    agent: usize,
    #[serde(default)]
    messages: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Role")]
pub(super) enum RoleDef {
    Plan,
    Implement,
    Review,
    Answer,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "LandAction", tag = "kind", rename_all_fields = "camelCase")]
pub(super) enum LandActionDef {
    Fetch {
        #[serde(with = "text::commit")]
        commit: CommitId,
    },
    Import {
        #[serde(with = "text::run")]
        run: RunName,
        #[serde(with = "EpochDef")]
        epoch: Epoch,
        #[serde(with = "text::commit")]
        onto: CommitId,
        #[serde(with = "text::commit")]
        base: CommitId,
    },
    SaveRescue {
        #[serde(with = "text::run")]
        run: RunName,
        #[serde(with = "EpochDef")]
        epoch: Epoch,
        #[serde(with = "text::run")]
        by: RunName,
        #[serde(with = "text::commit")]
        base: CommitId,
    },
    SaveCheckpoint {
        #[serde(with = "text::run")]
        run: RunName,
        #[serde(with = "EpochDef")]
        epoch: Epoch,
        number: u32,
        #[serde(with = "text::commit")]
        onto: CommitId,
    },
    Publish {
        #[serde(with = "text::commit")]
        commit: CommitId,
        #[serde(with = "text::commit")]
        base: CommitId,
        #[serde(with = "text::branch")]
        branch: BranchName,
        push: bool,
    },
    Keep {
        #[serde(with = "text::commit")]
        commit: CommitId,
        #[serde(with = "text::branch")]
        branch: BranchName,
    },
}
