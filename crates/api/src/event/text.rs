//! Ids, names and reasons as text: written with `as_str`, read with `parse`.

use midwatch_core as core;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use core::event::{Artifact, LeftOut};
use core::evidence::TestCounts;
use core::id::{BranchName, CommitId, RunName, StepName};
use core::reason::{FailReason, HoldReason};

macro_rules! as_text {
    ($module:ident, $type:ty, $parse:expr) => {
        pub(super) mod $module {
            use super::*;

            pub(in crate::event) fn serialize<S: Serializer>(
                v: &$type,
                s: S,
            ) -> Result<S::Ok, S::Error> {
                s.serialize_str(v.as_str())
            }

            pub(in crate::event) fn deserialize<'de, D: Deserializer<'de>>(
                d: D,
            ) -> Result<$type, D::Error> {
                let text = String::deserialize(d)?;
                ($parse)(&text).map_err(D::Error::custom)
            }
        }
    };
}

fn fail_reason(text: &str) -> Result<FailReason, String> {
    FailReason::parse(text).ok_or_else(|| format!("no reason of ours: {text:.40}"))
}

fn hold_reason(text: &str) -> Result<HoldReason, String> {
    HoldReason::parse(text).ok_or_else(|| format!("no reason of ours: {text:.40}"))
}

as_text!(run, RunName, RunName::parse);
as_text!(step, StepName, StepName::parse);
as_text!(commit, CommitId, CommitId::parse);
as_text!(branch, BranchName, BranchName::parse);
as_text!(fail, FailReason, fail_reason);
as_text!(hold, HoldReason, hold_reason);

pub(super) mod maybe_commit {
    use super::*;

    pub(in crate::event) fn serialize<S: Serializer>(
        v: &Option<CommitId>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        v.as_ref().map(CommitId::as_str).serialize(s)
    }

    pub(in crate::event) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Option<CommitId>, D::Error> {
        let text = Option::<String>::deserialize(d)?;
        text.map(|text| CommitId::parse(&text).map_err(D::Error::custom)).transpose()
    }
}

pub(super) mod maybe_tests {
    use super::*;

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Row(#[serde(with = "crate::event::result::TestCountsDef")] TestCounts);

    pub(in crate::event) fn serialize<S: Serializer>(
        v: &Option<TestCounts>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        v.clone().map(Row).serialize(s)
    }

    pub(in crate::event) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Option<TestCounts>, D::Error> {
        Ok(Option::<Row>::deserialize(d)?.map(|row| row.0))
    }
}

pub(super) mod artifacts {
    use super::*;

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Row(#[serde(with = "crate::event::result::ArtifactDef")] Artifact);

    pub(in crate::event) fn serialize<S: Serializer>(
        v: &[Artifact],
        s: S,
    ) -> Result<S::Ok, S::Error> {
        s.collect_seq(v.iter().cloned().map(Row))
    }

    pub(in crate::event) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Vec<Artifact>, D::Error> {
        Ok(Vec::<Row>::deserialize(d)?.into_iter().map(|row| row.0).collect())
    }
}

pub(super) mod left_out {
    use super::*;

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Row(#[serde(with = "crate::event::result::LeftOutDef")] LeftOut);

    pub(in crate::event) fn serialize<S: Serializer>(
        v: &[LeftOut],
        s: S,
    ) -> Result<S::Ok, S::Error> {
        s.collect_seq(v.iter().cloned().map(Row))
    }

    pub(in crate::event) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Vec<LeftOut>, D::Error> {
        Ok(Vec::<Row>::deserialize(d)?.into_iter().map(|row| row.0).collect())
    }
}
