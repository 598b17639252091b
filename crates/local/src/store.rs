//! The store: SQLite, one writer, events appended, nothing changed but by appending.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use midwatch_api::event::EventRow;
use midwatch_api::task::TaskOrder;
use midwatch_core::event::Event;
use midwatch_core::id::TaskName;
use midwatch_core::ports::{Store, Stored};
use midwatch_core::task::TaskSpec;
use midwatch_core::time::Time;
use rusqlite::{Connection, OptionalExtension as _, params};

mod schema;

/// What can be wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite said no: a full disk, a damaged file, a lock.
    #[error("the database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A row cannot be read.
    #[error("task {task}, event {seq}: the stored row is damaged ({detail})")]
    Row {
        /// The task.
        task: String,
        /// The event's place; 0 is the order.
        seq: u64,
        /// What the reader says.
        detail: String,
    },
    /// Somebody else appended.
    #[error("task {task} has more events than was known: another server wrote to this database")]
    Raced {
        /// The task.
        task: String,
    },
    /// A newer version wrote it.
    #[error("the database has version {found}, this program knows up to {known}; use a newer one")]
    Newer {
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// It failed its own check.
    #[error("the database is damaged ({0}); restore a copy, nothing was changed")]
    Damaged(String),
}

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
    connection: Mutex<Connection>,
}

impl SqliteStore {
    /// Opens or makes a database; checks it, and brings it to this version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut connection = Connection::open(path)?;
        schema::prepare(&mut connection)?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // Every change is one transaction: a panic in between rolled it back.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a new task; false when the name is taken.
    pub fn insert(&self, name: &str, order: &TaskOrder, now: Time) -> Result<bool, StoreError> {
        let json = serde_json::to_string(order).map_err(|e| row_error(name, 0, &e))?;
        let inserted = self.connection().execute(
            "INSERT INTO task (name, task_order, submitted) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            params![name, json, now.0],
        )?;
        Ok(inserted == 1)
    }

    /// One task's row.
    pub fn row(&self, name: &str) -> Result<Option<TaskRow>, StoreError> {
        let found = self
            .connection()
            .query_row(
                "SELECT name, task_order, submitted, ended FROM task WHERE name = ?1",
                [name],
                raw_row,
            )
            .optional()?;
        found.map(read_row).transpose()
    }

    /// The newest tasks, newest first.
    pub fn rows(&self, limit: u32) -> Result<Vec<TaskRow>, StoreError> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(
            "SELECT name, task_order, submitted, ended FROM task ORDER BY submitted DESC, name LIMIT ?1",
        )?;
        let rows = statement.query_map([limit], raw_row)?;
        rows.map(|row| read_row(row?)).collect()
    }

    /// A task's events after a place, oldest first.
    pub fn events(&self, name: &str, after: u64) -> Result<Vec<Stored>, StoreError> {
        let connection = self.connection();
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
            let event: EventRow =
                serde_json::from_str(&json).map_err(|e| row_error(name, seq, &e))?;
            events.push(Stored { seq, at: Time(at), event: event.0 });
        }
        Ok(events)
    }

    /// What a check said of a base before, if it was kept under this key.
    pub fn cached_check(&self, key: &str) -> Result<Option<Event>, StoreError> {
        let json: Option<String> = self
            .connection()
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
        self.connection().execute(
            "INSERT OR REPLACE INTO base_check (key, event, at) VALUES (?1, ?2, ?3)",
            params![key, json, now.0],
        )?;
        Ok(())
    }
}

impl Store for SqliteStore {
    type Error = StoreError;

    fn open_tasks(&self) -> Result<Vec<(TaskSpec, Vec<Stored>)>, StoreError> {
        let rows: Vec<TaskRow> = {
            let connection = self.connection();
            let mut statement = connection.prepare_cached(
                "SELECT name, task_order, submitted, ended FROM task WHERE ended IS NULL ORDER BY submitted",
            )?;
            let rows = statement.query_map([], raw_row)?;
            rows.map(|row| read_row(row?)).collect::<Result<_, _>>()?
        };
        rows.into_iter()
            .map(|row| {
                let spec = row.order.to_spec(&row.name);
                let spec = spec.map_err(|e| row_error(&row.name, 0, &e))?;
                Ok((spec, self.events(&row.name, 0)?))
            })
            .collect()
    }

    fn append(
        &self,
        task: &TaskName,
        after: u64,
        events: &[Event],
        now: Time,
    ) -> Result<Vec<Stored>, StoreError> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        let last: i64 = transaction.query_row(
            "SELECT coalesce(max(seq), 0) FROM event WHERE task = ?1",
            [task.as_str()],
            |row| row.get(0),
        )?;
        if last != to_sql(after) {
            return Err(StoreError::Raced { task: task.to_string() });
        }
        let mut stored = Vec::with_capacity(events.len());
        for (event, seq) in events.iter().zip(after + 1..) {
            let json = serde_json::to_string(&EventRow(event.clone()))
                .map_err(|e| row_error(task.as_str(), seq, &e))?;
            transaction.execute(
                "INSERT INTO event (task, seq, at, event) VALUES (?1, ?2, ?3, ?4)",
                params![task.as_str(), to_sql(seq), now.0, json],
            )?;
            if matches!(event, Event::Ended(_)) {
                transaction.execute(
                    "UPDATE task SET ended = ?2 WHERE name = ?1",
                    params![task.as_str(), now.0],
                )?;
            }
            stored.push(Stored { seq, at: now, event: event.clone() });
        }
        transaction.commit()?;
        Ok(stored)
    }
}

type RawRow = (String, String, i64, Option<i64>);

fn raw_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<RawRow> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

fn read_row((name, json, submitted, ended): RawRow) -> Result<TaskRow, StoreError> {
    let order = serde_json::from_str(&json).map_err(|e| row_error(&name, 0, &e))?;
    Ok(TaskRow { name, order, submitted: Time(submitted), ended: ended.map(Time) })
}

fn row_error(task: &str, seq: u64, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Row { task: task.to_owned(), seq, detail: error.to_string() }
}

fn to_sql(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
