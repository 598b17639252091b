//! Clean-up beside the work: after each event what it made removable, now and then what is
//! shared and above its cap.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use midwatch_core::event::{Event, RunResult};
use midwatch_core::id::RunName;
use midwatch_core::ports::ActOnLand;
use midwatch_engine::Change;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::missed::sweep_workspaces;
use super::{Fault, Server};
use crate::access::Access;
use crate::bases;
use crate::launcher::process;
use crate::sweep::{Removable, SHARED_CAP, removable, remove, sweep_layers, trim};

/// How long clean-up waits for what a killed runner left to be gone.
const DYING: Duration = Duration::from_secs(5);
/// Between two looks for it: not every kernel tells that a group is empty.
const DYING_PACE: Duration = Duration::from_millis(20);

/// How far the clean-up has come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cleaned {
    /// What a server before this one left is gone.
    swept: bool,
    /// How many of the engine's changes it has seen.
    pub(super) changes: u64,
}

impl<A: Access, L: ActOnLand> Server<A, L> {
    /// Waits until nothing is left to be cleaned up. The server has to be driven meanwhile.
    pub async fn cleaned_up(&self) {
        let mut cleaned = self.cleaned.subscribe();
        let seen_all = |cleaned: &Cleaned| {
            // Whoever stores something holds the tasks until it is told: this waits for that.
            self.engine.open();
            cleaned.swept && cleaned.changes == self.engine.told()
        };
        // Its sender is ours.
        let _ = cleaned.wait_for(seen_all).await;
    }

    /// Follows everything that is stored. What it misses when it lags is left to the next start.
    pub(super) async fn clean_up(&self, mut changes: broadcast::Receiver<Change>) -> Fault {
        self.sweep().await;
        self.cleaned.send_modify(|cleaned| cleaned.swept = true);
        loop {
            let passed = match changes.recv().await {
                Ok(change) => {
                    self.clean_after(change).await;
                    1
                }
                Err(RecvError::Lagged(missed)) => missed,
                Err(RecvError::Closed) => return std::future::pending().await,
            };
            self.cleaned.send_modify(|cleaned| cleaned.changes += passed);
        }
    }

    /// Layers of tasks that are over, and workspaces whose work is in the mirror: a server may
    /// have died before it removed them.
    async fn sweep(&self) {
        self.forget_strays();
        let (folder, used, store) = (self.folder.clone(), self.used(), Arc::clone(&self.store));
        let sweep_groups = self.settings.sweep_groups;
        let done = tokio::task::spawn_blocking(move || {
            // Those that are left now go with the next run.
            let _ = sweep_groups();
            sweep_layers(&folder, &used);
            sweep_workspaces(&folder, &store);
        });
        if let Err(error) = done.await {
            tracing::error!(%error, "the sweep ended");
        }
    }

    async fn clean_after(&self, change: Change) {
        let Change { before, stored } = change;
        let task = before.spec.name.clone();
        if let Event::RunEnded { run, .. } = &stored.event {
            self.forget_groups(run).await;
        }
        let over = matches!(stored.event, Event::Ended(_));
        if over {
            self.forget_credential(task.as_str());
        }
        let gone = removable(&before, &stored.event);
        let grown = matches!(
            &stored.event,
            Event::RunEnded { result: RunResult::BaseReady | RunResult::DepsReady { .. }, .. }
        );
        if gone == Removable::Nothing && !grown && !over {
            return;
        }
        let folder = self.folder.clone();
        let used = grown.then(|| self.used());
        let done = tokio::task::spawn_blocking(move || {
            remove(&folder, &task, &gone);
            if over && let Err(error) = bases::make_durable(&folder) {
                // They count until the machine ends, and are made again after that.
                tracing::warn!(%error, "bases could not be brought to the disk");
            }
            used.map_or(Ok(0), |used| trim(&folder, &used, SHARED_CAP))
        });
        match done.await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "could not keep to the cap"),
            Err(error) => tracing::error!(%error, "clean-up ended"),
        }
    }

    /// A runner that was killed could not remove its groups, and what is in them may take a
    /// moment to die.
    async fn forget_groups(&self, run: &RunName) {
        let folder = self.folder.run(run.as_str());
        let Some(runner) = process::unreported(&folder) else { return };
        let began = Instant::now();
        while (self.settings.sweep_groups)().contains(&runner) {
            if began.elapsed() > DYING {
                tracing::warn!(%run, "run.dies_slowly: its groups go with the next run");
                return;
            }
            tokio::time::sleep(DYING_PACE).await;
        }
    }

    /// Bases, layers and HOMEs that an open task was given.
    pub(super) fn used(&self) -> BTreeSet<PathBuf> {
        let mut used = BTreeSet::new();
        for task in self.engine.open_tasks() {
            let identity = &task.spec.repository;
            used.insert(self.folder.base(identity, task.spec.base.as_str()));
            used.insert(self.folder.homes(task.spec.first_of_chain().as_str()));
            used.extend(task.deps.values().map(|deps| self.folder.deps(&deps.layer)));
        }
        used
    }
}
