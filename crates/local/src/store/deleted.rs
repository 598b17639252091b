//! What is still known of a deleted task: enough to tell later whether what it left is yet the
//! only place of its work.

use std::collections::BTreeMap;
use std::path::PathBuf;

use midwatch_api::kind::Kind;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

use super::{SqliteStore, StoreError, collected, row_error};

/// What a deleted task left. Its name is not given again while this is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Remains {
    /// When it ended, in milliseconds since 1970.
    pub ended_ms: i64,
    /// The repository, where it is on this machine.
    pub repository: Option<PathBuf>,
    /// Refs are named by the task.
    pub saved: bool,
    /// Runs that hold what no commit holds, with its paths; no path where that is all they hold.
    /// None of those of a task that was deleted before this was stored: nothing is known of them.
    pub kept: Option<BTreeMap<String, Vec<String>>>,
}

/// The key of a name that is not given again.
pub(super) fn reserved(name: &str) -> String {
    format!("reserved/{name}")
}

impl SqliteStore {
    /// Forgets a task that is over, with all that hangs on it but what it left; false when it is
    /// not there.
    pub fn forget(&self, name: &str, remains: &Remains) -> Result<bool, StoreError> {
        self.forget_after(name, remains, |_| Ok(()))
    }

    /// Forgets a task that cannot be read, whether it is over or not.
    pub fn forget_damaged(&self, name: &str, remains: &Remains) -> Result<bool, StoreError> {
        self.forget_after(name, remains, |transaction| {
            let over = params![name, remains.ended_ms];
            let end = "UPDATE task SET ended = ?2 WHERE name = ?1 AND ended IS NULL";
            transaction.execute(end, over).map(drop)
        })
    }

    /// In one transaction with a change before it.
    fn forget_after(
        &self,
        name: &str,
        remains: &Remains,
        change: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<bool, StoreError> {
        let json = serde_json::to_string(remains).map_err(|e| row_error(name, 0, &e))?;
        let mut inner = self.inner();
        inner.folded.remove(name);
        let transaction =
            inner.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        change(&transaction)?;
        let removed = forget(&transaction, name, &json)?;
        // Dropped, the transaction is rolled back.
        if removed {
            transaction.commit()?;
        }
        Ok(removed)
    }

    /// Whether a name belongs to a deleted task that left something.
    pub fn is_reserved(&self, name: &str) -> Result<bool, StoreError> {
        let inner = self.inner();
        let mut statement = inner.connection.prepare_cached("SELECT 1 FROM fact WHERE key = ?1")?;
        Ok(statement.exists([reserved(name)])?)
    }

    /// What a deleted task left; none where none of that name is known.
    pub fn remains(&self, name: &str) -> Result<Option<Remains>, StoreError> {
        let inner = self.inner();
        let mut statement =
            inner.connection.prepare_cached("SELECT value FROM fact WHERE key = ?1")?;
        let value = statement.query_row([reserved(name)], |row| row.get(0)).optional()?;
        value.map(|value| read(name, value)).transpose()
    }

    /// Names of deleted tasks that are not given again.
    pub fn reserved_names(&self) -> Result<Vec<String>, StoreError> {
        let inner = self.inner();
        let mut statement = inner.connection.prepare_cached(
            "SELECT substr(key, length(?1) + 1) FROM fact WHERE key GLOB ?1 || '*'",
        )?;
        let names = statement.query_map([reserved("")], |row| row.get(0))?;
        Ok(names.collect::<Result<_, _>>()?)
    }

    /// Gives the name of a deleted task free: nothing is left of it.
    pub fn free_name(&self, name: &str) -> Result<(), StoreError> {
        let inner = self.inner();
        inner.connection.execute("DELETE FROM fact WHERE key = ?1", [reserved(name)])?;
        collected::forget(&inner.connection, name)
    }
}

/// Whether it was there, and over.
fn forget(transaction: &Connection, name: &str, remains: &str) -> Result<bool, StoreError> {
    transaction.execute("DELETE FROM event WHERE task = ?1", [name])?;
    transaction.execute("DELETE FROM summary WHERE task = ?1", [name])?;
    collected::forget(transaction, name)?;
    let task = [Kind::Task.as_str(), name];
    transaction.execute("DELETE FROM object WHERE kind = ?1 AND name = ?2", task)?;
    let removed =
        transaction.execute("DELETE FROM task WHERE name = ?1 AND ended IS NOT NULL", [name])?;
    transaction.execute(
        "INSERT OR REPLACE INTO fact (key, value) VALUES (?1, ?2)",
        params![reserved(name), remains],
    )?;
    Ok(removed == 1)
}

fn read(name: &str, value: Value) -> Result<Remains, StoreError> {
    match value {
        Value::Text(json) => serde_json::from_str(&json).map_err(|e| row_error(name, 0, &e)),
        // When it was deleted is all that was stored at first, and only of those that saved work.
        Value::Integer(deleted) => {
            Ok(Remains { ended_ms: deleted, repository: None, saved: true, kept: None })
        }
        Value::Null | Value::Real(_) | Value::Blob(_) => {
            Err(row_error(name, 0, &"what a deleted task left is not written like that"))
        }
    }
}
