//! Events as rows. The shapes mirror core's types; serde's `remote` derive makes the compiler
//! check that no variant and no field is forgotten.

use midwatch_core as core;
use serde::{Deserialize, Serialize};

use core::agent::AgentOutcome;
use core::event::{
    Action, ActionKey, AgentResult, AgentRun, Artifact, EndKind, Event, LandAction, Question, Role,
    RunOrder, RunResult, RunWork,
};
use core::evidence::{CheckResult, Exit, NotItsOwn, TestCounts};
use core::id::{BranchName, CommitId, Epoch, RunName, StepName};
use core::landing::{ImportFacts, ReadBack};
use core::reason::{FailReason, HoldReason};
use core::task::{Ending, Hold, Spent, Stage, Wake, WakeEvent};
use core::time::Time;

mod text;

/// One stored event as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventRow(#[serde(with = "EventDef")] pub Event);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Event", tag = "event", rename_all_fields = "camelCase")]
enum EventDef {
    Admitted,
    #[serde(with = "intended")]
    Intended(Action),
    RunEnded {
        #[serde(with = "text::run")]
        run: RunName,
        #[serde(with = "EpochDef")]
        epoch: Epoch,
        #[serde(with = "RunResultDef")]
        result: RunResult,
    },
    SessionKnown {
        #[serde(with = "text::run")]
        run: RunName,
        #[serde(with = "EpochDef")]
        epoch: Epoch,
        session: String,
    },
    CheckpointSeen {
        #[serde(with = "text::run")]
        run: RunName,
        #[serde(with = "EpochDef")]
        epoch: Epoch,
        number: u32,
    },
    Fetched {
        lock_hash: String,
    },
    Imported {
        #[serde(with = "EpochDef")]
        epoch: Epoch,
        #[serde(with = "ImportFactsDef")]
        facts: ImportFacts,
    },
    NothingToImport {
        #[serde(with = "EpochDef")]
        epoch: Epoch,
    },
    Rescued {
        #[serde(with = "EpochDef")]
        epoch: Epoch,
        reference: Option<String>,
        #[serde(with = "text::maybe_commit")]
        snapshot: Option<CommitId>,
    },
    Checkpointed {
        #[serde(with = "EpochDef")]
        epoch: Epoch,
        reference: String,
    },
    Landed(#[serde(with = "ReadBackDef")] ReadBack),
    LandFailed {
        #[serde(with = "ActionKeyDef")]
        key: ActionKey,
        #[serde(with = "text::fail")]
        reason: FailReason,
        detail: String,
    },
    StopSent {
        #[serde(with = "text::run")]
        run: RunName,
    },
    #[serde(with = "advanced")]
    Advanced(Stage),
    RepairBegun {
        evidence: String,
        step: usize,
    },
    ReviewReturned {
        step: usize,
    },
    Retried {
        charged: bool,
        #[serde(with = "TimeDef")]
        at: Time,
    },
    Held(#[serde(with = "HoldDef")] Hold),
    Released,
    #[serde(with = "chosen")]
    EndingChosen(Ending),
    #[serde(with = "ended")]
    Ended(EndKind),
    CancelRequested {
        by: String,
    },
    Approved {
        #[serde(with = "text::commit")]
        commit: CommitId,
        by: String,
    },
    Rejected {
        feedback: String,
        by: String,
    },
    Resumed {
        by: String,
    },
    AgentUnavailable {
        agent: usize,
        #[serde(with = "text::hold")]
        reason: HoldReason,
        detail: String,
        #[serde(with = "WakeDef")]
        until: Wake,
    },
    CredentialLearnt {
        credential: String,
        #[serde(with = "text::hold")]
        reason: HoldReason,
        #[serde(with = "WakeDef")]
        until: Wake,
        pauses: u32,
        detail: String,
    },
    ModelAnswered {
        #[serde(with = "text::run")]
        run: RunName,
        #[serde(with = "EpochDef")]
        epoch: Epoch,
    },
    PauseRequested {
        by: String,
    },
    PlanApproved {
        plan: String,
        by: String,
    },
    QuestionAnswered {
        question: String,
        choice: String,
        by: String,
    },
    Messaged {
        text: String,
        by: String,
    },
    FollowedUp {
        step: usize,
    },
}

/// A field holder for variants whose content is itself an enum: a tagged enum cannot stand
/// directly inside another tagged one.
macro_rules! boxed {
    ($module:ident, $field:ident: $type:ty, $def:literal) => {
        mod $module {
            use super::*;

            #[derive(Serialize, Deserialize)]
            struct Holder {
                #[serde(with = $def)]
                $field: $type,
            }

            pub(super) fn serialize<S: serde::Serializer>(
                v: &$type,
                s: S,
            ) -> Result<S::Ok, S::Error> {
                Holder { $field: v.clone() }.serialize(s)
            }

            pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
                d: D,
            ) -> Result<$type, D::Error> {
                Holder::deserialize(d).map(|holder| holder.$field)
            }
        }
    };
}

boxed!(intended, action: Action, "ActionDef");
boxed!(advanced, stage: Stage, "StageDef");
boxed!(chosen, ending: Ending, "EndingDef");
boxed!(ended, kind: EndKind, "EndKindDef");

#[derive(Serialize, Deserialize)]
#[serde(remote = "Action")]
enum ActionDef {
    Run(#[serde(with = "RunOrderDef")] RunOrder),
    Land(#[serde(with = "LandActionDef")] LandAction),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "RunOrder", rename_all = "camelCase")]
struct RunOrderDef {
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
enum RunWorkDef {
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
struct AgentRunDef {
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
enum RoleDef {
    Plan,
    Implement,
    Review,
    Answer,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "LandAction", tag = "kind", rename_all_fields = "camelCase")]
enum LandActionDef {
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

#[derive(Serialize, Deserialize)]
#[serde(remote = "RunResult", tag = "type", rename_all_fields = "camelCase")]
enum RunResultDef {
    BaseReady,
    DepsReady {
        layer: String,
        #[serde(default)]
        kept: bool,
    },
    Checked(#[serde(with = "CheckResultDef")] CheckResult),
    #[serde(with = "agent_result")]
    Agent(Box<AgentResult>),
    Bundled,
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
struct CheckResultDef {
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
struct TestCountsDef {
    executed: u64,
    failed: u64,
    failing: Vec<String>,
    named: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Exit")]
enum ExitDef {
    Code(i32),
    NotItsOwn(#[serde(with = "NotItsOwnDef")] NotItsOwn),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "NotItsOwn")]
enum NotItsOwnDef {
    Deadline,
    OutOfMemory,
    Limit,
    Prepare,
    Lost,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "AgentResult", rename_all = "camelCase")]
struct AgentResultDef {
    #[serde(with = "AgentOutcomeDef")]
    outcome: AgentOutcome,
    session: Option<String>,
    #[serde(with = "SpentDef")]
    spent: Spent,
    text: String,
    #[serde(with = "text::artifacts")]
    artifacts: Vec<Artifact>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "AgentOutcome", rename_all_fields = "camelCase")]
enum AgentOutcomeDef {
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
enum ArtifactDef {
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
struct QuestionDef {
    id: String,
    text: String,
    choices: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Spent", rename_all = "camelCase")]
struct SpentDef {
    input_tokens: u64,
    output_tokens: u64,
    cost_micros: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ImportFacts", rename_all = "camelCase")]
struct ImportFactsDef {
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
struct ReadBackDef {
    #[serde(with = "text::branch")]
    branch: BranchName,
    #[serde(with = "text::commit")]
    commit: CommitId,
    target: String,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Hold", rename_all = "camelCase")]
struct HoldDef {
    #[serde(with = "text::hold")]
    reason: HoldReason,
    detail: String,
    #[serde(with = "WakeDef")]
    until: Wake,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Wake")]
enum WakeDef {
    At(#[serde(with = "TimeDef")] Time),
    On(#[serde(with = "WakeEventDef")] WakeEvent),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "WakeEvent")]
enum WakeEventDef {
    Admission,
    Action,
    Approval,
    Resume,
    Answer,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Stage")]
enum StageDef {
    Fetch,
    Base,
    Setup,
    BaseChecks,
    Step(usize),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Ending")]
enum EndingDef {
    Fail(#[serde(with = "text::fail")] FailReason, String),
    Cancel,
    NoChange(String),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "EndKind", rename_all_fields = "camelCase")]
enum EndKindDef {
    Done,
    Unverified,
    Answered,
    NoChange {
        why: String,
    },
    Failed {
        #[serde(with = "text::fail")]
        reason: FailReason,
        detail: String,
    },
    Cancelled,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Epoch", transparent)]
struct EpochDef(u32);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Time", transparent)]
struct TimeDef(i64);

#[derive(Serialize, Deserialize)]
#[serde(remote = "ActionKey", transparent)]
struct ActionKeyDef(String);

#[cfg(test)]
mod tests;
