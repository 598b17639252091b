//! The switch for everything while not all of a turn can be stored: what could not be is tried
//! again, and what never can be is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use midwatch_api::control::{Command, PauseAll, PausedAll, Refusal};
use midwatch_core::event::Event;
use midwatch_core::id::TaskName;
use midwatch_core::ports::Store as _;
use midwatch_core::time::Time;
use midwatch_local::folder::StateFolder;
use midwatch_local::server::{Server, Settings};
use midwatch_local::store::SqliteStore;

use super::faults::held;
use super::world::{Closed, Lands, PATIENCE, ended, opened, running, submit};

/// How often it was tried to store that a task goes on.
static TRIES: AtomicUsize = AtomicUsize::new(0);

fn count(place: &str, what: &str) {
    if (place, what) == ("before-store", "Resumed") {
        TRIES.fetch_add(1, Ordering::SeqCst);
    }
}

/// A server at which everything is paused, with tasks that rest.
struct Paused {
    server: Arc<Server<Closed, Lands>>,
    driven: tokio::task::JoinHandle<()>,
    folder: StateFolder,
    _home: tempfile::TempDir,
}

impl Paused {
    async fn new(tasks: &[&str], point: fn(&str, &str)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let (folder, store) = opened(home.path());
        let mut settings = Settings::new("/bin/false".into());
        settings.point = point;
        let (server, driven) =
            Server::start(folder.clone(), store, Closed, Lands::default(), settings).unwrap();
        let driven = tokio::spawn(async { drop(driven.await) });
        let paused = Self { server, driven, folder, _home: home };
        assert_eq!(paused.switch(true).unwrap().paused_by.as_deref(), Some("me"));
        for task in tasks {
            paused.server.submit(submit(task)).unwrap();
            paused.server.command(task, Command::Pause { by: "me".into() }).unwrap();
            // It rests.
            ended(&paused.server, task).await;
        }
        paused
    }

    fn switch(&self, paused: bool) -> Result<PausedAll, Refusal> {
        self.server.pause_all(&PauseAll { paused, by: "me".into() })
    }

    fn state(&self, task: &str) -> String {
        self.server.get(task).unwrap().result.state.unwrap()
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        self.driven.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_go_on_though_their_resume_could_not_be_stored_at_once() {
    let paused = Paused::new(&["a", "b", "c"], count).await;
    let other = held(&paused.folder.database());
    let told_of = paused.switch(false).unwrap();
    let why = told_of.unstored.unwrap();
    assert!(why.contains("another program") && why.contains("not every task"), "{why}");
    assert_eq!((told_of.paused_by, told_of.tasks), (None, vec![]));
    assert_eq!(paused.state("a"), "Held");
    assert_eq!(TRIES.load(Ordering::SeqCst), 1, "each of them would have waited as long");

    drop(other);
    let mut unstored = paused.server.unstored();
    let stored = unstored.wait_for(Option::is_none);
    tokio::time::timeout(PATIENCE, stored).await.unwrap().unwrap();
    for task in ["a", "b", "c"] {
        running(&paused.server, task).await;
    }
    assert_eq!(TRIES.load(Ordering::SeqCst), 4, "none was tried while somebody held the database");
    // The control: where all can be stored, nothing is left to be.
    assert_eq!(paused.switch(true).unwrap().unstored, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_cannot_be_told_of_the_switch_at_all_is_named() {
    let paused = Paused::new(&["a", "b"], midwatch_engine::pass).await;
    let store = SqliteStore::open(&paused.folder.database()).unwrap();
    let (name, seq) = (TaskName::parse("a").unwrap(), store.events("a", 0).unwrap().len() as u64);
    let event = Event::PauseRequested { by: "a second server".into() };
    store.append(&name, seq, &[event], Time(i64::MAX)).unwrap();
    let refusal = paused.switch(false).unwrap_err();
    let says = "everything goes on, but for a: the store failed: task a has more events";
    assert!(refusal.message.starts_with(says), "{refusal:?}");
    // The control: the other one was told.
    assert_ne!(paused.state("b"), "Held");
}
