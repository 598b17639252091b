//! What others do to a server's state folder: it says what is wrong, reading goes on, and so does
//! everything else once they let it go.

use std::collections::BTreeMap;
use std::path::Path;

use midwatch_api::control::TaskView;
use midwatch_core::admit::Limits;
use midwatch_core::event::Event;
use midwatch_core::id::TaskName;
use midwatch_core::ports::Store as _;
use midwatch_core::time::Time;
use midwatch_local::folder::{FolderError, StateFolder};
use midwatch_local::server::{Server, Settings};
use midwatch_local::store::{Page, SqliteStore, StoreError, Stuck};

use crate::world::{Closed, Lands, PATIENCE, ended, opened, order, running, submit};

mod disk;

fn all(server: &Server<Closed, Lands>) -> Vec<TaskView> {
    server.page(&Page { limit: 10_000, ..Page::default() }).unwrap()
}

/// Somebody else's program that holds a database, for as long as this lives.
pub(crate) fn held(database: &Path) -> rusqlite::Connection {
    let other = rusqlite::Connection::open(database).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_somebody_else_holds_is_waited_for() {
    let home = tempfile::tempdir().unwrap();
    let (folder, store) = opened(home.path());
    let lands = Lands::default();
    let mut settings = Settings::new("/bin/false".into());
    settings.limits = Limits::slots(4);
    let (server, driven) =
        Server::start(folder.clone(), store, Closed, lands.clone(), settings).unwrap();
    let mut driven = tokio::spawn(driven);
    server.submit(submit("t")).unwrap();
    running(&server, "t").await;

    let other = held(&folder.database());
    lands.let_go("*");
    let mut stuck = server.stuck();
    let locked = stuck.wait_for(|why| *why == Some(Stuck::Locked));
    tokio::select! {
        told = tokio::time::timeout(PATIENCE, locked) => drop(told.unwrap().unwrap()),
        fault = &mut driven => panic!("the server ended: {fault:?}"),
    }
    assert_eq!(all(&server).len(), 1, "reading goes on");
    let refusal = server.submit(submit("u")).unwrap_err();
    assert!(refusal.message.contains("another program") && refusal.exit == 6, "{refusal:?}");
    assert!(refusal.hint.is_some_and(|hint| hint.contains("sqlite3")));

    // The control: let go, everything goes on without a restart.
    drop(other);
    ended(&server, "t").await;
    tokio::time::timeout(PATIENCE, stuck.wait_for(Option::is_none)).await.unwrap().unwrap();
    server.submit(submit("u")).unwrap();
    ended(&server, "u").await;
    driven.abort();
}

#[test]
fn a_database_that_somebody_else_holds_at_the_start_is_named_with_a_fix() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("midwatch.db");
    drop(SqliteStore::open(&path).unwrap());
    let other = held(&path);
    let text = SqliteStore::open(&path).unwrap_err().to_string();
    for part in ["midwatch.db", "another program", "sqlite3"] {
        assert!(text.contains(part), "no '{part}' in {text}");
    }
    // The control: let go, it is opened.
    drop(other);
    SqliteStore::open(&path).unwrap();
}

#[test]
fn two_servers_never_have_one_folder() {
    let home = tempfile::tempdir().unwrap();
    let folder = StateFolder::new(home.path().to_owned());
    folder.make().unwrap();
    let first = folder.lock().unwrap();
    let second = folder.lock();
    assert!(matches!(second, Err(FolderError::Busy(_))), "{second:?}");
    // The control: the lock goes with its holder.
    drop(first);
    folder.lock().unwrap();
}

#[test]
fn a_second_writer_without_a_lock_is_told_from_the_first() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("midwatch.db");
    let (one, other) = (SqliteStore::open(&path).unwrap(), SqliteStore::open(&path).unwrap());
    let name = TaskName::parse("t").unwrap();
    one.insert("t", &order(), Time(1)).unwrap();
    one.append(&name, 0, &[Event::Admitted], Time(2)).unwrap();
    let raced = other.append(&name, 0, &[Event::Admitted], Time(2));
    assert!(matches!(raced, Err(StoreError::Raced { .. })), "{raced:?}");
    let states: BTreeMap<String, u64> = other.counts().unwrap().into_iter().collect();
    assert_eq!(states.get("Running"), Some(&1));
}
