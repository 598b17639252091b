//! When and why the files of a task's runs went: who asks for them later is told.

use midwatch_api::control::CollectedView;
use midwatch_core::time::Time;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{SqliteStore, StoreError, row_error};

/// The key of what went of a task.
fn collected(name: &str) -> String {
    format!("collected/{name}")
}

impl SqliteStore {
    /// Files of a task's run go now. When and why the first of them went is what counts.
    pub fn collect(&self, name: &str, run: &str, now: Time, why: &str) -> Result<(), StoreError> {
        let inner = self.inner();
        let mut view = read(&inner.connection, name)?.unwrap_or_else(|| CollectedView {
            at_ms: now.0,
            why: why.to_owned(),
            runs: Some(vec![]),
        });
        // Of what went before runs were written down, those that follow would not be all.
        if let Some(runs) = view.runs.as_mut().filter(|runs| runs.iter().all(|known| known != run))
        {
            runs.push(run.to_owned());
        }
        let json = serde_json::to_string(&view).map_err(|e| row_error(name, 0, &e))?;
        inner.connection.execute(
            "INSERT INTO fact (key, value) VALUES (?1, ?2)
             ON CONFLICT (key) DO UPDATE SET value = ?2",
            params![collected(name), json],
        )?;
        Ok(())
    }

    /// That files of a task's runs went; none where none did.
    pub fn collected(&self, name: &str) -> Result<Option<CollectedView>, StoreError> {
        read(&self.inner().connection, name)
    }
}

fn read(connection: &Connection, name: &str) -> Result<Option<CollectedView>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT value FROM fact WHERE key = ?1")?;
    let json: Option<String> =
        statement.query_row([collected(name)], |row| row.get(0)).optional()?;
    json.map(|json| serde_json::from_str(&json).map_err(|e| row_error(name, 0, &e))).transpose()
}

/// Forgets it, with the task or its name.
pub(super) fn forget(connection: &Connection, name: &str) -> Result<(), StoreError> {
    connection.execute("DELETE FROM fact WHERE key = ?1", [collected(name)])?;
    Ok(())
}
