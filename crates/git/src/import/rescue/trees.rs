//! A rescue whose commits git refuses (a date beyond 2^63, a broken name) and whose files it
//! takes: each head becomes one commit of ours with the same tree.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use midwatch_core::id::CommitId;

use super::{RescueOrder, Rescued};
use crate::authored;
use crate::bundle::Bundle;
use crate::error::GitError;
use crate::import::{ImportError, received};
use crate::mirror::Mirror;
use crate::quarantine::{Objects, Quarantine};
use crate::refs;

/// The message of such a commit.
const MESSAGE: &str = "Work as it was found, without its own commits\n";

/// Saves the trees of a bundle's heads. Its own commits stay in quarantine: what enters is
/// checked like everything else.
pub(super) fn keep(
    mirror: &Mirror,
    order: &RescueOrder<'_>,
    names: &[(String, CommitId)],
) -> Result<Rescued, ImportError> {
    let bundle = Bundle::open(order.dir, order.name, order.bundle_bytes)?;
    let mut standing = vec![order.base.clone()];
    standing.extend_from_slice(order.known);
    let excused = Objects::ExcusingCommits;
    let quarantine = received(mirror, bundle, &standing, order.bundle_bytes, excused)?;
    let when = written(order);
    let known = order.known.iter().collect();
    let (mut kept, mut left_out) = (Vec::new(), 0);
    for (name, id) in names {
        match made(&quarantine, order, &known, id, when)? {
            Some(commit) => kept.push((name.clone(), commit)),
            None => left_out += 1,
        }
    }
    if !kept.is_empty() {
        let tips: Vec<CommitId> = kept.iter().map(|(_, id)| id.clone()).collect();
        quarantine.admit(&tips, &standing)?;
        refs::set_all(mirror.git().at(&mirror.work(), "update-ref"), &kept)?;
    }
    Ok(Rescued { refs: kept, left_out, as_trees: true })
}

/// A commit of ours with a head's tree; none where the head has no tree, or nothing new.
fn made(
    quarantine: &Quarantine,
    order: &RescueOrder<'_>,
    known: &BTreeSet<&CommitId>,
    id: &CommitId,
    when: i64,
) -> Result<Option<CommitId>, GitError> {
    let tree_of = |id: &CommitId| -> Result<Option<String>, GitError> {
        let spec = format!("{id}^{{tree}}");
        let ended = quarantine.call("rev-parse").args(["--verify", "-q", &spec]).finish()?;
        let tree = String::from_utf8_lossy(&ended.stdout).trim().to_owned();
        Ok((ended.code == Some(0)).then_some(tree))
    };
    let parent = parent(quarantine, order, known, id)?;
    let tree = tree_of(id)?.filter(|tree| CommitId::parse(tree).is_ok());
    let Some(tree) = tree else { return Ok(None) };
    if tree_of(&parent)?.as_ref() == Some(&tree) {
        return Ok(None);
    }
    authored::commit(quarantine.call("commit-tree"), &tree, &parent, when, MESSAGE).map(Some)
}

/// The newest commit of ours that a head stands on: whoever goes on from it descends from that.
/// One walk, however many are known: a hostile agent leaves hundreds of both.
fn parent(
    quarantine: &Quarantine,
    order: &RescueOrder<'_>,
    known: &BTreeSet<&CommitId>,
    id: &CommitId,
) -> Result<CommitId, GitError> {
    let not_base = format!("^{}", order.base);
    // No commit comes before one that descends from it.
    let walk = quarantine
        .call("rev-list")
        .args(["--topo-order", "--ancestry-path", id.as_str(), &not_base])
        .text()?;
    let found = walk.lines().filter_map(|line| CommitId::parse(line).ok());
    Ok(found.into_iter().find(|id| known.contains(id)).unwrap_or_else(|| order.base.clone()))
}

/// When the bundle was written, in seconds since 1970, so that doing it again makes the same
/// commits.
fn written(order: &RescueOrder<'_>) -> i64 {
    let modified = order.dir.join(order.name).symlink_metadata().and_then(|data| data.modified());
    let now = SystemTime::now();
    let when = modified.ok().filter(|when| *when <= now).unwrap_or(now);
    let since = when.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().try_into().unwrap_or_default()
}
