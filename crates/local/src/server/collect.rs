//! Collecting what is no longer needed: when somebody asks, and by itself at quiet times.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, TryLockError};
use std::time::Duration;

use midwatch_api::brief::Brief;
use midwatch_api::control::Refusal;
use midwatch_api::gc::{CollectOrder, Collection};
use midwatch_core::admit::Waiting;
use midwatch_core::ports::{ActOnLand, Clock as _};
use midwatch_core::task::Task;
use midwatch_core::time::Time;

use super::refusal::{internal, stored};
use super::{Fault, Server};
use crate::access::Access;
use crate::brief::rest;
use crate::launcher::SystemClock;
use crate::point::{Point, between};
use crate::retain::{Collector, InUse};
use crate::store::Mark;

/// How often it is looked whether it is quiet: within the time that an idle server stays.
const LOOK: Duration = Duration::from_secs(5);
/// Between two collections in quiet times.
const QUIET: i64 = 6 * 60 * 60 * 1000;
/// Between two collections where it is never quiet.
const BUSY: i64 = 24 * 60 * 60 * 1000;

impl<A: Access, L: ActOnLand> Server<A, L> {
    /// Collects, or says what would go. Walks over everything on disk: not for the thread that
    /// answers others.
    pub fn collect(&self, order: &CollectOrder) -> Result<Collection, Refusal> {
        self.collect_past(order, self.settings.point)
    }

    fn collect_past(&self, order: &CollectOrder, point: Point) -> Result<Collection, Refusal> {
        let _collecting = match self.collecting.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(Refusal {
                    message: "another clean-up is going on".into(),
                    hint: Some("wait for its end".into()),
                    exit: 1,
                });
            }
        };
        let collector = Collector {
            folder: &self.folder,
            store: &self.store,
            in_use: self,
            saved: self.settings.saved.as_deref(),
            policy: self.settings.retention.with(order),
            now: SystemClock.now(),
            point,
        };
        let collection = collector.collect(order.dry_run).map_err(|e| stored(&e))?;
        if !order.dry_run {
            let mark = || self.store.mark(Mark::Collected, collector.now);
            between(point, "Collected", mark).map_err(|e| stored(&e))?;
        }
        Ok(collection)
    }

    /// Collects now and then, when nothing runs. Never ends.
    pub(super) async fn tidy(server: &Arc<Self>) -> Fault {
        loop {
            tokio::time::sleep(LOOK).await;
            if !server.is_due() {
                continue;
            }
            let one = Arc::clone(server);
            // At a moment of chance: who learns the points of orders is not to meet it.
            let collect = move || one.collect_past(&CollectOrder::default(), midwatch_engine::pass);
            let done = tokio::task::spawn_blocking(collect);
            match done.await {
                Ok(Ok(done)) => tracing::info!(
                    freed_bytes = done.freed_bytes,
                    gone = done.gone.len(),
                    busy = done.busy.len(),
                    "gc.done"
                ),
                Ok(Err(refusal)) => tracing::warn!(error = refusal.message, "gc.refused"),
                Err(error) => tracing::error!(%error, "gc.ended"),
            }
        }
    }

    fn is_due(&self) -> bool {
        let since = match self.store.marked(Mark::Collected) {
            Ok(Some(last)) => SystemClock.now().0.saturating_sub(last.0),
            Ok(None) => i64::MAX,
            Err(_) => return false,
        };
        // A clock that was set back is no reason to wait for it.
        let since = if since < 0 { i64::MAX } else { since };
        since > QUIET && (self.engine.busy() == 0 || since > BUSY)
    }

    /// What happened since a time, or since somebody looked last.
    pub fn brief(&self, since: Option<Time>) -> Result<Brief, Refusal> {
        let since = if let Some(since) = since {
            since
        } else {
            let last = self.store.marked(Mark::BriefRead).map_err(|e| internal(&e))?;
            last.unwrap_or_default()
        };
        let brief = crate::brief::brief(&self.store, since, SystemClock.now());
        let mut brief = brief.map_err(|e| internal(&e))?;
        for (task, Waiting { reason, detail, .. }) in self.engine.waiting() {
            rest(&mut brief.resting, task.as_str(), reason.as_str(), &detail, None);
        }
        brief.resting.sort_by_key(|group| std::cmp::Reverse(group.count));
        let Brief { done, failed, cancelled, waiting, .. } = &mut brief;
        for task in [done, failed, cancelled, waiting].into_iter().flatten() {
            crate::view::place(&mut task.result, &self.folder);
        }
        Ok(brief)
    }

    /// Somebody has read a brief up to that time.
    pub fn brief_was_read(&self, until: Time) -> Result<(), Refusal> {
        let now = SystemClock.now();
        self.store.mark(Mark::BriefRead, until.min(now)).map_err(|e| stored(&e))
    }
}

impl<A: Access, L: ActOnLand> InUse for Server<A, L> {
    fn is_used(&self, path: &Path) -> bool {
        let used: BTreeSet<PathBuf> = self.used();
        used.contains(path)
    }

    fn doors(&self) -> Vec<PathBuf> {
        let tasks = self.engine.open_tasks();
        let runs = tasks.iter().flat_map(Task::open_runs);
        runs.map(|order| self.folder.door(order.run.as_str())).collect()
    }
}
