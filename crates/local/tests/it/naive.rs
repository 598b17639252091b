//! The controls: the same faults, met as SQLite and the file system meet them by themselves, without
//! what the store and the server do against them. What is seen here is what would happen.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use midwatch_api::task::TaskOrder;
use midwatch_core::event::{Action, ActionKey, Event, LandAction};
use midwatch_core::ports::{Act, Seen, Store as _};
use midwatch_core::task::Task;
use midwatch_local::folder::{FolderError, StateFolder};
use midwatch_local::server::{Server, Settings};
use midwatch_local::store::{SqliteStore, StoreError, VERSION};
use rusqlite::{Connection, ErrorCode};
use tokio::sync::watch;

use super::world::{Closed, Home, Lands, PATIENCE, V1, submit};

/// What a program of this version writes now and then.
const NOTE: &str = "INSERT INTO fact (key, value) VALUES ('looked', 1)";

/// How many tables of this name there are.
fn tables(connection: &Connection, name: &str) -> i64 {
    let count = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?1";
    connection.query_row(count, [name], |row| row.get(0)).unwrap()
}

/// Who does not ask for the version: the newer program's database holds what it never wrote.
#[test]
fn a_plain_open_writes_into_a_newer_database() {
    let home = Home::filled();
    home.plain().execute_batch(&format!("PRAGMA user_version = {}", VERSION + 1)).unwrap();
    let before = fs::read(home.database()).unwrap();
    let refused = SqliteStore::open(&home.database());
    assert!(matches!(refused, Err(StoreError::Newer { .. })), "{refused:?}");
    assert_eq!(fs::read(home.database()).unwrap(), before);
    assert_eq!(home.plain().execute(NOTE, []).unwrap(), 1);
    assert_ne!(fs::read(home.database()).unwrap(), before, "it was written to");
}

/// A rung outside of a transaction: half of it is there, and no version can open that any more.
#[test]
fn a_migration_without_a_transaction_leaves_a_database_of_no_version() {
    let rung = include_str!("../../src/store/schema/v2.sql");
    let home = Home::of(V1);
    home.plain().execute_batch("CREATE TABLE segment (x)").unwrap();
    home.plain().execute_batch(rung).unwrap_err();
    assert_eq!(tables(&home.plain(), "summary"), 1, "what stood before the fault is there");
    home.plain().execute_batch("DROP TABLE segment").unwrap();
    let error = SqliteStore::open(&home.database()).unwrap_err();
    assert!(error.to_string().contains("summary already exists"), "{error}");
}

/// An empty one in its place, as if nothing had ever been.
#[test]
fn a_plain_open_makes_a_missing_database_anew() {
    let home = Home::filled();
    home.folder("runs/t1-implement-4");
    fs::remove_file(home.database()).unwrap();
    let refused = SqliteStore::open(&home.database());
    assert!(matches!(refused, Err(StoreError::Missing { .. })), "{refused:?}");
    assert!(!home.database().exists());
    home.plain().execute_batch(V1).unwrap();
    let tasks = "SELECT count(*) FROM task WHERE name = 't1'";
    let found: i64 = home.plain().query_row(tasks, [], |row| row.get(0)).unwrap();
    assert_eq!(found, 0, "whose run is there, and nobody knows of it");
    SqliteStore::open(&home.database()).unwrap();
}

/// Nothing is said of the damage, and it is written to.
#[test]
fn a_plain_open_takes_a_damaged_database_and_writes_to_it() {
    let home = Home::filled();
    let mut bytes = fs::read(home.database()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8192].fill(0xa5);
    fs::write(home.database(), &bytes).unwrap();
    let refused = SqliteStore::open(&home.database());
    assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{refused:?}");
    assert_eq!(fs::read(home.database()).unwrap(), bytes);
    assert_eq!(home.plain().execute(NOTE, []).unwrap(), 1);
    assert_ne!(fs::read(home.database()).unwrap(), bytes, "it was written to");
}

