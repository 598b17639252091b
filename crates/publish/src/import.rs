//! Imports an agent's bundle.

use std::path::Path;
use std::time::UNIX_EPOCH;

use midwatch_core::event::Event;
use midwatch_core::id::{CommitId, Epoch};
use midwatch_core::landing::{ImportFacts, saved_import};
use midwatch_core::reason::FailReason;
use midwatch_git::bundle::BundleError;
use midwatch_git::gates::{Finding, Rule};
use midwatch_git::import::{
    ImportError, ImportOrder, ImportOutcome, ImportedWork, Limits, RescueOrder, checkpoint, import,
    imported, keep_file,
};
use midwatch_git::pack::pack_of;

use crate::files::import_name;
use crate::places::WORK_BUNDLE;
use crate::publisher::{Ground, Trouble};
use crate::rescue::refused_ref;

/// How many findings are told when an import is refused.
const TOLD: usize = 10;

pub(crate) fn look(ground: &Ground, epoch: Epoch) -> Result<Option<Event>, Trouble> {
    let target = ground.name("import", epoch);
    let (base, limits) = (&ground.job.base, Limits::default());
    let found = imported(&ground.mirror, base, &target, limits, &ground.scanner())?;
    found.map(|work| taken(ground, epoch, work)).transpose()
}

pub(crate) fn perform(
    ground: &Ground,
    out: &Path,
    epoch: Epoch,
    onto: &CommitId,
    base: &CommitId,
) -> Result<Event, Trouble> {
    crate::fetch::again(ground, base)?;
    let target = ground.name("import", epoch);
    let known = ground.known()?;
    let order = ImportOrder {
        dir: out,
        name: WORK_BUNDLE,
        base,
        onto,
        known: &known,
        target: &target,
        when: bundle_time(out),
        fallback_message: &ground.job.subject,
        limits: Limits::default(),
    };
    match import(&ground.mirror, &order, &ground.scanner()) {
        Ok(ImportOutcome::Imported(work)) => taken(ground, epoch, *work),
        Ok(ImportOutcome::Refused(findings)) => {
            set_aside(ground, &order, epoch, true);
            Err(refused(&findings))
        }
        Err(ImportError::Bundle(BundleError::Missing)) => Ok(Event::NothingToImport { epoch }),
        Err(error) => {
            if error.is_bundles_fault() {
                set_aside(ground, &order, epoch, false);
            }
            Err(error.into())
        }
    }
}

/// Leaves the commit's pack where runs look for it, and says what is known.
fn taken(ground: &Ground, epoch: Epoch, work: ImportedWork) -> Result<Event, Trouble> {
    if work.commit != work.base {
        pack_of(&ground.mirror, &work.base, &work.commit)?;
        ground.mirror.remember(&saved_import(&ground.job.task, epoch), &work.commit)?;
    }
    let mut facts = ImportFacts {
        hard_paths: vec![],
        secret_shapes: vec![],
        reserved_names: vec![],
        soft_paths: vec![],
        invisible_text: vec![],
        commit: work.commit,
        base: work.base,
        diffstat: work.diffstat,
        check_definitions: work.check_definitions,
        lock_hash: work.lock_hash,
        empty: work.empty,
    };
    for finding in work.holds.iter().chain(&work.tells) {
        let kind = match finding.rule {
            Rule::SecretShape => &mut facts.secret_shapes,
            Rule::ReservedName => &mut facts.reserved_names,
            Rule::Manifest => &mut facts.soft_paths,
            Rule::InvisibleText => &mut facts.invisible_text,
            // All but the first are refused before this; should one ever come here, somebody has
            // to look.
            Rule::ProtectedPath
            | Rule::KnownSecret
            | Rule::Gitlink
            | Rule::Link
            | Rule::GitLookAlike
            | Rule::PathBytes
            | Rule::FileSize
            | Rule::TotalSize
            | Rule::FileCount => &mut facts.hard_paths,
        };
        kind.push(finding.to_string());
    }
    Ok(Event::Imported { epoch, facts })
}

fn refused(findings: &[Finding]) -> Trouble {
    let secret = findings.iter().any(|finding| finding.rule == Rule::KnownSecret);
    let reason = if secret { FailReason::SecretFound } else { FailReason::ProtectedPath };
    let mut lines: Vec<String> = findings.iter().take(TOLD).map(ToString::to_string).collect();
    if findings.len() > TOLD {
        lines.push(format!("and {} more", findings.len() - TOLD));
    }
    Trouble::new(reason, lines.join("; "))
}

/// What may not be imported is still work: it is kept beside, as a ref where git takes its
/// objects, else as the file. Nothing published ever stands on it.
fn set_aside(ground: &Ground, order: &ImportOrder<'_>, epoch: Epoch, objects_are_sound: bool) {
    let rescue = RescueOrder {
        dir: order.dir,
        name: order.name,
        base: order.base,
        known: order.known,
        bundle_bytes: order.limits.bundle_bytes,
    };
    let kept = if objects_are_sound {
        let target = refused_ref(&ground.job.task, epoch);
        checkpoint(&ground.mirror, &rescue, &target).map(drop).map_err(|error| error.to_string())
    } else {
        let name = import_name(&ground.job.task, epoch);
        keep_file(&ground.mirror, &rescue, &name).map(drop).map_err(|error| error.to_string())
    };
    if let Err(detail) = kept {
        tracing::warn!(task = %ground.job.task, detail, "refused work could not be set aside");
    }
}

/// The date of the commits: when the bundle was finished, so that doing it again gives the same
/// ids. A date of the sandbox's choosing that cannot be is not taken.
fn bundle_time(out: &Path) -> i64 {
    let modified = out.join(WORK_BUNDLE).symlink_metadata().and_then(|data| data.modified());
    let seconds = |time: std::time::SystemTime| {
        time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    };
    let now = seconds(std::time::SystemTime::now());
    let day = 24 * 60 * 60;
    let bundle = modified.map_or(now, seconds);
    let believable = bundle <= now && now - bundle < 365 * day;
    i64::try_from(if believable { bundle } else { now }).unwrap_or(0)
}
