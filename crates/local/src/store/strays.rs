//! Folders of runs that the database knows nothing of. Each was begun by a stored event, so a part
//! of the database was lost since: its log was cut, or an older copy was put in its place. SQLite
//! reads up to what is whole, and has nothing to say about it.

use std::collections::BTreeSet;

use midwatch_core::event::{Action, Event};
use rusqlite::{Connection, OpenFlags};

use super::deleted::reserved;
use super::schema::BUSY;
use super::{SqliteStore, StoreError, events};
use crate::folder::{StateFolder, task_of};
use crate::sweep::folders_in;

impl SqliteStore {
    /// The names of such runs.
    pub fn strays(&self, folder: &StateFolder) -> Result<Vec<String>, StoreError> {
        // Listed before the database is asked: what is begun meanwhile is in neither.
        let runs = runs(folder);
        strays(&self.inner().connection, runs)
    }
}

/// The same, for whoever is no server: nothing is written, and none is started. Nothing where
/// there is no database yet.
pub fn strays_beside(folder: &StateFolder) -> Result<Vec<String>, StoreError> {
    let runs = runs(folder);
    let path = folder.database();
    if !path.exists() {
        return Ok(vec![]);
    }
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(BUSY)?;
    strays(&connection, runs)
}

/// By task.
fn runs(folder: &StateFolder) -> Vec<(String, String)> {
    let folders = folders_in(&folder.root().join("runs")).unwrap_or_default();
    let names = folders.iter().filter_map(|run| run.file_name()?.to_str());
    names.filter_map(|run| Some((task_of(run)?.to_owned(), run.to_owned()))).collect()
}

fn strays(connection: &Connection, runs: Vec<(String, String)>) -> Result<Vec<String>, StoreError> {
    let mut known = connection.prepare(
        "SELECT (SELECT ended IS NULL FROM task WHERE name = ?1),
         EXISTS (SELECT 1 FROM fact WHERE key = ?2)",
    )?;
    let mut strays = Vec::new();
    // Of a task that is open, as far as it is read already.
    let mut begun: Option<(String, Option<BTreeSet<String>>)> = None;
    for (task, run) in runs {
        let (open, left): (Option<bool>, bool) =
            known.query_row([&task, &reserved(&task)], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let is_known = match open {
            None => left,
            Some(false) => true,
            Some(true) => {
                if begun.as_ref().is_none_or(|(of, _)| *of != task) {
                    begun = Some((task.clone(), intended(connection, &task)?));
                }
                let of_it = begun.as_ref().and_then(|(_, runs)| runs.as_ref());
                of_it.is_none_or(|runs| runs.contains(&run))
            }
        };
        if !is_known {
            strays.push(run);
        }
    }
    strays.sort_unstable();
    Ok(strays)
}

/// The runs that a task's events begin; none where they cannot be read, which is told elsewhere.
fn intended(connection: &Connection, task: &str) -> Result<Option<BTreeSet<String>>, StoreError> {
    let events = match events(connection, task, 0) {
        Err(StoreError::Row { .. }) => return Ok(None),
        events => events?,
    };
    let begun = events.into_iter().filter_map(|stored| match stored.event {
        Event::Intended(Action::Run(order)) => Some(order.run.as_str().to_owned()),
        _ => None,
    });
    Ok(Some(begun.collect()))
}
