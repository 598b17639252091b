//! The power goes: what was acknowledged before is there after it. The state folder is on an
//! image whose journal is cut off without a flush.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;

use midwatch_api::control::PauseAll;
use midwatch_core::time::Time;
use midwatch_local::folder::StateFolder;
use midwatch_local::retain::Trash;
use midwatch_local::server::{Server, Settings};
use midwatch_local::store::SqliteStore;
use rusqlite::Connection;

use super::world::{Closed, Lands, V1, order};

/// Cuts a file system off; the same that tools/elsewhere/power-loss.sh uses.
const CUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/elsewhere/cut.py");

/// A disk whose power can be cut; gone with the test.
pub(crate) struct Disk {
    place: tempfile::TempDir,
    /// How often there was power: each time the image is another file.
    times: Cell<u32>,
}

fn done(program: &str, words: &[&str], paths: &[&Path]) -> bool {
    let status = Command::new(program).args(words).args(paths).status();
    status.is_ok_and(|status: ExitStatus| status.success())
}

impl Disk {
    pub(crate) fn new() -> Option<Self> {
        Self::within(&std::env::temp_dir(), 64)
    }

    /// One of so many mebibytes, whose image is in that folder.
    pub(crate) fn within(folder: &Path, mebibytes: u64) -> Option<Self> {
        let disk = Self { place: tempfile::tempdir_in(folder).unwrap(), times: Cell::new(0) };
        let image = disk.image();
        std::fs::File::create(&image).unwrap().set_len(mebibytes << 20).unwrap();
        std::fs::create_dir(disk.path()).unwrap();
        if !(done("mkfs.ext4", &["-q"], &[&image]) && disk.mount()) {
            println!("NOT RUN: an image needs root, a loop device and mkfs.ext4");
            return None;
        }
        Some(disk)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.place.path().join("disk")
    }

    pub(crate) fn folder(&self) -> StateFolder {
        StateFolder::new(self.path().join("state"))
    }

    fn image(&self) -> PathBuf {
        self.place.path().join(format!("image-{}", self.times.get()))
    }

    /// Its journal writes nothing by itself as long as a test lasts: what is there after a cut is
    /// there because somebody synced it.
    pub(crate) fn mount(&self) -> bool {
        done("mount", &["-o", "loop,commit=600"], &[&self.image(), &self.path()])
    }

    pub(crate) fn unmount(&self) -> bool {
        done("umount", &["-q", "-l"], &[&self.path()])
    }

    /// Cuts the power: nothing more reaches the disk.
    pub(crate) fn cut(&self) {
        assert!(done("python3", &[CUT], &[&self.path(), &self.lost()]), "the power was not cut");
    }

    /// With power again. The control is a file that nobody acknowledged: it is gone.
    ///
    /// What reached the disk is mounted from a copy: sandboxes that begin beside this test hold
    /// every mount for a moment, and as long as one does the same image has no power.
    pub(crate) fn back(&self) {
        let cut_off = self.image();
        self.times.set(self.times.get() + 1);
        std::fs::copy(cut_off, self.image()).unwrap();
        assert!(self.unmount() && self.mount());
        let lost = std::fs::read(self.lost()).unwrap_or_default();
        assert!(lost.is_empty(), "nothing was cut off");
    }

    fn lost(&self) -> PathBuf {
        self.path().join("lost")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.unmount();
    }
}

/// Turns the switch for everything, and cuts the power as soon as that is acknowledged.
fn pause(disk: &Disk, paused: bool) {
    let (server, store) = server(disk.folder());
    let told = server.pause_all(&PauseAll { paused, by: "me".into() }).unwrap();
    assert_eq!(told.unstored, None, "it was acknowledged as stored");
    disk.cut();
    drop((server, store));
    disk.back();
}

/// A server, which nobody drives.
fn server(folder: StateFolder) -> (Arc<Server<Closed, Lands>>, Arc<SqliteStore>) {
    let store = Arc::new(SqliteStore::open(&folder.database()).unwrap());
    let mut settings = Settings::new("/bin/false".into());
    // What it would keep free for rescues is more than the disk has: a full one stores nothing.
    settings.reserve_bytes = 1 << 20;
    let (server, _driven) =
        Server::start(folder, Arc::clone(&store), Closed, Lands::default(), settings).unwrap();
    (server, store)
}

