//! Saves what failed runs left, and checkpoints of living ones.

use std::path::Path;

use midwatch_core::event::Event;
use midwatch_core::id::{CommitId, Epoch, TaskName};
use midwatch_core::landing::{saved_import, saved_rescue};
use midwatch_core::reason::FailReason;
use midwatch_git::bundle::BundleError;
use midwatch_git::import::{ImportError, Limits, RescueOrder, keep_file, rescue};
use midwatch_git::pack::pack_of;

use crate::files::rescue_name;
use crate::places::{CHECKPOINT_BUNDLE, RESCUE_BUNDLE};
use crate::publisher::{Ground, Trouble};
use crate::saved::SNAPSHOT;

/// A rescue's refs are set all at once: one that is there says that all are. An import's ref in
/// the same place, refused or not, is none of them.
pub(crate) fn look(ground: &Ground, epoch: Epoch) -> Result<Option<Event>, Trouble> {
    let prefix = place(ground, epoch);
    let mut refs = ground.mirror.work_refs(&prefix)?;
    let imports = [refused_ref(&ground.job.task, epoch), saved_import(&ground.job.task, epoch)];
    refs.retain(|(name, _)| !imports.contains(name));
    if refs.is_empty() { Ok(None) } else { saved(ground, epoch, &prefix, &refs).map(Some) }
}

/// Where a rescue's refs are, as git takes a prefix.
fn place(ground: &Ground, epoch: Epoch) -> String {
    saved_rescue(&ground.job.task, epoch).trim_end_matches('/').to_owned()
}

/// The ref of a commit that was not let in, beside what a rescue of its run saves.
pub(crate) fn refused_ref(task: &TaskName, epoch: Epoch) -> String {
    saved_rescue(task, epoch) + "refused"
}

pub(crate) fn perform(
    ground: &Ground,
    out: &Path,
    epoch: Epoch,
    base: &CommitId,
) -> Result<Event, Trouble> {
    let prefix = place(ground, epoch);
    let known = ground.known()?;
    let order = order(out, RESCUE_BUNDLE, base, &known);
    match crate::fetch::again(ground, base) {
        Ok(()) => {}
        // The mirror is gone, and what it would be made from: only the bundle itself is left.
        Err(Trouble { reason: FailReason::RepositoryAway, detail })
            if out.join(RESCUE_BUNDLE).exists() =>
        {
            return kept_as_file(ground, &order, epoch, &detail);
        }
        Err(trouble) => return Err(trouble),
    }
    match rescue(&ground.mirror, &order, &prefix, &rescue_name(&ground.job.task, epoch)) {
        Ok(rescued) => {
            if rescued.as_trees {
                tracing::warn!(task = %ground.job.task, "a rescue was saved without its commits");
            }
            saved(ground, epoch, &prefix, &rescued.refs)
        }
        // Nothing differed from the base.
        Err(ImportError::Bundle(BundleError::Missing)) => saved(ground, epoch, &prefix, &[]),
        Err(error) if error.is_bundles_fault() => {
            kept_as_file(ground, &order, epoch, &error.to_string())
        }
        Err(error) => Err(error.into()),
    }
}

/// Keeps a bundle as the file that it is.
fn kept_as_file(
    ground: &Ground,
    order: &RescueOrder<'_>,
    epoch: Epoch,
    why: &str,
) -> Result<Event, Trouble> {
    let kept = keep_file(&ground.mirror, order, &rescue_name(&ground.job.task, epoch))?;
    tracing::warn!(task = %ground.job.task, why, "a rescue was kept as a file");
    // What was saved before is older: whoever opens the work is told of both.
    let reference = Some(kept.display().to_string());
    Ok(Event::Rescued { epoch, reference, snapshot: None })
}

fn order<'a>(
    out: &'a Path,
    name: &'a str,
    base: &'a CommitId,
    known: &'a [CommitId],
) -> RescueOrder<'a> {
    RescueOrder { dir: out, name, base, known, bundle_bytes: Limits::default().bundle_bytes }
}

/// Names the ref to open, and leaves the snapshot's pack for a run that goes on from it.
fn saved(
    ground: &Ground,
    epoch: Epoch,
    prefix: &str,
    refs: &[(String, CommitId)],
) -> Result<Event, Trouble> {
    let at_snapshot = refs.iter().find(|(name, _)| *name == format!("{prefix}/{SNAPSHOT}"));
    let best = at_snapshot.or_else(|| refs.first());
    let reference = match best {
        Some((name, _)) => Some(name.clone()),
        None => checkpoint_ref(ground, epoch)?,
    };
    let snapshot = at_snapshot.map(|(_, commit)| commit.clone());
    if let Some(commit) = &snapshot {
        pack_of(&ground.mirror, &ground.job.base, commit)?;
    }
    Ok(Event::Rescued { epoch, reference, snapshot })
}

fn checkpoint_ref(ground: &Ground, epoch: Epoch) -> Result<Option<String>, Trouble> {
    let name = ground.name("checkpoint", epoch);
    Ok(ground.mirror.work_ref(&name)?.map(|_| name))
}

pub(crate) fn checkpoint(
    ground: &Ground,
    out: &Path,
    epoch: Epoch,
    onto: &CommitId,
) -> Result<Event, Trouble> {
    crate::fetch::again(ground, &ground.job.base)?;
    let mut known = ground.known()?;
    known.push(onto.clone());
    let order = order(out, CHECKPOINT_BUNDLE, &ground.job.base, &known);
    let reference = ground.name("checkpoint", epoch);
    midwatch_git::import::checkpoint(&ground.mirror, &order, &reference)?;
    Ok(Event::Checkpointed { epoch, reference })
}
