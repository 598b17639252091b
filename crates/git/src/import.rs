//! From a bundle that a sandbox left to commits of ours.
//!
//! The bundle's head is read by us, its pack goes into a quarantine where git checks every
//! object, the gates look at every commit of the range, and the range is made anew: the same
//! trees in the same order, by us, on the base. Only that enters `work`. The ids that the
//! sandbox gave its commits end here.

mod message;
mod remake;
mod rescue;

use std::path::Path;

use midwatch_core::id::CommitId;

use crate::bundle::{Bundle, BundleError};
use crate::diff;
use crate::error::GitError;
use crate::gates::{self, Caps, Finding, Range, Scanner, Severity};
use crate::mirror::Mirror;
use crate::quarantine::{Objects, Quarantine};
use crate::refs::{self, Before};

pub use message::sanitised;
pub use remake::LEFTOVERS;
pub use rescue::{RescueOrder, Rescued, checkpoint, keep_file, rescue};

/// Caps of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The bundle's size in bytes.
    pub bundle_bytes: u64,
    /// What the gates cap.
    pub caps: Caps,
    /// The most commits in the range, side branches too.
    pub range_commits: usize,
    /// The most commits that are made anew; older ones are folded into the first.
    pub kept_commits: usize,
}

impl Default for Limits {
    /// 256 MiB, 2,000 commits looked at, 50 kept.
    fn default() -> Self {
        Self {
            bundle_bytes: 256 << 20,
            caps: Caps::default(),
            range_commits: 2000,
            kept_commits: 50,
        }
    }
}

/// What is to be imported.
#[derive(Debug, Clone, Copy)]
pub struct ImportOrder<'a> {
    /// The folder that the sandbox wrote to.
    pub dir: &'a Path,
    /// The bundle's name in it.
    pub name: &'a str,
    /// The task's base: in `upstream`, or a snapshot in `work`.
    pub base: &'a CommitId,
    /// Where the range begins: the base, or the task's newest imported commit.
    pub onto: &'a CommitId,
    /// More commits of the same task in `work` that the bundle may stand on.
    pub known: &'a [CommitId],
    /// The ref of `work` that is to keep the result.
    pub target: &'a str,
    /// The date of the first commit in seconds since 1970; each later one is a second later. The
    /// same order gives the same ids.
    pub when: i64,
    /// The message of a commit that has none left.
    pub fallback_message: &'a str,
    /// Caps.
    pub limits: Limits,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The bundle cannot be read.
    #[error("import failed: {0}")]
    Bundle(#[from] BundleError),
    /// It stands on what this task does not have.
    #[error("import failed: the bundle stands on {0}, which is not part of this task's base")]
    UnknownPrerequisite(CommitId),
    /// More or fewer refs than one.
    #[error("import failed: the bundle has {0} refs, exactly one is expected")]
    Refs(usize),
    /// Git refused an object, or one is missing.
    #[error("import failed: git refused the objects: {0}")]
    Objects(String),
    /// The tip is no commit, or does not descend from the base.
    #[error("import failed: {0} does not descend from the commit that the work began with")]
    NotDescendant(CommitId),
    /// More commits than the cap.
    #[error("import failed: more than {0} commits")]
    TooManyCommits(usize),
    /// The import itself could not be done; this says nothing about the bundle.
    #[error("import could not run: {0}")]
    CouldNotRun(#[from] GitError),
}

impl ImportError {
    /// Whether the sandbox is to blame; otherwise it is us or the machine.
    pub fn is_bundles_fault(&self) -> bool {
        match self {
            Self::Bundle(error) => !matches!(error, BundleError::Io(_)),
            Self::UnknownPrerequisite(_)
            | Self::Refs(_)
            | Self::Objects(_)
            | Self::NotDescendant(_)
            | Self::TooManyCommits(_) => true,
            Self::CouldNotRun(_) => false,
        }
    }
}

/// What is known about imported work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedWork {
    /// The id, made by us.
    pub commit: CommitId,
    /// The base.
    pub base: CommitId,
    /// `2 files changed, 3 insertions(+), 1 deletion(-)`; empty when nothing changed.
    pub diffstat: String,
    /// How many files differ from the base.
    pub files: usize,
    /// How many commits of ours stand on the base.
    pub commits: usize,
    /// What needs an approval.
    pub holds: Vec<Finding>,
    /// What is said in the evidence.
    pub tells: Vec<Finding>,
    /// Paths that define a check and were changed.
    pub check_definitions: Vec<String>,
    /// Identifies the lock files of the commit's tree.
    pub lock_hash: String,
    /// The tree is the base's.
    pub empty: bool,
}

