//! The database's shape, and the ladder that leads to it.

use std::path::Path;
use std::time::Duration;

use midwatch_core::ports::Clock as _;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::copies::Copies;
use super::error::StoreError;
use super::summary;
use crate::launcher::SystemClock;

/// Each rung leads from its index to the next version. A rung that was released is never
/// changed: databases that climbed it are out there.
const LADDER: [&str; 2] = [include_str!("schema/v1.sql"), include_str!("schema/v2.sql")];

/// The version that this program writes.
pub const VERSION: u32 = 2;

/// How long one connection waits for another: only a person's own `sqlite3` can be one.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// Opens a database with our settings, checks it, and climbs. Refuses before it writes anything.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    let copies = Copies::of(path);
    let fresh = std::fs::metadata(path).map_or(true, |metadata| metadata.len() == 0);
    if fresh && has_runs(path) {
        return Err(StoreError::Missing { path: path.to_owned(), hint: copies.hint(path) });
    }
    let refuse = |error: StoreError| match error {
        StoreError::Sqlite(error) => refused(path, &copies, error),
        other => other,
    };
    let mut connection = Connection::open(path).map_err(|error| refuse(error.into()))?;
    prepare(&mut connection, path, fresh, &copies).map_err(refuse)?;
    let repaired = summary::repair(&mut connection).map_err(refuse)?;
    if repaired > 0 {
        tracing::info!(tasks = repaired, "store.summaries_written");
    }
    Ok(connection)
}

/// Whether runs were made by a database that stood here.
fn has_runs(path: &Path) -> bool {
    let runs = path.with_file_name("runs");
    std::fs::read_dir(runs).is_ok_and(|mut runs| runs.next().is_some())
}

fn refused(path: &Path, copies: &Copies, error: rusqlite::Error) -> StoreError {
    let code = match &error {
        rusqlite::Error::SqliteFailure(failure, _) => Some(failure.code),
        _ => None,
    };
    match code {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => StoreError::Damaged {
            path: path.to_owned(),
            detail: error.to_string(),
            hint: copies.hint(path),
        },
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            StoreError::ReadOnly { path: path.to_owned(), detail: error.to_string() }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::Locked { path: path.to_owned() }
        }
        _ => StoreError::Sqlite(error),
    }
}

fn prepare(
    connection: &mut Connection,
    path: &Path,
    fresh: bool,
    copies: &Copies,
) -> Result<(), StoreError> {
    connection.busy_timeout(BUSY)?;
    // A connection that refuses must not even carry the log over into the file.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > VERSION {
        return Err(newer(connection, path, found, copies));
    }
    let checked: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if checked != "ok" {
        return Err(StoreError::Damaged {
            path: path.to_owned(),
            detail: checked,
            hint: copies.hint(path),
        });
    }
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::NoLog { path: path.to_owned() });
    }
    // FULL: what was acknowledged is there after power loss.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    if found < VERSION {
        if !fresh && found > 0 {
            let copy = copies.make(connection, SystemClock.now()).map_err(|error| {
                StoreError::Copy { path: path.to_owned(), to: VERSION, detail: error.to_string() }
            })?;
            tracing::info!(from = found, to = VERSION, copy = %copy.display(), "store.migrating");
        }
        climb(connection, found)?;
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(())
}

/// All rungs in one transaction: a database is of one version or of another, never between.
fn climb(connection: &mut Connection, found: u32) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for rung in LADDER.iter().skip(found as usize) {
        transaction.execute_batch(rung)?;
    }
    // For a program of before that finds a database of after.
    transaction.execute(
        "INSERT OR REPLACE INTO fact (key, value) VALUES ('written-by', ?1)",
        [env!("CARGO_PKG_VERSION")],
    )?;
    // What a new rung derives from events is written with it.
    summary::repair_in(&transaction)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(())
}

fn newer(connection: &Connection, path: &Path, found: u32, copies: &Copies) -> StoreError {
    let by = connection
        .query_row("SELECT value FROM fact WHERE key = 'written-by'", [], |row| row.get(0))
        .unwrap_or_else(|_| "of a later release".to_owned());
    let copy = copies.newest(Some(VERSION)).map_or_else(String::new, |copy| {
        format!(", or go back to {}, which knows nothing of what happened since", copy.display())
    });
    StoreError::Newer {
        path: path.to_owned(),
        found,
        known: VERSION,
        by,
        ours: env!("CARGO_PKG_VERSION"),
        copy,
    }
}
