//! State folders of a test's own, and orders to put into them.

use std::path::PathBuf;

use midwatch_api::task::TaskOrder;
use rusqlite::Connection;

/// A database of schema version 1, as text.
pub(crate) const V1: &str = include_str!("golden/v1.sql");

/// A state folder that goes with the test.
pub(crate) struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// One whose database was written by some release.
    pub(crate) fn of(sql: &str) -> Self {
        let home = Self::new();
        home.plain().execute_batch(sql).unwrap();
        home
    }

    /// Where the database is.
    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("midwatch.db")
    }

    /// Where copies of it are.
    pub(crate) fn copies(&self) -> Vec<PathBuf> {
        let folder = self.folder.path().join("copies");
        let entries = std::fs::read_dir(folder).map(|entries| entries.flatten().collect());
        let entries: Vec<std::fs::DirEntry> = entries.unwrap_or_default();
        let paths = entries.into_iter().map(|entry| entry.path());
        // Looking at a copy leaves its log beside it.
        paths.filter(|path| path.extension().is_some_and(|kind| kind == "db")).collect()
    }

    /// A folder in it.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// SQLite without any of our settings.
    pub(crate) fn plain(&self) -> Connection {
        Connection::open(self.database()).unwrap()
    }
}

/// An order as a client of the first release sent it.
pub(crate) fn order() -> TaskOrder {
    let home = Home::of(V1);
    let read = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
    let json = home.plain().query_row("SELECT task_order FROM task LIMIT 1", [], read).unwrap();
    serde_json::from_str(&json).unwrap()
}