/// How an import ended that could be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportOutcome {
    /// In `work`, at the target.
    Imported(Box<ImportedWork>),
    /// The gates refused it; nothing left quarantine. Holds every finding.
    Refused(Vec<Finding>),
}

/// Imports a bundle. Doing it again with the same order and bundle ends in the same commit.
pub fn import(
    mirror: &Mirror,
    order: &ImportOrder<'_>,
    scanner: &Scanner,
) -> Result<ImportOutcome, ImportError> {
    if !scanner.is_whole() {
        return Err(GitError::unexpected("import", b"the secret scanner is not whole").into());
    }
    let bundle = Bundle::open(order.dir, order.name, order.limits.bundle_bytes)?;
    mirror.check_fetched()?;
    let [(_, head)] = bundle.header.refs.as_slice() else {
        return Err(ImportError::Refs(bundle.header.refs.len()));
    };
    let head = head.clone();
    let mut standing: Vec<CommitId> = vec![order.base.clone(), order.onto.clone()];
    standing.extend_from_slice(order.known);
    let quarantine =
        received(mirror, bundle, &standing, order.limits.bundle_bytes, Objects::Sound)?;
    let steps = remake::steps(&quarantine, order, &head)?;
    let range = Range { base: order.base, head: &head, pairs: &steps.pairs };
    let report =
        gates::examine(mirror.git(), &quarantine.git_dir(), &range, order.limits.caps, scanner)?;
    if report.of(Severity::Refuse).next().is_some() {
        return Ok(ImportOutcome::Refused(report.findings));
    }
    let made = remake::remake(&quarantine, order, &steps)?;
    quarantine.admit(std::slice::from_ref(&made), &standing)?;
    let set = mirror.git().at(&mirror.work(), "update-ref");
    refs::set(set, order.target, &made, Before::Any)?;
    if mirror.work_ref(order.target)?.as_ref() != Some(&made) {
        return Err(
            GitError::unexpected("update-ref", b"the ref does not hold what was set").into()
        );
    }
    let work = told(mirror, order.base, &made, order.limits, scanner)?;
    Ok(ImportOutcome::Imported(Box::new(work)))
}

/// What is known about work that was imported to a ref of `work`: the same that its import said.
/// `None` when the ref is not there.
pub fn imported(
    mirror: &Mirror,
    base: &CommitId,
    target: &str,
    limits: Limits,
    scanner: &Scanner,
) -> Result<Option<ImportedWork>, ImportError> {
    match mirror.work_ref(target)? {
        Some(head) => Ok(Some(told(mirror, base, &head, limits, scanner)?)),
        None => Ok(None),
    }
}

/// Checks what a bundle stands on and takes its pack into a quarantine.
fn received(
    mirror: &Mirror,
    bundle: Bundle,
    standing: &[CommitId],
    max_bytes: u64,
    objects: Objects,
) -> Result<Quarantine, ImportError> {
    if bundle.header.sha256 != mirror.is_sha256() {
        return Err(
            BundleError::Malformed("its object format is not the repository's".into()).into()
        );
    }
    let quarantine = Quarantine::new(mirror, standing)?;
    for needed in &bundle.header.prerequisites {
        let mut ours = standing.contains(needed);
        let there = quarantine.call("cat-file").args(["-e", &format!("{needed}^{{commit}}")]);
        if !ours && there.finish()?.code == Some(0) {
            for commit in standing {
                ours = ours || quarantine.is_ancestor(needed, commit)?;
            }
        }
        if !ours {
            return Err(ImportError::UnknownPrerequisite(needed.clone()));
        }
    }
    quarantine.take(bundle.into_pack(), max_bytes, objects)?.map_err(ImportError::Objects)?;
    Ok(quarantine)
}

/// Looks at the whole of the task's work as it would be published, from its base.
fn told(
    mirror: &Mirror,
    base: &CommitId,
    head: &CommitId,
    limits: Limits,
    scanner: &Scanner,
) -> Result<ImportedWork, ImportError> {
    let steps = remake::steps_in(mirror, base, head, limits.range_commits)?;
    let range = Range { base, head, pairs: &steps.pairs };
    let report = gates::examine(mirror.git(), &mirror.work(), &range, limits.caps, scanner)?;
    Ok(ImportedWork {
        diffstat: diff::summary(mirror, base, head)?,
        lock_hash: mirror.lock_hash(head)?,
        holds: report.of(Severity::Hold).cloned().collect(),
        tells: report.of(Severity::Tell).cloned().collect(),
        check_definitions: report.check_definitions,
        files: report.files,
        commits: steps.line.len(),
        empty: report.files == 0,
        commit: head.clone(),
        base: base.clone(),
    })
}
