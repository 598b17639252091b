//! What a full or closed disk does to a server: it says what is wrong, reading goes on, and so
//! does everything else once it is mended.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use midwatch_api::control::{Apply, Command as ControlCommand, PauseAll, Refusal};
use midwatch_api::kind::Kind;
use midwatch_api::order::base::{MADE_FILE, made_text};
use midwatch_core::admit::Limits;
use midwatch_core::event::Event;
use midwatch_core::id::TaskName;
use midwatch_core::ports::Store as _;
use midwatch_core::time::Time;
use midwatch_local::folder::{FolderError, StateFolder};
use midwatch_local::server::{Server, Settings};
use midwatch_local::store::{Page, SqliteStore, StoreError, Stuck};

use super::all;
use crate::world::{Closed, Lands, PATIENCE, ended, opened, order, running, submit};

/// A small file system of its own; gone with the test.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    fn new(megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "midwatch-test"])
            .arg(folder.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            println!("NOT RUN: mounting a small file system needs root");
            return None;
        }
        Some(Self { folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn remount(&self, how: &str) {
        let options = format!("remount,{how}");
        let done = Command::new("mount").args(["-o", &options]).arg(self.path()).status();
        assert!(done.unwrap().success(), "remount,{how}");
    }

    /// Writes until nothing more fits.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut file = File::options().create(true).append(true).open(&path).unwrap();
        for size in [64 << 10, 4 << 10, 512, 1] {
            let piece = vec![b'x'; size];
            while file.write_all(&piece).is_ok() {}
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_the_work_and_not_the_server() {
    let Some(disk) = Disk::new(8) else { return };
    let (folder, store) = opened(disk.path());
    let lands = Lands::default();
    let mut settings = Settings::new("/bin/false".into());
    settings.reserve_bytes = 1 << 20;
    // Admission would wait for more room than this disk has.
    settings.limits = Limits::slots(4);
    let (server, driven) =
        Server::start(folder.clone(), Arc::clone(&store), Closed, lands.clone(), settings).unwrap();
    let mut driven = tokio::spawn(driven);
    let state = |name: &str| server.get(name).unwrap().result.state.unwrap();
    let over = || ["first", "second"].map(state).iter().filter(|state| *state == "Failed").count();
    for name in ["first", "second"] {
        server.submit(submit(name)).unwrap();
        running(&server, name).await;
    }
    assert!(folder.root().join("reserve").exists(), "room for saving is kept");

    let filler = disk.fill();
    // Room that the log still has is used up, too: then nothing is taken any more.
    let mut taken = 0;
    let refusal = loop {
        match server.submit(submit(&format!("more-{taken}"))) {
            Ok(_) => taken += 1,
            Err(refusal) => break refusal,
        }
        disk.fill();
        assert!(taken < 5000, "a full disk takes everything");
    };
    assert!(refusal.message.contains("disk is full") && refusal.exit == 6, "{refusal:?}");
    assert_eq!(all(&server).len(), taken + 2, "reading goes on");
    assert_eq!((state("first"), over()), ("Running".into(), 0));

    // What is open can still be written down: the reserve gives way for it.
    lands.let_go("first");
    ended(&server, "first").await;
    assert_eq!(over(), 1);
    assert!(!folder.root().join("reserve").exists());

    // With that full, too, nothing happens at all; and the server is there.
    disk.fill();
    lands.let_go("*");
    let mut stuck = server.stuck();
    let full = stuck.wait_for(|why| *why == Some(Stuck::Full));
    assert!(tokio::time::timeout(PATIENCE, full).await.is_ok(), "the engine is not stuck");
    assert_eq!(all(&server).len(), taken + 2, "reading goes on");
    assert!(!driven.is_finished(), "the server ended");

    // Mended without a restart.
    std::fs::remove_file(filler).unwrap();
    ended(&server, "second").await;
    assert_eq!(over(), 2);
    tokio::time::timeout(PATIENCE, stuck.wait_for(Option::is_none)).await.unwrap().unwrap();
    server.submit(submit("after")).unwrap();
    ended(&server, "after").await;
    driven.abort();
    let _ = (&mut driven).await;
    // Nothing was written twice or lost.
    for view in all(&server) {
        let events = store.events(view.result.task.as_deref().unwrap(), 0).unwrap();
        let places: Vec<u64> = events.iter().map(|stored| stored.seq).collect();
        assert_eq!(places, (1..=places.len() as u64).collect::<Vec<_>>());
        let fetches = events.iter().filter(|s| s.event.name() == "Fetch").count();
        assert!(fetches <= 1, "an intent was stored {fetches} times");
    }
}

#[test]
fn a_store_that_cannot_write_says_why_and_goes_on_when_it_can() {
    let Some(disk) = Disk::new(4) else { return };
    let store = SqliteStore::open(&disk.path().join("midwatch.db")).unwrap();
    let name = TaskName::parse("t").unwrap();
    store.insert("t", &order(), Time(1)).unwrap();
    let by = "x".repeat(20_000);
    let cancel = |store: &SqliteStore, after: u64| {
        store.append(&name, after, &[Event::CancelRequested { by: by.clone() }], Time(2))
    };
    cancel(&store, 0).unwrap();
    let filler = disk.fill();
    let mut after = 1;
    let error = loop {
        match cancel(&store, after) {
            Ok(_) => after += 1,
            Err(error) => break error,
        }
        assert!(after < 1000);
    };
    assert_eq!(error.stuck(), Some(Stuck::Full), "{error}");
    assert_eq!(store.events("t", 0).unwrap().len() as u64, after, "reading goes on");
    assert_eq!(store.page(&Page { limit: 9, ..Page::default() }).unwrap().len(), 1);
    std::fs::remove_file(filler).unwrap();
    cancel(&store, after).unwrap();
    // Whoever opens it next reads all of it.
    drop(store);
    let store = SqliteStore::open(&disk.path().join("midwatch.db")).unwrap();
    assert_eq!(store.events("t", 0).unwrap().len() as u64, after + 1);
}

const MANY: u32 = 12;

/// On a full disk, until the room that the database's log still has is used up, too.
fn refused<T: std::fmt::Debug>(disk: &Disk, mut change: impl FnMut(u32) -> Result<T, Refusal>) {
    let refusal = (0..5000).find_map(|number| {
        disk.fill();
        change(number).err()
    });
    let refusal = refusal.expect("a full disk takes everything");
    assert!(refusal.message.contains("disk is full") && refusal.exit == 6, "{refusal:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_each_change_is_refused_and_the_switch_works() {
    let Some(disk) = Disk::new(8) else { return };
    let (folder, store) = opened(disk.path());
    let mut settings = Settings::new("/bin/false".into());
    settings.reserve_bytes = 1 << 20;
    settings.limits = Limits::slots(0);
    let (server, driven) =
        Server::start(folder.clone(), store, Closed, Lands::default(), settings).unwrap();
    let driven = tokio::spawn(driven);
    // More of each than the room that is left in the database's log is for.
    for number in 0..MANY {
        let name = format!("over-{number}");
        server.submit(submit(&name)).unwrap();
        server.command(&name, ControlCommand::Cancel { by: "me".into() }).unwrap();
        ended(&server, &name).await;
    }
    let apply = |number: u32| {
        let metadata = serde_json::json!({ "name": format!("p-{number}") });
        let spec = serde_json::json!({"agent": "codex"});
        let object = serde_json::json!({"kind": Kind::Profile, "metadata": metadata, "spec": spec});
        let objects = vec![serde_json::from_value(object).unwrap()];
        server.apply(Apply { objects, tasks: vec![], dry_run: false })
    };
    let delete_object = |number: u32| server.delete_object(Kind::Profile, &format!("p-{number}"));
    let delete_task = |number: u32| server.delete_task(&format!("over-{number}"), "me");
    let switch = |paused: bool| server.pause_all(&PauseAll { paused, by: "me".into() });
    let written = || std::fs::read_to_string(folder.root().join("paused")).ok();
    for number in 0..MANY {
        apply(number).unwrap();
    }

    let filler = disk.fill();
    refused(&disk, |number| apply(MANY + number));
    refused(&disk, delete_object);
    refused(&disk, delete_task);
    let with_key = |number: u32| {
        let mut submit = submit(&format!("keyed-{number}"));
        submit.secret = Some(format!("a key {number}"));
        server.submit(submit)
    };
    refused(&disk, with_key);

    // The switch takes the room that is kept for saving; without that it holds all the same.
    let told = switch(true).unwrap();
    assert_eq!((told.paused_by.as_deref(), told.unstored), (Some("me"), None));
    assert_eq!(written().as_deref(), Some("me"));
    assert!(!folder.root().join("reserve").exists());
    switch(false).unwrap();
    disk.fill();
    let told = switch(true).unwrap();
    assert_eq!((told.paused_by.as_deref(), written()), (Some("me"), None));
    assert!(told.unstored.is_some_and(|why| why.contains("does not outlive a restart")));

    // The control: with room everything is taken, and the pause is written down by itself.
    std::fs::remove_file(filler).unwrap();
    let mut unstored = server.unstored();
    let stored = unstored.wait_for(Option::is_none);
    tokio::time::timeout(PATIENCE, stored).await.unwrap().unwrap();
    assert_eq!(written().as_deref(), Some("me"));
    assert_eq!(switch(true).unwrap().unstored, None);
    apply(9999).unwrap();
    delete_object(MANY - 1).unwrap();
    delete_task(MANY - 1).unwrap();
    with_key(9999).unwrap();
    driven.abort();
}

/// A full disk of another kind: there is room for what a task needs, and none for what is kept
/// beside it.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_room_on_the_disk_says_so() {
    let Some(disk) = Disk::new(8) else { return };
    let (folder, store) = opened(disk.path());
    let filler = disk.path().join("filler");
    std::fs::write(&filler, vec![b'x'; 5 << 20]).unwrap();
    let start = |limits: Limits, reserve_bytes: u64| {
        let mut settings = Settings::new("/bin/false".into());
        (settings.reserve_bytes, settings.limits) = (reserve_bytes, limits);
        let (folder, store) = (folder.clone(), Arc::clone(&store));
        let lands = Lands::after_fetches();
        let (server, driven) = Server::start(folder, store, Closed, lands, settings).unwrap();
        (server, tokio::spawn(driven))
    };
    let asks = |name: &str| {
        let mut submit = submit(name);
        submit.order.pipeline = midwatch_api::pipeline::shipped("answer").unwrap().unwrap();
        (submit.order.checks, submit.order.setup) = (vec![], None);
        submit
    };
    let identity = order().repository.identity().to_owned();
    let base = folder.base(&identity, &order().base);
    std::fs::create_dir_all(base.join(".git")).unwrap();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    std::fs::write(base.join(MADE_FILE), made_text(&boot, "t-checkout-1", 1, 7)).unwrap();

    // It is not let in for room that is not its own.
    let limits = Limits { task_disk: 1 << 20, ..Limits::slots(4) };
    let (server, driven) = start(limits, 2 << 20);
    server.submit(asks("queued")).unwrap();
    let waits = |server: &Server<Closed, Lands>, name: &str| {
        let view = server.get(name).unwrap();
        (view.result.state.unwrap(), view.waiting.map(|waiting| waiting.reason))
    };
    assert_eq!(waits(&server, "queued"), ("Queued".into(), Some("DiskLow".into())));
    driven.abort();
    let _ = driven.await;

    // Let in all the same, its agent does not begin, and that is said.
    let (server, driven) = start(Limits::slots(4), 2 << 20);
    let said = async {
        while waits(&server, "queued").1.as_deref() != Some("DiskLow") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, said).await.unwrap();
    let view = server.get("queued").unwrap();
    assert_eq!(view.result.state.as_deref(), Some("Running"));
    assert!(view.explain.contains("no room to save"), "{}", view.explain);
    // The control: with room it begins.
    std::fs::remove_file(filler).unwrap();
    let begun = async {
        while waits(&server, "queued").1.as_deref() == Some("DiskLow") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, begun).await.unwrap();
    driven.abort();
}

#[test]
fn a_read_only_state_folder_is_refused_with_its_cause_and_a_fix() {
    let Some(disk) = Disk::new(4) else { return };
    let folder = StateFolder::new(disk.path().join("state"));
    folder.make().unwrap();
    drop(SqliteStore::open(&folder.database()).unwrap());
    disk.remount("ro");
    let locked = folder.lock();
    assert!(matches!(&locked, Err(FolderError::Io { .. })), "{locked:?}");
    let text = locked.unwrap_err().to_string();
    assert!(text.contains("Read-only") && text.contains("MIDWATCH_HOME"), "{text}");
    let error = SqliteStore::open(&folder.database()).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
    assert!(error.to_string().contains("make its folder writable"), "{error}");
    // The control: writable again, both succeed.
    disk.remount("rw");
    let _lock = folder.lock().unwrap();
    SqliteStore::open(&folder.database()).unwrap();
}
