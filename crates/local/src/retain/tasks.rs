//! Run folders and HOMEs of tasks that are over: oldest first. A run whose work was never saved
//! stays, whatever its age.

use std::collections::BTreeMap;
use std::path::PathBuf;

use midwatch_api::gc::What;
use midwatch_core::time::Time;

use super::unsaved::{Unsaved, unsaved};
use super::{Collector, Found, deleted, last};
use crate::folder::task_of;
use crate::point::between;
use crate::store::StoreError;
use crate::sweep::{folders_in, size};

/// Why many things stay.
const NOT_OVER: &str = "the task is not over";
const YOUNG: &str = "the task ended not long ago, and there is room";
/// Why something stays until the next time.
pub(super) const MEANWHILE: &str = "its task was deleted or submitted again meanwhile";

/// What a task has on disk.
#[derive(Debug, Default)]
pub(super) struct OnDisk {
    runs: Vec<(PathBuf, u64)>,
    homes: Vec<(PathBuf, u64)>,
}

impl OnDisk {
    pub(super) fn bytes(&self) -> u64 {
        self.runs.iter().chain(&self.homes).map(|(_, bytes)| bytes).sum()
    }
}

pub(super) fn collect(collector: &Collector<'_>, found: &mut Found) -> Result<(), StoreError> {
    let mut over: Vec<(Time, String, OnDisk)> = Vec::new();
    // Folders are listed before tasks are asked for: what is made meanwhile is not in the list.
    for (name, on_disk) in survey(collector) {
        match collector.store.ended(&name)? {
            Some(Some(ended)) => over.push((ended, name, on_disk)),
            Some(None) => keep_all(found, &on_disk, NOT_OVER),
            None => deleted::collect(collector, found, &name, on_disk)?,
        }
    }
    over.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let old = collector.before(collector.policy.age);
    let mut total: u64 = over.iter().map(|(_, _, on_disk)| on_disk.bytes()).sum();
    for (ended, name, on_disk) in over {
        let why = if ended < old {
            "the task ended long ago"
        } else if total > collector.policy.runs_cap {
            "its task is the oldest above the cap"
        } else {
            keep_all(found, &on_disk, YOUNG);
            continue;
        };
        total = total.saturating_sub(on_disk.bytes());
        discard(collector, found, (&name, ended), on_disk, why)?;
    }
    Ok(())
}

/// What is known of a task whose folders go.
pub(super) struct Over<'a> {
    pub(super) name: &'a str,
    /// What a run holds that exists nowhere else.
    pub(super) unsaved: &'a dyn Fn(&str) -> Option<Unsaved>,
    /// Whether it is still the task that was asked for: removing takes long, and one of its name
    /// that is submitted meanwhile has runs of the same names.
    pub(super) is_same: &'a dyn Fn() -> Result<bool, StoreError>,
    pub(super) why: &'a str,
}

/// Everything of a task but runs that hold what exists nowhere else.
pub(super) fn discard_saved(
    collector: &Collector<'_>,
    found: &mut Found,
    over: &Over<'_>,
    on_disk: OnDisk,
) -> Result<(), StoreError> {
    let mut runs = Vec::new();
    for (path, bytes) in on_disk.runs {
        match (over.unsaved)(&last(&path)).and_then(|unsaved| unsaved.still_in(&path)) {
            Some(why) => found.keep(What::Runs, &last(&path), bytes, why),
            None => runs.push((path, bytes)),
        }
    }
    take_all(collector, found, over, What::Runs, &runs)?;
    let mut homes = Vec::new();
    for (path, bytes) in on_disk.homes {
        if collector.in_use.is_used(&path) {
            found.keep_with_others(What::Homes, bytes, "a follow-up goes on in it");
        } else {
            homes.push((path, bytes));
        }
    }
    take_all(collector, found, over, What::Homes, &homes)
}

/// Asks before each folder whether the task is the same. The rows of a run go after its folder:
/// one that stays keeps them.
fn take_all(
    collector: &Collector<'_>,
    found: &mut Found,
    over: &Over<'_>,
    what: What,
    paths: &[(PathBuf, u64)],
) -> Result<(), StoreError> {
    let mut went = None;
    for (path, bytes) in paths {
        if !(over.is_same)()? {
            found.keep_with_others(what, *bytes, MEANWHILE);
            continue;
        }
        if what == What::Runs && !found.dry_run {
            // Written down before they go: who looks for them later is told.
            collector.store.collect(over.name, &last(path), collector.now, over.why)?;
        }
        *went.get_or_insert(0) += found.take(path, *bytes);
        if what == What::Runs && !path.exists() {
            let forget = || collector.store.forget_segments(&last(path));
            between(collector.point, "SegmentsForgotten", forget)?;
        }
    }
    if let Some(bytes) = went {
        found.went(what, over.name, bytes, over.why.to_owned());
    }
    Ok(())
}

fn keep_all(found: &mut Found, on_disk: &OnDisk, why: &'static str) {
    for (_, bytes) in &on_disk.runs {
        found.keep_with_others(What::Runs, *bytes, why);
    }
    for (_, bytes) in &on_disk.homes {
        found.keep_with_others(What::Homes, *bytes, why);
    }
}

fn discard(
    collector: &Collector<'_>,
    found: &mut Found,
    (name, ended): (&str, Time),
    on_disk: OnDisk,
    why: &str,
) -> Result<(), StoreError> {
    let events = match collector.store.events(name, 0) {
        Ok(events) => events,
        Err(error @ StoreError::Row { .. }) => {
            let why = format!("it is not known what was saved of it: {error}");
            found.keep(What::Runs, name, on_disk.bytes(), why);
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let unsaved = unsaved(&events);
    let over = Over {
        name,
        unsaved: &|run| unsaved.get(run).cloned(),
        is_same: &|| Ok(collector.store.ended(name)? == Some(Some(ended))),
        why,
    };
    discard_saved(collector, found, &over, on_disk)
}

/// Everything below `runs` and `homes`, by task.
fn survey(collector: &Collector<'_>) -> BTreeMap<String, OnDisk> {
    let root = collector.folder.root();
    let mut tasks: BTreeMap<String, OnDisk> = BTreeMap::new();
    for path in folders_in(&root.join("runs")).unwrap_or_default() {
        let bytes = size(&path, 0);
        let run = last(&path);
        let task = task_of(&run).unwrap_or(&run).to_owned();
        tasks.entry(task).or_default().runs.push((path, bytes));
    }
    for path in folders_in(&root.join("homes")).unwrap_or_default() {
        let bytes = size(&path, 0);
        tasks.entry(last(&path)).or_default().homes.push((path, bytes));
    }
    tasks
}
