//! What people applied, and the one transaction that stores all of a file or nothing.

use midwatch_api::control::Change;
use midwatch_api::kind::{Kind, WireObject};
use midwatch_api::task::TaskOrder;
use midwatch_core::time::Time;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::{SqliteStore, StoreError, insert, row_error};

/// A stored object.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectRow {
    /// The object.
    pub object: WireObject,
    /// Counts its changes, from 1.
    pub generation: u32,
    /// When it was applied first.
    pub created: Time,
    /// When it was changed last.
    pub changed: Time,
}

/// Why nothing of a file was stored.
#[derive(Debug, thiserror::Error)]
pub enum Unstored {
    /// A task of that name is there, and is another.
    #[error("task {0} is there already, with another order")]
    Taken(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for Unstored {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

impl SqliteStore {
    /// One object.
    pub fn object(&self, kind: Kind, name: &str) -> Result<Option<ObjectRow>, StoreError> {
        read(&self.inner().connection, kind, name)
    }

    /// Objects of a kind, by name. One that cannot be read keeps no other out of sight.
    pub fn objects(&self, kind: Kind) -> Result<Vec<(String, Listed)>, StoreError> {
        let inner = self.inner();
        let mut statement = inner.connection.prepare_cached(
            "SELECT name, generation, created, changed, metadata, spec FROM object
             WHERE kind = ?1 ORDER BY name",
        )?;
        let rows = statement.query_map([kind.as_str()], raw)?;
        let listed = |row: Raw| (row.0.clone(), whole(kind, row));
        Ok(rows.map(|row| row.map(listed)).collect::<Result<_, _>>()?)
    }

    /// Takes an object away; false when it was not there.
    pub fn remove_object(&self, kind: Kind, name: &str) -> Result<bool, StoreError> {
        let removed = self
            .inner()
            .connection
            .execute("DELETE FROM object WHERE kind = ?1 AND name = ?2", [kind.as_str(), name])?;
        Ok(removed == 1)
    }

    /// Stores objects and new tasks in one transaction. A task that has no order is one whose
    /// object alone is stored. Returns what became of each object, in their order.
    pub fn apply(
        &self,
        objects: &[(WireObject, Option<TaskOrder>)],
        now: Time,
    ) -> Result<Vec<Change>, Unstored> {
        let mut inner = self.inner();
        let transaction =
            inner.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut changes = Vec::with_capacity(objects.len());
        for (object, order) in objects {
            let name = &object.metadata.name;
            if let Some(order) = order
                && !insert(&transaction, name, order, now)?
            {
                return Err(Unstored::Taken(name.clone()));
            }
            changes.push(put(&transaction, object, now)?);
        }
        transaction.commit()?;
        Ok(changes)
    }

    /// What `apply` would make of each object now. Stores nothing.
    pub fn would_change(
        &self,
        objects: &[(WireObject, Option<TaskOrder>)],
    ) -> Result<Vec<Change>, StoreError> {
        let inner = self.inner();
        let change = |(object, _): &(WireObject, Option<TaskOrder>)| {
            beside(&inner.connection, object).map(|(_, change)| change)
        };
        objects.iter().map(change).collect()
    }
}

/// What is stored of an object, and what becomes of it beside that.
fn beside(
    connection: &Connection,
    object: &WireObject,
) -> Result<(Option<ObjectRow>, Change), StoreError> {
    let found = match read(connection, object.kind, &object.metadata.name) {
        Ok(found) => found,
        // Written anew, it is whole.
        Err(StoreError::Object { .. }) => return Ok((None, Change::Configured)),
        Err(error) => return Err(error),
    };
    let change = match &found {
        None => Change::Created,
        Some(found) if found.object == *object => Change::Unchanged,
        Some(_) => Change::Configured,
    };
    Ok((found, change))
}

fn put(connection: &Connection, object: &WireObject, now: Time) -> Result<Change, StoreError> {
    let (kind, name) = (object.kind, &object.metadata.name);
    let (found, change) = beside(connection, object)?;
    if change == Change::Unchanged {
        return Ok(change);
    }
    let generation = found.map_or(1, |found| found.generation.saturating_add(1));
    let json = |value: serde_json::Result<String>| value.map_err(|e| row_error(name, 0, &e));
    connection.execute(
        "INSERT INTO object (kind, name, generation, created, changed, metadata, spec)
         VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6)
         ON CONFLICT (kind, name) DO UPDATE
         SET generation = ?3, changed = ?4, metadata = ?5, spec = ?6",
        params![
            kind.as_str(),
            name,
            generation,
            now.0,
            json(serde_json::to_string(&object.metadata))?,
            json(serde_json::to_string(&object.spec))?
        ],
    )?;
    Ok(change)
}

fn read(connection: &Connection, kind: Kind, name: &str) -> Result<Option<ObjectRow>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT name, generation, created, changed, metadata, spec FROM object
         WHERE kind = ?1 AND name = ?2",
    )?;
    let found = statement.query_row([kind.as_str(), name], raw).optional()?;
    found.map(|row| whole(kind, row)).transpose()
}

/// An object in a list, or why it cannot be read.
pub type Listed = Result<ObjectRow, StoreError>;

type Raw = (String, u32, i64, i64, String, String);

fn raw(row: &rusqlite::Row<'_>) -> rusqlite::Result<Raw> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
}

fn whole(kind: Kind, row: Raw) -> Result<ObjectRow, StoreError> {
    let (name, generation, created, changed, metadata, spec) = row;
    let bad = |error: serde_json::Error| StoreError::Object {
        kind,
        name: name.clone(),
        detail: error.to_string(),
    };
    let metadata = serde_json::from_str(&metadata).map_err(bad)?;
    let spec = serde_json::from_str(&spec).map_err(bad)?;
    let object = WireObject { kind, metadata, spec };
    Ok(ObjectRow { object, generation, created: Time(created), changed: Time(changed) })
}

#[cfg(test)]
mod tests {
    use midwatch_api::object::Metadata;

    use super::*;

    fn profile(name: &str, agent: &str) -> (WireObject, Option<TaskOrder>) {
        let metadata = Metadata { name: name.into(), ..Metadata::default() };
        let spec = serde_json::json!({"agent": agent});
        (WireObject { kind: Kind::Profile, metadata, spec }, None)
    }

    #[test]
    fn objects_are_created_configured_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("midwatch.db")).unwrap();
        let two = [profile("a", "codex"), profile("b", "codex")];
        assert_eq!(store.apply(&two, Time(1)).unwrap(), [Change::Created; 2]);
        let again = [profile("a", "codex"), profile("b", "claude-code")];
        let told = [Change::Unchanged, Change::Configured];
        assert_eq!(store.would_change(&again).unwrap(), told);
        assert_eq!(store.apply(&again, Time(2)).unwrap(), told);
        let rows = store.objects(Kind::Profile).unwrap().into_iter().map(|(_, row)| row.unwrap());
        let seen: Vec<_> = rows.map(|row| (row.generation, row.created, row.changed)).collect();
        assert_eq!(seen, [(1, Time(1), Time(1)), (2, Time(1), Time(2))]);
        assert_eq!(store.object(Kind::Pipeline, "a").unwrap(), None);
        assert!(store.remove_object(Kind::Profile, "a").unwrap());
        assert!(!store.remove_object(Kind::Profile, "a").unwrap());
    }
}
