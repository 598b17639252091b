//! The store as the engine's port, shared with those who only read.

use std::sync::Arc;

use midwatch_core::event::Event;
use midwatch_core::id::TaskName;
use midwatch_core::ports::{OpenTask, Store, Stored};
use midwatch_core::time::Time;

use crate::store::{SqliteStore, StoreError};

/// A handle on the one connection.
#[derive(Debug, Clone)]
pub(super) struct SharedStore(pub(super) Arc<SqliteStore>);

impl Store for SharedStore {
    type Error = StoreError;

    fn open_tasks(&self) -> Result<Vec<OpenTask>, StoreError> {
        self.0.open_tasks()
    }

    fn append(
        &self,
        task: &TaskName,
        after: u64,
        events: &[Event],
        now: Time,
    ) -> Result<Vec<Stored>, StoreError> {
        self.0.append(task, after, events, now)
    }
}
