//! Points in time that outlive a server: when somebody looked last, when it was tidied up last.

use std::time::Duration;

use midwatch_core::time::Time;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::schema::BUSY;
use super::{SqliteStore, StoreError};

/// What a point in time is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Somebody read the brief.
    BriefRead,
    /// What is no longer needed was removed.
    Collected,
    /// Somebody tried whether the database can be written.
    Probed,
}

impl Mark {
    const fn key(self) -> &'static str {
        match self {
            Self::BriefRead => "brief-read",
            Self::Collected => "collected",
            Self::Probed => "probed",
        }
    }
}

impl SqliteStore {
    /// When it was last.
    pub fn marked(&self, mark: Mark) -> Result<Option<Time>, StoreError> {
        let at: Option<i64> = self
            .inner()
            .connection
            .query_row("SELECT value FROM fact WHERE key = ?1", [mark.key()], |row| row.get(0))
            .optional()?;
        Ok(at.map(Time))
    }

    /// It is now.
    pub fn mark(&self, mark: Mark, now: Time) -> Result<(), StoreError> {
        write(&self.inner().connection, mark, now)
    }

    /// Tries whether it can be written now. Waits for nobody: who reads waits for us meanwhile.
    pub fn probe(&self, now: Time) -> Result<(), StoreError> {
        let inner = self.inner();
        inner.connection.busy_timeout(Duration::ZERO)?;
        let written = write(&inner.connection, Mark::Probed, now);
        inner.connection.busy_timeout(BUSY)?;
        written
    }
}

fn write(connection: &Connection, mark: Mark, now: Time) -> Result<(), StoreError> {
    connection.execute(
        "INSERT OR REPLACE INTO fact (key, value) VALUES (?1, ?2)",
        params![mark.key(), now.0],
    )?;
    Ok(())
}
