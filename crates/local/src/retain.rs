//! Retention: what of tasks that are over may go, by age and by a cap on disk; never what exists
//! nowhere else.
//!
//! What goes is renamed into the trash first, in one step, and removed from there: a crash in
//! between leaves nothing half there, and what cannot be removed is tried again next time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use midwatch_api::gc::{Busy, CollectOrder, Collection, Gone, Kept, What};
use midwatch_api::view::LINE_VERSION;
use midwatch_core::time::Time;

use crate::folder::StateFolder;
use crate::point::Point;
use crate::store::{SqliteStore, StoreError};

mod deleted;
mod saved;
mod shared;
mod tasks;
mod trash;
mod unsaved;

pub use saved::{SavedBundle, SavedRef, SavedWork};
pub use trash::Trash;
pub(crate) use unsaved::{LAYERS, Unsaved, holds, unsaved};

/// What is kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Everything of tasks that ended less than this ago, as far as the cap allows.
    pub age: Duration,
    /// Bytes of run folders and HOMEs of tasks that are over.
    pub runs_cap: u64,
    /// Bases and layers that were used less than this ago, as far as their cap allows.
    pub shared_age: Duration,
    /// Bytes of bases and layers.
    pub shared_cap: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            // Long enough for a fortnight's holiday.
            age: Duration::from_hours(16 * 24),
            runs_cap: 10 << 30,
            shared_age: Duration::from_hours(30 * 24),
            shared_cap: crate::sweep::SHARED_CAP,
        }
    }
}

impl Policy {
    /// With the bounds that somebody gave. An age of theirs counts for all that has one.
    #[must_use]
    pub fn with(mut self, order: &CollectOrder) -> Self {
        if let Some(seconds) = order.age_seconds {
            self.age = Duration::from_secs(seconds);
            self.shared_age = self.age;
        }
        if let Some(bytes) = order.cap_bytes {
            self.runs_cap = bytes;
            self.shared_cap = bytes;
        }
        self
    }
}

/// What tells a collector of the tasks that are not over. Asked again before something shared
/// goes, because a task may have begun to use it.
pub trait InUse {
    /// Whether a base, a layer or a task's HOMEs are used.
    fn is_used(&self, path: &Path) -> bool;
    /// The sockets' folders of runs that are open.
    fn doors(&self) -> Vec<PathBuf>;
}

/// Collects what is no longer needed.
pub struct Collector<'a> {
    /// Where everything is.
    pub folder: &'a StateFolder,
    /// What is known.
    pub store: &'a SqliteStore,
    /// What is used.
    pub in_use: &'a dyn InUse,
    /// Refs that save work; none leaves them alone.
    pub saved: Option<&'a dyn SavedWork>,
    /// What is kept.
    pub policy: Policy,
    /// Now.
    pub now: Time,
    /// Told before and after everything that goes.
    pub point: Point,
}

impl Collector<'_> {
    /// Collects, or only says what would go. Ends early with what SQLite says; what went until
    /// then is gone.
    pub fn collect(&self, dry_run: bool) -> Result<Collection, StoreError> {
        let mut found = Found::new(self, dry_run);
        found.left_over();
        tasks::collect(self, &mut found)?;
        shared::collect(self, &mut found);
        saved::collect(self, &mut found)?;
        if !dry_run {
            deleted::free_names(self)?;
        }
        Ok(found.told())
    }

    /// Milliseconds since 1970 before which something is old.
    fn before(&self, age: Duration) -> Time {
        let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        Time(self.now.0.saturating_sub(age))
    }
}

/// The last part of a path, for people.
fn last(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What was found up to now, and the trash.
struct Found {
    dry_run: bool,
    trash: Trash,
    gone: Vec<Gone>,
    named: Vec<Kept>,
    others: BTreeMap<(What, &'static str), (u64, u64)>,
    busy: Vec<Busy>,
}

impl Found {
    fn new(collector: &Collector<'_>, dry_run: bool) -> Self {
        Self {
            dry_run,
            trash: Trash::of(collector.folder, collector.point),
            gone: vec![],
            named: vec![],
            others: BTreeMap::new(),
            busy: vec![],
        }
    }

    /// What earlier clean-ups could not remove.
    fn left_over(&mut self) {
        for path in self.trash.entries() {
            let (name, bytes) = (last(&path), crate::sweep::size(&path, 0));
            if !self.dry_run
                && let Err(error) = crate::sweep::remove_tree(&path)
            {
                self.is_busy(&path, &error);
                continue;
            }
            let why = "an earlier clean-up could not remove it".to_owned();
            self.gone.push(Gone { what: What::Trash, name, bytes, why });
        }
    }

    /// Removes paths that belong together; what cannot be removed is told.
    fn discard(&mut self, what: What, name: &str, paths: &[(PathBuf, u64)], why: String) {
        let bytes = paths.iter().map(|(path, bytes)| self.take(path, *bytes)).sum();
        if !paths.is_empty() {
            self.went(what, name, bytes, why);
        }
    }

    /// Removes a path, and answers how many bytes went: none where it cannot be removed.
    fn take(&mut self, path: &Path, bytes: u64) -> u64 {
        if !self.dry_run
            && let Err(error) = self.trash.take(path)
        {
            self.is_busy(path, &error);
            return 0;
        }
        bytes
    }

    fn went(&mut self, what: What, name: &str, bytes: u64, why: String) {
        self.gone.push(Gone { what, name: name.to_owned(), bytes, why });
    }

    /// Something that stays for a reason of its own.
    fn keep(&mut self, what: What, name: &str, bytes: u64, why: String) {
        self.named.push(Kept { what, name: Some(name.to_owned()), count: 1, bytes, why });
    }

    /// Something that stays for a reason that it shares with many.
    fn keep_with_others(&mut self, what: What, bytes: u64, why: &'static str) {
        let (count, total) = self.others.entry((what, why)).or_default();
        *count += 1;
        *total += bytes;
    }

    fn is_busy(&mut self, path: &Path, error: &std::io::Error) {
        tracing::warn!(path = %path.display(), %error, "gc.busy");
        self.busy.push(Busy { path: path.display().to_string(), error: error.to_string() });
    }

    fn told(self) -> Collection {
        let mut kept = self.named;
        kept.extend(self.others.into_iter().map(|((what, why), (count, bytes))| Kept {
            what,
            name: None,
            count,
            bytes,
            why: why.to_owned(),
        }));
        Collection {
            kind: "gc".into(),
            version: LINE_VERSION,
            dry_run: self.dry_run,
            freed_bytes: self.gone.iter().map(|gone| gone.bytes).sum(),
            kept_bytes: kept.iter().map(|kept| kept.bytes).sum(),
            gone: self.gone,
            kept,
            busy: self.busy,
        }
    }
}
