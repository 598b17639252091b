//! What deleted tasks left: what was the only place of work goes as soon as it is that no more.

use std::path::PathBuf;

use midwatch_api::gc::What;
use midwatch_core::time::Time;

use super::saved::{self, ON_A_SERVER};
use super::tasks::{self, OnDisk, Over};
use super::unsaved::Unsaved;
use super::{Collector, Found, last};
use crate::folder::task_of;
use crate::point::between;
use crate::store::{Remains, StoreError};
use crate::sweep::folders_in;

/// Why nothing goes of what is named like no task.
const UNKNOWN: &str = "no task of that name is known";

/// Folders of a name that no task has. It was asked to go when its task was deleted: its age
/// plays no part.
pub(super) fn collect(
    collector: &Collector<'_>,
    found: &mut Found,
    name: &str,
    on_disk: OnDisk,
) -> Result<(), StoreError> {
    let remains = match remains(collector, name)? {
        Ok(Some(remains)) => remains,
        Ok(None) => {
            let why = format!("{UNKNOWN}: look at it before you remove it");
            found.keep(What::Runs, name, on_disk.bytes(), why);
            return Ok(());
        }
        Err(why) => {
            found.keep(What::Runs, name, on_disk.bytes(), why);
            return Ok(());
        }
    };
    let unsaved = |run: &str| match &remains.kept {
        Some(kept) => kept.get(run).map(|paths| Unsaved::of(paths)),
        None => Some(Unsaved::All),
    };
    let over = Over {
        name,
        unsaved: &unsaved,
        is_same: &|| Ok(collector.store.remains(name)?.as_ref() == Some(&remains)),
        why: "its task was deleted",
    };
    tasks::discard_saved(collector, found, &over, on_disk)
}

/// When a deleted task ended; none where none of that name is known.
pub(super) fn ended(collector: &Collector<'_>, name: &str) -> Result<Option<Time>, StoreError> {
    let remains = remains(collector, name)?.unwrap_or_default();
    Ok(remains.map(|remains| Time(remains.ended_ms)))
}

/// The repository of a deleted task, or why it is not known.
pub(super) fn repository(
    collector: &Collector<'_>,
    name: &str,
) -> Result<Result<PathBuf, String>, StoreError> {
    Ok(match remains(collector, name)? {
        Ok(Some(Remains { repository: Some(repository), .. })) => Ok(repository),
        Ok(Some(Remains { kept: Some(_), repository: None, .. })) => Err(ON_A_SERVER.to_owned()),
        Ok(Some(Remains { kept: None, repository: None, .. })) => {
            Err("its task was deleted, and its repository is not known any more".to_owned())
        }
        Ok(None) => Err(UNKNOWN.to_owned()),
        Err(why) => Err(why),
    })
}

/// Gives names free of which nothing is left: no folder, and no ref that is named by them.
pub(super) fn free_names(collector: &Collector<'_>) -> Result<(), StoreError> {
    let mut free = Vec::new();
    let mut named = None;
    for name in collector.store.reserved_names()? {
        let saved = match remains(collector, &name)? {
            Ok(Some(remains)) => remains.saved,
            Ok(None) | Err(_) => continue,
        };
        let left = has_folders(collector, &name)
            || saved && named.get_or_insert_with(|| saved::tasks(collector)).has(&name);
        if !left {
            free.push(name);
        }
    }
    if free.is_empty() {
        return Ok(());
    }
    if let Err(error) = collector.folder.settle_removals() {
        tracing::warn!(%error, "names of deleted tasks are given again later");
        return Ok(());
    }
    free.iter().try_for_each(|name| {
        between(collector.point, "NameFreed", || collector.store.free_name(name))
    })
}

/// What cannot be looked at counts as there.
fn has_folders(collector: &Collector<'_>, name: &str) -> bool {
    let root = collector.folder.root();
    let runs = folders_in(&root.join("runs"));
    let is_of_it = |runs: Vec<PathBuf>| runs.iter().any(|run| task_of(&last(run)) == Some(name));
    collector.folder.homes(name).exists() || runs.map_or(true, is_of_it)
}

/// What a deleted task left, or why that cannot be read.
fn remains(
    collector: &Collector<'_>,
    name: &str,
) -> Result<Result<Option<Remains>, String>, StoreError> {
    match collector.store.remains(name) {
        Ok(remains) => Ok(Ok(remains)),
        Err(error @ StoreError::Row { .. }) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}
