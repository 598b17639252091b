//! Events as rows. The shapes mirror core's types; serde's `remote` derive makes the compiler
//! check that no variant and no field is forgotten.

use midwatch_core as core;
use serde::{Deserialize, Serialize};

use core::event::{Action, ActionKey, EndKind, Event, RunResult};
use core::id::{CommitId, Epoch, RunName};
use core::landing::{ImportFacts, ReadBack};
use core::reason::{FailReason, HoldReason};
use core::task::{Ending, Hold, Stage, Wake, WakeEvent};
use core::time::Time;

mod order;
mod result;
mod text;

use order::ActionDef;
use result::{ImportFactsDef, ReadBackDef, RunResultDef};

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