/// The first moment in which somebody else holds the database is an error, and what was to be
/// stored is in no place.
#[test]
fn who_does_not_wait_for_a_database_has_stored_nothing() {
    let home = Home::filled();
    let (other, hasty) = (home.plain(), home.plain());
    hasty.busy_timeout(std::time::Duration::ZERO).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = hasty.execute(NOTE, []).unwrap_err();
    assert_eq!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy));
    other.execute_batch("COMMIT").unwrap();
    let found: i64 = home
        .plain()
        .query_row("SELECT count(*) FROM fact WHERE key = 'looked'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(found, 0);
}

/// For the damage of one task, who reads all or none has none.
#[test]
fn who_reads_all_tasks_in_one_go_has_none_where_one_is_damaged() {
    let home = Home::filled();
    home.plain().execute("UPDATE task SET task_order = '!' WHERE name = 't42'", []).unwrap();
    let plain = home.plain();
    let mut statement = plain.prepare("SELECT task_order FROM task").unwrap();
    let orders = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let read: Result<Vec<TaskOrder>, _> =
        orders.map(|order| serde_json::from_str(&order.unwrap())).collect();
    assert!(read.is_err());
    let store = SqliteStore::open(&home.database()).unwrap();
    assert_eq!(store.open_tasks().unwrap().len(), 99);
}

/// Lands nothing, and notes whatever it was told to begin.
struct Noted {
    begun: Arc<watch::Sender<Vec<ActionKey>>>,
    lands: Lands,
}

impl Act<LandAction> for Noted {
    async fn look(&self, task: &Task, action: &LandAction) -> Seen {
        self.lands.look(task, action).await
    }

    async fn perform(&self, task: &Task, action: &LandAction) -> Event {
        self.begun.send_modify(|begun| begun.push(Action::Land(action.clone()).key()));
        self.lands.perform(task, action).await
    }
}

/// Two servers of which nobody asked for the folder's lock: what the first does, the second finds
/// as an intent without a result, and does it, too.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_lock_two_servers_do_one_thing_twice() {
    let home = tempfile::tempdir().unwrap();
    let folder = StateFolder::new(home.path().to_owned());
    folder.make().unwrap();
    let _lock = folder.lock().unwrap();
    assert!(matches!(folder.lock(), Err(FolderError::Busy(_))), "with it, the second ends here");
    let begun = Arc::new(watch::Sender::new(Vec::new()));
    let start = || {
        let store = Arc::new(SqliteStore::open(&folder.database()).unwrap());
        let noted = Noted { begun: Arc::clone(&begun), lands: Lands::default() };
        let settings = Settings::new("/bin/false".into());
        let started = Server::start(folder.clone(), store, Closed, noted, settings);
        let (server, driven) = started.unwrap();
        (server, tokio::spawn(driven))
    };
    let mut told = begun.subscribe();
    let (first, one) = start();
    first.submit(submit("t")).unwrap();
    let seen = told.wait_for(|begun| begun.len() == 1);
    tokio::time::timeout(PATIENCE, seen).await.unwrap().unwrap();
    let (_second, other) = start();
    let seen = told.wait_for(|begun| begun.len() == 2);
    let twice = tokio::time::timeout(PATIENCE, seen).await.unwrap().unwrap().clone();
    assert_eq!(twice[0], twice[1], "one intent");
    one.abort();
    other.abort();
}

/// Removed where it stands, a folder that cannot go stays there, with whatever was not reached.
#[test]
fn a_folder_that_is_removed_where_it_stands_stays_in_the_way() {
    let home = Home::new();
    let run = home.folder("runs/t-implement-4");
    let busy = home.folder("runs/t-implement-4/busy");
    let mount = |program: &str, words: &[&str]| {
        let done = std::process::Command::new(program).args(words).arg(&busy).status();
        done.is_ok_and(|status| status.success())
    };
    if !(rustix::process::geteuid().is_root() && mount("mount", &["-t", "tmpfs", "none"])) {
        println!("NOT RUN: mounting needs root");
        return;
    }
    let error = fs::remove_dir_all(&run).unwrap_err();
    assert!(mount("umount", &["-l"]));
    assert_eq!(error.kind(), std::io::ErrorKind::ResourceBusy);
    let name = |path: &Path| path.file_name().unwrap().to_owned();
    let left: Vec<_> = fs::read_dir(run.parent().unwrap()).unwrap().flatten().collect();
    assert_eq!(left.iter().map(|one| name(&one.path())).collect::<Vec<_>>(), [name(&run)]);
}
