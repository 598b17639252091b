//! What tasks share: bases, layers of dependencies, sockets, what checks said of bases.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use midwatch_api::gc::{Gone, What};

use super::{Collector, Found, last};
use crate::bases;
use crate::sweep::{folders_in, size};

/// What checks said of a base is believed for that long, used or not.
const CHECKS_AGE: Duration = Duration::from_hours(90 * 24);

const IN_USE: &str = "a task that is not over uses it";
const YOUNG: &str = "it was used not long ago, and there is room";

struct Shared {
    what: What,
    path: PathBuf,
    name: String,
    bytes: u64,
    used: SystemTime,
}

pub(super) fn collect(collector: &Collector<'_>, found: &mut Found) {
    doors(collector, found);
    checks(collector, found);
    let mut shared = survey(collector);
    shared.sort_by_key(|shared| shared.used);
    let mut total: u64 = shared.iter().map(|shared| shared.bytes).sum();
    for one in shared {
        let unused = one.used.elapsed().unwrap_or_default();
        let why = if unused > collector.policy.shared_age {
            "nobody used it for long"
        } else if total > collector.policy.shared_cap {
            "it is the least recently used above the cap"
        } else {
            found.keep_with_others(one.what, one.bytes, YOUNG);
            continue;
        };
        if discard(collector, found, &one, why) {
            total = total.saturating_sub(one.bytes);
        }
    }
}

/// Removes something shared, unless a task uses it: asked before it goes out of sight, and again
/// after that, because a task may have found it in between.
fn discard(collector: &Collector<'_>, found: &mut Found, one: &Shared, why: &str) -> bool {
    if collector.in_use.is_used(&one.path) {
        found.keep_with_others(one.what, one.bytes, IN_USE);
        return false;
    }
    if found.dry_run {
        found.discard(one.what, &one.name, &[(one.path.clone(), one.bytes)], why.to_owned());
        return true;
    }
    // Before it goes: where a server dies in between, nothing would remove it any more. A base that
    // stays after all counts for this boot, until a task's end brings it to the disk again.
    if let Err(error) = bases::forget(&one.path) {
        // Of a base that is made again in its place it is not true, and so counts for nothing.
        tracing::warn!(path = %one.path.display(), %error, "the mark of a base is left");
    }
    let there = match found.trash.put_in(&one.path) {
        Ok(there) => there,
        Err(error) => {
            found.is_busy(&one.path, &error);
            return false;
        }
    };
    if collector.in_use.is_used(&one.path) && std::fs::rename(&there, &one.path).is_ok() {
        found.keep_with_others(one.what, one.bytes, IN_USE);
        return false;
    }
    found.discard(one.what, &one.name, &[(there, one.bytes)], why.to_owned());
    true
}

fn survey(collector: &Collector<'_>) -> Vec<Shared> {
    let root = collector.folder.root();
    let mut shared = Vec::new();
    let mut add = |what: What, path: PathBuf| {
        if let Ok(used) = std::fs::metadata(&path).and_then(|metadata| metadata.modified()) {
            let (name, bytes) = (last(&path), size(&path, 0));
            shared.push(Shared { what, path, name, bytes, used });
        }
    };
    for base in bases::all(collector.folder).unwrap_or_default() {
        add(What::Base, base);
    }
    for layer in folders_in(&root.join("deps")).unwrap_or_default() {
        add(What::Deps, layer);
    }
    shared
}

/// Sockets of runs that are over. Listed before the open runs are asked for.
fn doors(collector: &Collector<'_>, found: &mut Found) {
    let doors = folders_in(&collector.folder.root().join("doors")).unwrap_or_default();
    let open = collector.in_use.doors();
    for door in doors.into_iter().filter(|door| !open.contains(door)) {
        let (name, bytes) = (last(&door), size(&door, 0));
        found.discard(What::Door, &name, &[(door, bytes)], "its run is over".to_owned());
    }
}

fn checks(collector: &Collector<'_>, found: &mut Found) {
    if found.dry_run {
        return;
    }
    match collector.store.forget_checks(collector.before(CHECKS_AGE)) {
        Ok(0) => {}
        Ok(count) => {
            let (name, why) = (format!("{count} results"), "they are old".to_owned());
            found.gone.push(Gone { what: What::Checks, name, bytes: 0, why });
        }
        Err(error) => tracing::warn!(%error, "old results of checks could not be forgotten"),
    }
}