/// A run's folder, on the disk.
fn run_on(disk: &Disk, name: &str) -> PathBuf {
    let run = disk.folder().run(name);
    std::fs::create_dir_all(&run).unwrap();
    assert!(done("sync", &["-f"], &[&run]));
    run
}

/// Folders that came back would be taken for those of the next task of that name.
#[test]
fn a_deleted_tasks_folder_does_not_come_back_under_a_name_that_is_given_again() {
    let Some(disk) = Disk::new() else { return };
    let folder = disk.folder();
    folder.make().unwrap();
    let plain = Connection::open(folder.database()).unwrap();
    plain.execute_batch(V1).unwrap();
    let saved = "DELETE FROM event WHERE task = 'failed' AND event LIKE '%\"Rescued\"%'";
    plain.execute(saved, []).unwrap();
    let run = run_on(&disk, "failed-checkout-1");
    let (server, store) = server(folder.clone());
    server.delete_task("failed", "me").unwrap();
    assert!(!run.exists() && !store.is_reserved("failed").unwrap(), "the name is given again");
    disk.cut();
    drop((server, store, plain));
    disk.back();
    let store = SqliteStore::open(&folder.database()).unwrap();
    assert!(!run.exists() && !store.is_reserved("failed").unwrap());
    drop(store);
    // What is waited for before that, and the control. This file system takes a removal along with
    // the database's next commit; not every one does.
    for (settles, comes_back) in [(true, false), (false, true)] {
        let run = run_on(&disk, "other-checkout-1");
        Trash::of(&folder, midwatch_engine::pass).take(&run).unwrap();
        if settles {
            folder.settle_removals().unwrap();
        }
        disk.cut();
        disk.back();
        assert_eq!(run.exists(), comes_back, "waited for the disk: {settles}");
    }
}

#[test]
fn what_was_acknowledged_is_there_when_the_power_went() {
    let Some(disk) = Disk::new() else { return };
    let folder = disk.folder();
    folder.make().unwrap();
    let paused = || std::fs::read_to_string(folder.root().join("paused")).ok();
    pause(&disk, true);
    assert_eq!(paused().as_deref(), Some("me"), "paused, it is paused after it");
    pause(&disk, false);
    assert_eq!(paused(), None, "let go on, nothing holds it after it");

    let key = folder.key().unwrap();
    let id = folder.keep_credential("first").unwrap();
    let kept = || std::fs::read_to_string(folder.credential(&id)).unwrap();
    disk.cut();
    disk.back();
    assert_eq!((folder.key().unwrap(), kept().as_str()), (key, "first"));
    folder.replace_credential(&id, "renewed").unwrap();
    disk.cut();
    disk.back();
    assert_eq!(kept(), "renewed");
}

/// The control of the database: the same file with a log that is not synced at each commit, as
/// SQLite's own documentation recommends it and many programs have it.
#[test]
fn without_a_sync_of_each_commit_an_acknowledged_row_is_gone() {
    let Some(disk) = Disk::new() else { return };
    let folder = disk.folder();
    folder.make().unwrap();
    let store = SqliteStore::open(&folder.database()).unwrap();
    let careless = Connection::open(folder.database()).unwrap();
    careless.execute_batch("PRAGMA synchronous = NORMAL").unwrap();
    assert!(store.insert("ours", &order(), Time(1)).unwrap());
    let copy = "INSERT INTO task SELECT 'careless', task_order, submitted, ended FROM task";
    assert_eq!(careless.execute(copy, []).unwrap(), 1);
    let there =
        |store: &SqliteStore| ["ours", "careless"].map(|name| store.row(name).unwrap().is_some());
    assert_eq!(there(&store), [true, true], "both were acknowledged, and anybody can read them");
    disk.cut();
    drop((store, careless));
    disk.back();
    assert_eq!(there(&SqliteStore::open(&folder.database()).unwrap()), [true, false]);
}
