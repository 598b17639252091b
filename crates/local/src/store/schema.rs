//! The database's shape, and the ladder that leads to it.

use rusqlite::Connection;

use super::StoreError;

/// Each rung leads from its index to the next version, in one transaction.
const LADDER: [&str; 1] = ["
    CREATE TABLE task (
        name TEXT PRIMARY KEY,
        task_order TEXT NOT NULL,
        submitted INTEGER NOT NULL,
        ended INTEGER
    ) STRICT;
    CREATE INDEX open_task ON task (submitted) WHERE ended IS NULL;
    CREATE INDEX newest_task ON task (submitted DESC);
    CREATE TABLE event (
        task TEXT NOT NULL REFERENCES task (name),
        seq INTEGER NOT NULL,
        at INTEGER NOT NULL,
        event TEXT NOT NULL,
        PRIMARY KEY (task, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE base_check (
        key TEXT PRIMARY KEY,
        event TEXT NOT NULL,
        at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
"];

/// Settings, a check of the file, and the ladder. Refuses before it writes anything.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), StoreError> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let known = u32::try_from(LADDER.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    let checked: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if checked != "ok" {
        return Err(StoreError::Damaged(checked));
    }
    // FULL: what was acknowledged is there after power loss.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    for (rung, version) in LADDER.iter().zip(1_u32..).skip(found as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(rung)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}
