//! `Imported -> Verified -> Landed`: three types, each made only from the one before. There is
//! no other way to make them, so no code path can call something done that was not checked.

use crate::evidence::{Evidence, Judgement, judge};
use crate::id::{BranchName, CommitId, Epoch, TaskName};

/// The largest file that comes in, in bytes. 20 MiB: far above what anybody reviews, and what a
/// scan for secrets may hold in one piece. A new one beyond it is not even committed for an agent.
pub const FILE_BYTES: u64 = 20 << 20;

/// The ref that keeps an import for as long as nothing has landed: where the work is when checks
/// or a reviewer say no to it.
pub fn saved_import(task: &TaskName, epoch: Epoch) -> String {
    saved_rescue(task, epoch) + "imported"
}

/// Below this are the refs of what was rescued from a run. Whoever makes or looks for one takes its
/// place from here.
pub fn saved_rescue(task: &TaskName, epoch: Epoch) -> String {
    format!("refs/midwatch/rescue/{task}/{epoch}/")
}

/// What import and gates found out about a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportFacts {
    /// The imported id: remade by us, with our identity.
    pub commit: CommitId,
    /// The task's base.
    pub base: CommitId,
    /// `3 files changed, ...`, for people.
    pub diffstat: String,
    /// Protected paths that change, which needs an approval: path and rule, one line each.
    pub hard_paths: Vec<String>,
    /// What has the shape of a secret and is none that we know, one line each: somebody has to
    /// look. One that we know is never imported.
    pub secret_shapes: Vec<String>,
    /// New paths with a name that some system reserves, which needs an approval.
    pub reserved_names: Vec<String>,
    /// Manifests and lock files that change: allowed, and said in the evidence.
    pub soft_paths: Vec<String>,
    /// Invisible or direction-changing characters that are new: allowed, and said.
    pub invisible_text: Vec<String>,
    /// Paths that define a check and were changed.
    pub check_definitions: Vec<String>,
    /// Identifies the lock files of the commit's tree.
    pub lock_hash: String,
    /// The commit's tree is the base's: nothing was changed.
    pub empty: bool,
}

/// A commit that passed the gates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported(ImportFacts);

impl Imported {
    /// Only the replay of a stored import makes one.
    pub(crate) fn replay(facts: ImportFacts) -> Self {
        Self(facts)
    }

    /// What is known about it.
    pub fn facts(&self) -> &ImportFacts {
        &self.0
    }

    /// The imported id.
    pub fn commit(&self) -> &CommitId {
        &self.0.commit
    }
}

/// A commit with green evidence for its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    imported: Imported,
    fewer_tests: Vec<usize>,
}

impl Verified {
    /// Made when evidence for this very commit is complete and green beside the base's.
    pub fn of(
        imported: &Imported,
        base: &Evidence,
        evidence: &Evidence,
        commands: usize,
        known_failures: bool,
    ) -> Option<Self> {
        let same =
            evidence.commit() == imported.commit() && *base.commit() == imported.facts().base;
        if !same || commands == 0 || !base.is_complete(commands) || !evidence.is_complete(commands)
        {
            return None;
        }
        match judge(base, evidence, commands, known_failures) {
            Judgement::Green { fewer_tests } => {
                Some(Self { imported: imported.clone(), fewer_tests })
            }
            Judgement::Repair { .. } => None,
        }
    }

    /// What it was made from.
    pub fn imported(&self) -> &Imported {
        &self.imported
    }

    /// Commands that executed fewer tests than on the base.
    pub fn fewer_tests(&self) -> &[usize] {
        &self.fewer_tests
    }
}

/// What was read back from a target after a landing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadBack {
    /// The branch.
    pub branch: BranchName,
    /// The id that the target has there now.
    pub commit: CommitId,
    /// Where: `local`, or the remote's URL without credentials.
    pub target: String,
}

/// A verified commit that the target has: read back, not assumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landed {
    verified: Verified,
    read_back: ReadBack,
}

impl Landed {
    /// Made when what the target has is what was verified.
    pub fn of(verified: &Verified, read_back: &ReadBack) -> Option<Self> {
        (read_back.commit == *verified.imported.commit())
            .then(|| Self { verified: verified.clone(), read_back: read_back.clone() })
    }

    /// What it was made from.
    pub fn verified(&self) -> &Verified {
        &self.verified
    }

    /// What the target has.
    pub fn read_back(&self) -> &ReadBack {
        &self.read_back
    }
}

/// An unverified commit on a local branch, asked for by `--no-check`. Never pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    imported: Imported,
    read_back: ReadBack,
}

impl Kept {
    /// Made when what the user's repository has is what was imported.
    pub fn of(imported: &Imported, read_back: &ReadBack) -> Option<Self> {
        (read_back.commit == *imported.commit())
            .then(|| Self { imported: imported.clone(), read_back: read_back.clone() })
    }

    /// What it was made from.
    pub fn imported(&self) -> &Imported {
        &self.imported
    }

    /// What the repository has.
    pub fn read_back(&self) -> &ReadBack {
        &self.read_back
    }
}
