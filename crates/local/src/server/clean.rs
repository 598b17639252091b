//! Clean-up beside the work: after each event what it made removable, now and then what is
//! shared and above its cap.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use midwatch_core::event::{Event, RunResult};
use midwatch_core::ports::ActOnLand;
use midwatch_engine::Change;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::missed::sweep_workspaces;
use super::{Fault, Server};
use crate::access::Access;
use crate::bases;
use crate::sweep::{Removable, SHARED_CAP, removable, remove, sweep_layers, trim};

impl<A: Access, L: ActOnLand> Server<A, L> {
    /// Follows everything that is stored. What it misses when it lags is left to the next start.
    pub(super) async fn clean_up(&self, mut changes: broadcast::Receiver<Change>) -> Fault {
        self.sweep().await;
        loop {
            let passed = match changes.recv().await {
                Ok(change) => {
                    self.clean_after(change).await;
                    1
                }
                Err(RecvError::Lagged(missed)) => missed,
                Err(RecvError::Closed) => return std::future::pending().await,
            };
            self.cleaned.fetch_add(passed, Ordering::SeqCst);
        }
    }

    /// Layers of tasks that are over, and workspaces whose work is in the mirror: a server may
    /// have died before it removed them.
    async fn sweep(&self) {
        self.forget_strays();
        let (folder, used, store) = (self.folder.clone(), self.used(), Arc::clone(&self.store));
        let done = tokio::task::spawn_blocking(move || {
            sweep_layers(&folder, &used);
            sweep_workspaces(&folder, &store);
        });
        if let Err(error) = done.await {
            tracing::error!(%error, "the sweep ended");
        }
    }

    async fn clean_after(&self, change: Change) {
        if matches!(change.stored.event, Event::Ended(_)) {
            self.forget_credential(change.before.spec.name.as_str());
        }
        let gone = removable(&change.before, &change.stored.event);
        let grown = matches!(
            &change.stored.event,
            Event::RunEnded { result: RunResult::BaseReady | RunResult::DepsReady { .. }, .. }
        );
        let over = matches!(&change.stored.event, Event::Ended(_));
        if gone == Removable::Nothing && !grown && !over {
            return;
        }
        let folder = self.folder.clone();
        let used = self.used();
        let task = change.before.spec.name.clone();
        let done = tokio::task::spawn_blocking(move || {
            remove(&folder, &task, &gone);
            if over && let Err(error) = bases::make_durable(&folder) {
                // They count until the machine ends, and are made again after that.
                tracing::warn!(%error, "bases could not be brought to the disk");
            }
            if grown { trim(&folder, &used, SHARED_CAP).map(drop) } else { Ok(()) }
        });
        match done.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "could not keep to the cap"),
            Err(error) => tracing::error!(%error, "clean-up ended"),
        }
    }

    /// What was handed over goes with the last open task that names it.
    fn forget_credential(&self, ended: &str) {
        let ids = self.kept_of(ended);
        if ids.is_empty() {
            return;
        }
        // Against a task that is being submitted with the same key just now.
        let _keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        self.forget_unnamed(ids);
    }

    /// What no open task names: a server may have died before it was removed.
    fn forget_strays(&self) {
        let _keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(entries) = std::fs::read_dir(self.folder.credential("")) else { return };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        self.forget_unnamed(names.collect());
    }

    fn kept_of(&self, name: &str) -> BTreeSet<String> {
        match self.store.row(name) {
            Ok(Some(row)) => row.order.kept_ids().map(ToOwned::to_owned).collect(),
            Ok(None) | Err(_) => BTreeSet::new(),
        }
    }

    /// Removes what no open task names. Whoever calls this holds the lock on keeping.
    pub(super) fn forget_unnamed(&self, mut ids: BTreeSet<String>) {
        for task in self.engine.open_tasks() {
            for named in self.kept_of(task.spec.name.as_str()) {
                ids.remove(&named);
            }
        }
        for id in ids {
            if let Err(error) = std::fs::remove_file(self.folder.credential(&id))
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(%error, "a credential that nobody needs could not be removed");
            }
        }
    }

    /// Bases and layers that an open task was given.
    pub(super) fn used(&self) -> BTreeSet<PathBuf> {
        let mut used = BTreeSet::new();
        for task in self.engine.open_tasks() {
            let identity = &task.spec.repository;
            used.insert(self.folder.base(identity, task.spec.base.as_str()));
            used.extend(task.deps.values().map(|deps| self.folder.deps(&deps.layer)));
        }
        used
    }
}
