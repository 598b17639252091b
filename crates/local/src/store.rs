//! The store: SQLite, one writer, events appended, nothing changed but by appending.
//!
//! Beside its events each task has a summary, written in the same transaction: lists and views
//! are read from it, so nothing that is over is folded again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use midwatch_api::event::EventRow;
use midwatch_api::task::TaskOrder;
use midwatch_core::event::Event;
use midwatch_core::id::TaskName;
use midwatch_core::ports::{OpenTask, Store, Stored};
use midwatch_core::time::Time;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use crate::launcher::SystemClock;

mod collected;
mod copies;
mod deleted;
mod error;
mod listing;
mod marks;
mod objects;
mod schema;
mod segments;
mod strays;
mod summary;

pub use copies::{Copies, KEPT as COPIES_KEPT};
pub use deleted::Remains;
pub use error::{StoreError, Stuck};
pub use listing::{Cursor, Ended, Page};
pub use marks::Mark;
pub use objects::{Listed, ObjectRow, Unstored};
pub use schema::VERSION;
pub use strays::strays_beside;

use summary::Folded;

/// Folded tasks that are kept for their next event. Beyond that all are let go and folded again
/// when they are needed: a hundred events take a millisecond.
const FOLDED_KEPT: usize = 256;

/// A task's row.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskRow {
    /// The name.
    pub name: String,
    /// The order.
    pub order: TaskOrder,
    /// When it was submitted.
    pub submitted: Time,
    /// When it ended.
    pub ended: Option<Time>,
}

/// The one connection.
#[derive(Debug)]
pub struct SqliteStore {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    connection: Connection,
    /// Open tasks as they are after their last stored event.
    folded: BTreeMap<String, Folded>,
}

impl SqliteStore {
    /// Opens or makes a database: checks it, brings it to this version, and repairs summaries
    /// that do not belong to their events. A database that is damaged, of a newer version or
    /// missing beside the runs it knew is refused, and left as it is.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = schema::open(path)?;
        let newest: Option<i64> =
            connection.query_row("SELECT max(changed) FROM summary", [], |row| row.get(0))?;
        SystemClock.not_before(Time(newest.unwrap_or_default()));
        Ok(Self { inner: Mutex::new(Inner { connection, folded: BTreeMap::new() }) })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Every change is one transaction: a panic in between rolled it back, and what was
        // folded for it was taken out before.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a new task; false when the name is taken.
    pub fn insert(&self, name: &str, order: &TaskOrder, now: Time) -> Result<bool, StoreError> {
        let mut inner = self.inner();
        let transaction =
            inner.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let inserted = insert(&transaction, name, order, now)?;
        transaction.commit()?;
        Ok(inserted)
    }

    /// One task's row.
    pub fn row(&self, name: &str) -> Result<Option<TaskRow>, StoreError> {
        row(&self.inner().connection, name)
    }

    /// When a task ended: none where there is no such task, some none where it is not over.
    pub fn ended(&self, name: &str) -> Result<Option<Option<Time>>, StoreError> {
        let inner = self.inner();
        let mut statement =
            inner.connection.prepare_cached("SELECT ended FROM task WHERE name = ?1")?;
        let found = statement.query_row([name], |row| row.get::<_, Option<i64>>(0)).optional()?;
        Ok(found.map(|ended| ended.map(Time)))
    }

    /// A task's events after a place, oldest first.
    pub fn events(&self, name: &str, after: u64) -> Result<Vec<Stored>, StoreError> {
        events(&self.inner().connection, name, after)
    }

    /// What a check said of a base before, if it was kept under this key.
    pub fn cached_check(&self, key: &str) -> Result<Option<Event>, StoreError> {
        let json: Option<String> = self
            .inner()
            .connection
            .query_row("SELECT event FROM base_check WHERE key = ?1", [key], |row| row.get(0))
            .optional()?;
        let row: Option<EventRow> = json
            .map(|json| serde_json::from_str(&json).map_err(|e| row_error(key, 0, &e)))
            .transpose()?;
        Ok(row.map(|row| row.0))
    }

    /// Keeps what a check said of a base.
    pub fn cache_check(&self, key: &str, event: &Event, now: Time) -> Result<(), StoreError> {
        let json =
            serde_json::to_string(&EventRow(event.clone())).map_err(|e| row_error(key, 0, &e))?;
        self.inner().connection.execute(
            "INSERT OR REPLACE INTO base_check (key, event, at) VALUES (?1, ?2, ?3)",
            params![key, json, now.0],
        )?;
        Ok(())
    }

    /// Forgets what checks said of bases before a time. Returns how many were forgotten.
    pub fn forget_checks(&self, before: Time) -> Result<usize, StoreError> {
        let forgotten =
            self.inner().connection.execute("DELETE FROM base_check WHERE at < ?1", [before.0])?;
        Ok(forgotten)
    }
}

impl Store for SqliteStore {
    type Error = StoreError;

