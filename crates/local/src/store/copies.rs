//! Copies of the database, made with SQLite's online backup, in `copies` beside it. Named by
//! version and time, so that the newest of a version is found by its name; old ones go.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use midwatch_core::time::Time;
use rusqlite::{Connection, MAIN_DB};

/// How many copies are kept: the one before the last migration, and two more.
pub const KEPT: usize = 3;
/// How the name of a copy begins and ends.
const NAME: (&str, &str) = ("midwatch-v", ".db");

/// The copies beside a database.
#[derive(Debug, Clone)]
pub struct Copies {
    folder: PathBuf,
}

impl Copies {
    /// Names only; nothing is made.
    pub fn of(database: &Path) -> Self {
        Self { folder: database.with_file_name("copies") }
    }

    /// Every copy, oldest first.
    pub fn all(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return vec![] };
        let mut copies: Vec<PathBuf> =
            entries.flatten().map(|entry| entry.path()).filter(|path| is_copy(path)).collect();
        // By time, whatever the version: the name ends with it.
        copies.sort_by_key(|path| made(path).map(ToOwned::to_owned));
        copies
    }

    /// The newest copy of a version, or of any.
    pub fn newest(&self, version: Option<u32>) -> Option<PathBuf> {
        let of = version.map(|version| format!("{}{version}-", NAME.0));
        self.all().into_iter().rev().find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            of.as_deref().is_none_or(|of| name.starts_with(of))
        })
    }

    /// Makes a copy of an open database, durable when this returns, and removes the oldest
    /// beyond [`KEPT`].
    pub fn make(&self, connection: &Connection, now: Time) -> io::Result<PathBuf> {
        let version: u32 = connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(io::Error::other)?;
        fs::create_dir_all(&self.folder)?;
        let path = self.folder.join(format!("{}{version}-{}{}", NAME.0, stamp(now), NAME.1));
        let new = path.with_extension("new");
        let _ = fs::remove_file(&new);
        let made = connection
            .backup(MAIN_DB, &new, rusqlite::backup::NO_PROGRESS)
            .map_err(io::Error::other)
            .and_then(|()| File::open(&new)?.sync_all())
            .and_then(|()| fs::rename(&new, &path))
            .and_then(|()| File::open(&self.folder)?.sync_all());
        if made.is_err() {
            let _ = fs::remove_file(&new);
        }
        made?;
        for old in self.all().into_iter().rev().skip(KEPT) {
            fs::remove_file(old)?;
        }
        Ok(path)
    }

    /// What somebody types to go on from a copy, as a sentence.
    pub fn hint(&self, database: &Path) -> String {
        match self.newest(None) {
            Some(copy) => format!(
                "The newest copy is {}: with no server running, move {} away and put the copy in its place; what happened since is not in it",
                copy.display(),
                database.display()
            ),
            None => format!(
                "There is no copy: with no server running, move {} away to begin anew; saved work stays in the mirrors",
                database.display()
            ),
        }
    }
}

fn is_copy(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with(NAME.0) && name.ends_with(NAME.1)
}

fn made(path: &Path) -> Option<&str> {
    path.file_stem()?.to_str()?.rsplit_once('-').map(|(_, time)| time)
}

/// UTC to the millisecond, sorted by its text: two copies in one second are two.
fn stamp(now: Time) -> String {
    match jiff::Timestamp::from_millisecond(now.0) {
        Ok(time) => time.strftime("%Y%m%dT%H%M%S.%3fZ").to_string(),
        Err(_) => now.0.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_named_by_version_and_time_and_old_ones_go() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("midwatch.db");
        let connection = Connection::open(&database).unwrap();
        connection.execute_batch("CREATE TABLE t (n); PRAGMA user_version = 7;").unwrap();
        let copies = Copies::of(&database);
        assert!(copies.hint(&database).contains("begin anew"));
        for n in 0..5 {
            connection.execute("INSERT INTO t VALUES (?1)", [n]).unwrap();
            copies.make(&connection, Time(1_795_282_710_417 + n)).unwrap();
        }
        let all = copies.all();
        assert_eq!(all.len(), KEPT);
        let newest = copies.newest(Some(7)).unwrap();
        assert!(newest.ends_with("copies/midwatch-v7-20261121T173830.421Z.db"), "{newest:?}");
        assert_eq!(copies.newest(Some(6)), None);
        assert!(copies.hint(&database).contains(newest.to_str().unwrap()));
        let count = |path: &Path| -> i64 {
            let copy = Connection::open(path).unwrap();
            copy.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
        };
        assert_eq!((count(&newest), count(&all[0])), (5, 3));
    }
}
