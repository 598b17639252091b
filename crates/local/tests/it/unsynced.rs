//! A disk that takes what is written and fails when it is to keep it: what it did not keep is not
//! acknowledged. It stands on another disk, whose power goes.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;

use midwatch_core::time::Time;
use midwatch_local::server::{Server, Settings};
use midwatch_local::store::{SqliteStore, StoreError, Stuck};
use rusqlite::{Connection, ffi};
use rustix::io::Errno;

use super::power::Disk;
use super::world::{Closed, Lands, order, submit};

/// SQLite's word for a sync that failed, where there is one.
fn of_sqlite(error: &StoreError) -> Option<i32> {
    let StoreError::Sqlite(rusqlite::Error::SqliteFailure(failure, _)) = error else { return None };
    Some(failure.extended_code)
}

#[test]
fn what_a_failed_sync_did_not_keep_is_refused() {
    let Some(below) = Disk::new() else { return };
    let Some(disk) = Disk::within(&below.path(), 32) else { return };
    let folder = disk.folder();
    folder.make().unwrap();
    let store = Arc::new(SqliteStore::open(&folder.database()).unwrap());
    let mut settings = Settings::new("/bin/false".into());
    settings.reserve_bytes = 1 << 20;
    let (server, driven) =
        Server::start(folder.clone(), Arc::clone(&store), Closed, Lands::default(), settings)
            .unwrap();
    server.submit(submit("before")).unwrap();
    let careless = Connection::open(folder.database()).unwrap();
    careless.execute_batch("PRAGMA synchronous = OFF").unwrap();
    let mut file = File::create(disk.path().join("file")).unwrap();

    below.cut();
    file.write_all(b"taken").unwrap();
    // The control: who does not ask whether it was kept says that it was.
    let copy = "INSERT INTO task SELECT 'careless', task_order, submitted, ended FROM task";
    assert_eq!(careless.execute(copy, []).unwrap(), 1);
    let error = store.insert("after", &order(), Time(2)).unwrap_err();
    assert_eq!(of_sqlite(&error), Some(ffi::SQLITE_IOERR_FSYNC), "{error}");
    assert_eq!(error.stuck(), Some(Stuck::Unwritable));
    assert_eq!(file.sync_all().unwrap_err().raw_os_error(), Some(Errno::IO.raw_os_error()));
    let refusal = server.submit(submit("later")).unwrap_err();
    assert!(refusal.message.contains("cannot be written") && refusal.exit == 6, "{refusal:?}");
    folder.keep_credential("secret").unwrap_err();
    assert!(store.row("before").unwrap().is_some(), "reading goes on");

    drop((server, driven, store, careless, file));
    assert!(disk.unmount());
    below.back();
    assert!(disk.mount());
    let store = SqliteStore::open(&folder.database()).unwrap();
    let there =
        ["before", "after", "later", "careless"].map(|name| store.row(name).unwrap().is_some());
    assert_eq!(there, [true, false, false, false]);
}