    /// Tasks whose stored rows cannot be read are left out and told of: the others go on. Damage in
    /// the middle of a log is found here first: its summary looked right.
    fn open_tasks(&self) -> Result<Vec<OpenTask>, StoreError> {
        let inner = self.inner();
        let mut statement = inner
            .connection
            .prepare("SELECT name FROM task WHERE ended IS NULL ORDER BY submitted, rowid")?;
        let names = statement.query_map([], |row| row.get(0))?;
        let names: Vec<String> = names.collect::<Result<_, _>>()?;
        let mut tasks = Vec::with_capacity(names.len());
        for name in names {
            match open_task(&inner.connection, &name) {
                Ok(task) => tasks.push(task),
                Err(error @ (StoreError::Row { .. } | StoreError::Fold { .. })) => {
                    tracing::error!(task = name, %error, "an open task cannot be read: it rests");
                    if let Err(error) = summary::damaged(&inner.connection, &name, &error) {
                        tracing::warn!(task = name, %error, "its summary is of before the damage");
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(tasks)
    }

    fn append(
        &self,
        task: &TaskName,
        after: u64,
        events: &[Event],
        now: Time,
    ) -> Result<Vec<Stored>, StoreError> {
        let name = task.as_str();
        let mut inner = self.inner();
        let kept = inner.folded.remove(name).filter(|folded| folded.seq == after);
        let transaction =
            inner.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (last, last_at): (i64, i64) = transaction.query_row(
            "SELECT coalesce(max(seq), 0), coalesce(max(at), 0) FROM event WHERE task = ?1",
            [name],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        if last != to_sql(after) {
            return Err(StoreError::Raced { task: task.to_string() });
        }
        // The log's times never go back, whatever the clock does.
        let at = Time(now.0.max(last_at));
        let mut stored = Vec::with_capacity(events.len());
        for (event, seq) in events.iter().zip(after + 1..) {
            let json = serde_json::to_string(&EventRow(event.clone()))
                .map_err(|e| row_error(name, seq, &e))?;
            transaction.execute(
                "INSERT INTO event (task, seq, at, event) VALUES (?1, ?2, ?3, ?4)",
                params![name, to_sql(seq), at.0, json],
            )?;
            if matches!(event, Event::Ended(_)) {
                transaction
                    .execute("UPDATE task SET ended = ?2 WHERE name = ?1", params![name, at.0])?;
            }
            stored.push(Stored { seq, at, event: event.clone() });
        }
        let folded = summary::after(&transaction, name, kept, &stored)?;
        transaction.commit()?;
        if let Some(folded) = folded.filter(|folded| !folded.task.state.is_terminal()) {
            if inner.folded.len() >= FOLDED_KEPT {
                inner.folded.clear();
            }
            inner.folded.insert(name.to_owned(), folded);
        }
        Ok(stored)
    }
}

/// Stores a new task with its summary; false when the name is taken.
fn insert(
    transaction: &Connection,
    name: &str,
    order: &TaskOrder,
    now: Time,
) -> Result<bool, StoreError> {
    let json = serde_json::to_string(order).map_err(|e| row_error(name, 0, &e))?;
    let inserted = transaction.execute(
        "INSERT INTO task (name, task_order, submitted) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        params![name, json, now.0],
    )?;
    if inserted == 1 {
        let row =
            TaskRow { name: name.to_owned(), order: order.clone(), submitted: now, ended: None };
        summary::write(transaction, &Folded::new(row)?)?;
    }
    Ok(inserted == 1)
}

fn open_task(connection: &Connection, name: &str) -> Result<OpenTask, StoreError> {
    let Some(row) = row(connection, name)? else {
        return Err(row_error(name, 0, &"there is no such task"));
    };
    let submitted = row.submitted;
    let mut folded = Folded::new(row)?;
    let log = events(connection, name, 0)?;
    for stored in &log {
        folded.take(stored)?;
    }
    Ok(OpenTask { spec: folded.task.spec, submitted, log })
}

fn row(connection: &Connection, name: &str) -> Result<Option<TaskRow>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT name, task_order, submitted, ended FROM task WHERE name = ?1")?;
    let found = statement
        .query_row([name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    let read = |(name, json, submitted, ended): (String, String, i64, Option<i64>)| {
        let order = serde_json::from_str(&json).map_err(|e| row_error(&name, 0, &e))?;
        Ok(TaskRow { name, order, submitted: Time(submitted), ended: ended.map(Time) })
    };
    found.map(read).transpose()
}

fn events(connection: &Connection, name: &str, after: u64) -> Result<Vec<Stored>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, at, event FROM event WHERE task = ?1 AND seq > ?2 ORDER BY seq",
    )?;
    let rows = statement.query_map(params![name, to_sql(after)], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
    })?;
    let mut events = Vec::new();
    for row in rows {
        let (seq, at, json) = row?;
        let seq = seq.unsigned_abs();
        let event: EventRow = serde_json::from_str(&json).map_err(|e| row_error(name, seq, &e))?;
        events.push(Stored { seq, at: Time(at), event: event.0 });
    }
    Ok(events)
}

fn row_error(task: &str, seq: u64, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Row { task: task.to_owned(), seq, detail: error.to_string() }
}

fn to_sql(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(crate) mod tests;
