//! Databases of every released schema open, are brought up to date, and fold to what they said;
//! newer and damaged ones are refused and left as they are.

use std::path::Path;

use midwatch_core::id::TaskName;
use midwatch_core::ports::Store as _;
use midwatch_core::task::{State, Task};
use midwatch_core::time::Time;
use midwatch_local::store::{COPIES_KEPT, Copies, Page, SqliteStore, StoreError, VERSION};
use rusqlite::Connection;

use super::world::{Home, V1};

/// Each released schema before this one, by its version.
const GOLDEN: [(u32, &str); 1] = [(1, V1)];

fn version(database: &Path) -> u32 {
    let connection = Connection::open(database).unwrap();
    connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

#[test]
fn every_released_schema_is_brought_up_to_date_with_a_copy_kept() {
    for (from, sql) in GOLDEN {
        let home = Home::of(sql);
        let store = SqliteStore::open(&home.database()).unwrap();
        let shown = |name: &str| {
            let view = store.view(name).unwrap().unwrap();
            let result = view.result;
            (result.state.unwrap(), result.verified, result.rescue_ref.is_some(), view.runs.len())
        };
        assert_eq!(shown("done"), ("Done".into(), true, false, 7));
        assert_eq!(shown("failed"), ("Failed".into(), false, true, 5));
        assert_eq!(shown("open"), ("Running".into(), false, true, 6));
        let open = store.open_tasks().unwrap();
        assert_eq!(open.len(), 1);
        // What an older release began goes on.
        let name = TaskName::parse("open").unwrap();
        let by = "somebody".to_owned();
        let cancel = midwatch_core::event::Event::CancelRequested { by };
        store.append(&name, 23, &[cancel], Time(9_999_999_999_999)).unwrap();
        drop(store);
        assert_eq!(version(&home.database()), VERSION);
        let copies = home.copies();
        assert_eq!(copies.len(), 1, "{copies:?}");
        let copy = copies[0].file_name().unwrap().to_str().unwrap();
        assert!(copy.starts_with(&format!("midwatch-v{from}-20")), "{copy}");
        assert_eq!(version(&copies[0]), from, "the copy is of before");
        let kept = Connection::open(&copies[0]).unwrap();
        let events = |from: &Connection| -> i64 {
            from.query_row("SELECT count(*) FROM event", [], |row| row.get(0)).unwrap()
        };
        assert_eq!(events(&kept) + 1, events(&home.plain()));
        SqliteStore::open(&home.database()).unwrap();
        assert_eq!(home.copies().len(), 1, "nothing to climb, nothing to copy");
    }
}

#[test]
fn summaries_are_what_the_events_fold_to() {
    let home = Home::of(V1);
    let store = SqliteStore::open(&home.database()).unwrap();
    let views = store.page(&Page { limit: 10, ..Page::default() }).unwrap();
    assert_eq!(views.len(), 3);
    for view in views {
        let name = view.result.task.clone().unwrap();
        let row = store.row(&name).unwrap().unwrap();
        let events = store.events(&name, 0).unwrap();
        let spec = row.order.to_spec(&name).unwrap();
        let task = Task::replay(spec, events.iter().map(|stored| &stored.event)).unwrap();
        assert_eq!(view.result.state.as_deref(), Some(task.state.as_str()));
        assert_eq!(
            view.result.commit.as_deref(),
            task.imported.as_ref().map(|i| i.commit().as_str())
        );
        assert_eq!(view.result.verified, task.verified().is_some());
        assert_eq!(view.ended_ms.is_some(), matches!(task.state, State::Ended(_)));
    }
}

#[test]
fn a_migration_that_fails_leaves_the_old_database_whole() {
    let home = Home::of(V1);
    // In the way of the second rung.
    home.plain().execute_batch("CREATE TABLE segment (x)").unwrap();
    let error = SqliteStore::open(&home.database()).unwrap_err();
    assert!(error.to_string().contains("already exists"), "{error}");
    assert_eq!(version(&home.database()), 1);
    let tables: i64 = home
        .plain()
        .query_row("SELECT count(*) FROM sqlite_master WHERE name = 'summary'", [], |r| r.get(0))
        .unwrap();
    assert_eq!(tables, 0, "half a migration was left");
    // The control: without what was in the way it succeeds.
    home.plain().execute_batch("DROP TABLE segment").unwrap();
    SqliteStore::open(&home.database()).unwrap();
    assert_eq!(version(&home.database()), VERSION);
}

#[test]
fn no_migration_without_a_copy() {
    let home = Home::of(V1);
    std::fs::write(home.database().with_file_name("copies"), "not a folder").unwrap();
    let error = SqliteStore::open(&home.database()).unwrap_err();
    assert!(matches!(error, StoreError::Copy { .. }), "{error}");
    assert_eq!(version(&home.database()), 1);
}

#[test]
fn a_newer_database_is_refused_with_both_versions_and_the_way_back() {
    let home = Home::new();
    drop(SqliteStore::open(&home.database()).unwrap());
    let newer = VERSION + 7;
    home.plain()
        .execute_batch(&format!(
            "PRAGMA user_version = {newer};
             UPDATE fact SET value = '9.9.9' WHERE key = 'written-by';"
        ))
        .unwrap();
    let before = std::fs::read(home.database()).unwrap();
    let error = SqliteStore::open(&home.database()).unwrap_err().to_string();
    for part in [
        format!("schema version {newer}"),
        "written by midwatch 9.9.9".to_owned(),
        format!("versions up to {VERSION}"),
        "MIDWATCH_HOME".to_owned(),
    ] {
        assert!(error.contains(&part), "{error}");
    }
    assert_eq!(std::fs::read(home.database()).unwrap(), before, "it was written to");
    // With a copy of our version, the way back is named.
    let other = Home::new();
    drop(SqliteStore::open(&other.database()).unwrap());
    let ours = other.plain();
    let copy = Copies::of(&home.database()).make(&ours, Time(1_795_282_710_417)).unwrap();
    let error = SqliteStore::open(&home.database()).unwrap_err().to_string();
    assert!(error.contains(copy.to_str().unwrap()), "{error}");
}

#[test]
fn a_damaged_database_is_refused_and_left_alone() {
    let home = Home::filled();
    let whole = std::fs::read(home.database()).unwrap();
    let length = whole.len();
    // Header, first page, a page in the middle, half of it missing, no database at all.
    let mut attacks: Vec<(&str, Vec<u8>)> = Vec::new();
    for (name, range) in
        [("header", 0..16), ("schema", 100..2000), ("middle", length / 2..length / 2 + 8192)]
    {
        let mut bytes = whole.clone();
        bytes[range].fill(0xa5);
        attacks.push((name, bytes));
    }
    attacks.push(("cut", whole[..length / 2].to_vec()));
    attacks.push(("text", b"this was a database once".to_vec()));
    for (name, bytes) in attacks {
        std::fs::write(home.database(), &bytes).unwrap();
        let error = SqliteStore::open(&home.database()).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{name}: {error}");
        assert!(error.to_string().contains("move "), "{name}: no way out: {error}");
        assert_eq!(std::fs::read(home.database()).unwrap(), bytes, "{name}: it was changed");
    }
    std::fs::write(home.database(), &whole).unwrap();
    let store = SqliteStore::open(&home.database()).unwrap();
    assert!(store.view("t42").unwrap().is_some(), "the control: undamaged, it opens");
}

#[test]
fn a_database_that_is_gone_is_not_made_anew_beside_its_runs() {
    let home = Home::filled();
    home.folder("runs/t1-implement-4");
    for empty in [false, true] {
        std::fs::remove_file(home.database()).unwrap();
        if empty {
            std::fs::write(home.database(), b"").unwrap();
        }
        let error = SqliteStore::open(&home.database()).unwrap_err();
        assert!(matches!(error, StoreError::Missing { .. }), "{error}");
        if !empty {
            assert!(!home.database().exists(), "one was made");
            std::fs::write(home.database(), b"").unwrap();
        }
    }
    // The control: no runs, so it is the first start.
    std::fs::remove_dir_all(home.folder("runs")).unwrap();
    SqliteStore::open(&home.database()).unwrap();
}

#[test]
fn copies_stay_few() {
    let home = Home::of(V1);
    for _ in 0..COPIES_KEPT + 2 {
        drop(SqliteStore::open(&home.database()).unwrap());
        // Back to the first version, as if an older release had run in between.
        std::fs::remove_file(home.database()).unwrap();
        home.plain().execute_batch(V1).unwrap();
    }
    assert_eq!(home.copies().len(), COPIES_KEPT);
}
