//! Clean-up beside the work: after each event what it made removable, now and then what is
//! shared and above its cap.

use std::collections::BTreeSet;
use std::path::PathBuf;

use midwatch_core::event::{Event, RunResult};
use midwatch_core::ports::ActOnLand;
use tokio::sync::broadcast::error::RecvError;

use super::{Fault, Server};
use crate::access::Access;
use crate::sweep::{Removable, SHARED_CAP, removable, remove, trim};

impl<A: Access, L: ActOnLand> Server<A, L> {
    /// Follows everything that is stored. What it misses when it lags is left to `gc`.
    pub(super) async fn clean_up(&self) -> Fault {
        let mut changes = self.engine.changes();
        loop {
            let change = match changes.recv().await {
                Ok(change) => change,
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return std::future::pending().await,
            };
            let gone = removable(&change.before, &change.stored.event);
            let grown = matches!(
                &change.stored.event,
                Event::RunEnded { result: RunResult::BaseReady | RunResult::DepsReady { .. }, .. }
            );
            if gone == Removable::Nothing && !grown {
                continue;
            }
            let folder = self.folder.clone();
            let used = self.used();
            let task = change.before.spec.name.clone();
            let done = tokio::task::spawn_blocking(move || {
                remove(&folder, &task, &gone);
                if grown { trim(&folder, &used, SHARED_CAP).map(drop) } else { Ok(()) }
            });
            match done.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "could not keep to the cap"),
                Err(error) => tracing::error!(%error, "clean-up ended"),
            }
        }
    }

    /// Bases and layers that an open task was given.
    fn used(&self) -> BTreeSet<PathBuf> {
        let mut used = BTreeSet::new();
        for task in self.engine.open_tasks() {
            let identity = &task.spec.repository;
            used.insert(self.folder.base(identity, task.spec.base.as_str()));
            used.extend(task.deps.values().map(|deps| self.folder.deps(&deps.layer)));
        }
        used
    }
}
