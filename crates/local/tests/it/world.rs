//! State folders of a test's own, orders to put into them, and what a server needs beside them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use midwatch_api::control::{FollowFrom, Submit};
use midwatch_api::task::TaskOrder;
use midwatch_api::view::Progress;
use midwatch_core::event::{Action, Event, LandAction};
use midwatch_core::ports::{Act, Seen};
use midwatch_core::reason::FailReason;
use midwatch_core::task::Task;
use midwatch_core::time::Time;
use midwatch_local::access::{Access, Door, Heard};
use midwatch_local::folder::StateFolder;
use midwatch_local::server::{Line, Server};
use midwatch_local::store::SqliteStore;
use rusqlite::Connection;
use tokio::sync::watch;

/// A database of schema version 1, as text.
pub(crate) const V1: &str = include_str!("golden/v1.sql");

/// A state folder that goes with the test.
pub(crate) struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// One whose database was written by some release.
    pub(crate) fn of(sql: &str) -> Self {
        let home = Self::new();
        home.plain().execute_batch(sql).unwrap();
        home
    }

    /// One whose database has a hundred tasks in it, whole in one file.
    pub(crate) fn filled() -> Self {
        let home = Self::new();
        let store = SqliteStore::open(&home.database()).unwrap();
        let order = order();
        for n in 0..100 {
            store.insert(&format!("t{n}"), &order, Time(n)).unwrap();
        }
        home
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where the database is.
    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("midwatch.db")
    }

    /// Where copies of it are.
    pub(crate) fn copies(&self) -> Vec<PathBuf> {
        let folder = self.folder.path().join("copies");
        let entries = std::fs::read_dir(folder).map(|entries| entries.flatten().collect());
        let entries: Vec<std::fs::DirEntry> = entries.unwrap_or_default();
        let paths = entries.into_iter().map(|entry| entry.path());
        // Looking at a copy leaves its log beside it.
        paths.filter(|path| path.extension().is_some_and(|kind| kind == "db")).collect()
    }

    /// A folder in it.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// SQLite without any of our settings.
    pub(crate) fn plain(&self) -> Connection {
        Connection::open(self.database()).unwrap()
    }
}

/// An order as a client of the first release sent it.
pub(crate) fn order() -> TaskOrder {
    let home = Home::of(V1);
    let read = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
    let json = home.plain().query_row("SELECT task_order FROM task LIMIT 1", [], read).unwrap();
    serde_json::from_str(&json).unwrap()
}

/// What a client hands over of a task of this name.
pub(crate) fn submit(name: &str) -> Submit {
    let mut order = serde_json::to_value(order()).unwrap();
    // Each task writes a branch of its own.
    order["branch"] = serde_json::Value::Null;
    let body = serde_json::json!({ "name": name, "order": order, "secret": null });
    serde_json::from_value(body).unwrap()
}

/// No way out of a sandbox.
pub(crate) struct Closed;

impl Access for Closed {
    fn open(&self, _door: &Door) -> Result<String, String> {
        Err("there are no doors in this test".into())
    }

    async fn close(&self, _run: &str) {}

    fn heard(&self, _run: &str, _log: &Path) -> Heard {
        Heard::default()
    }
}

/// Lands nothing: every landing of a task fails once the task is let go.
#[derive(Clone, Default)]
pub(crate) struct Lands {
    fetches: bool,
    go: Arc<watch::Sender<BTreeSet<String>>>,
}

impl Lands {
    /// One at which every base is there to be fetched.
    pub(crate) fn after_fetches() -> Self {
        Self { fetches: true, ..Self::default() }
    }

    /// One task, or all by the name `*`.
    pub(crate) fn let_go(&self, task: &str) {
        self.go.send_modify(|go| {
            go.insert(task.to_owned());
        });
    }
}

impl Act<LandAction> for Lands {
    async fn look(&self, _task: &Task, _action: &LandAction) -> Seen {
        Seen::Nothing
    }

    async fn perform(&self, task: &Task, action: &LandAction) -> Event {
        if self.fetches && matches!(action, LandAction::Fetch { .. }) {
            return Event::Fetched { lock_hash: String::new() };
        }
        let name = task.spec.name.as_str();
        let mut go = self.go.subscribe();
        // We hold a sender, so this ends with the task let go.
        go.wait_for(|go| go.contains("*") || go.contains(name)).await.unwrap();
        Event::LandFailed {
            key: Action::Land(action.clone()).key(),
            reason: FailReason::PushRejected,
            detail: "nothing lands here".into(),
        }
    }
}

/// The longest that anything may take here.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until a follower of a task is told something.
pub(crate) async fn told(
    server: &Arc<Server<Closed, Lands>>,
    task: &str,
    is: impl Fn(&Line) -> bool,
) {
    let mut lines = server.follow(task, FollowFrom::default()).unwrap();
    let heard = async { while !is(&lines.recv().await.unwrap()) {} };
    tokio::time::timeout(PATIENCE, heard).await.unwrap();
}

/// Waits until a task runs.
pub(crate) async fn running(server: &Arc<Server<Closed, Lands>>, task: &str) {
    told(server, task, |line| match line {
        Line::Progress(line) => {
            matches!(&line.progress, Progress::State { state, .. } if state == "Running")
        }
        Line::Result(_) => false,
    })
    .await;
}

/// Waits until a task is over.
pub(crate) async fn ended(server: &Arc<Server<Closed, Lands>>, task: &str) {
    told(server, task, |line| matches!(line, Line::Result(_))).await;
}

/// A new state folder at a place, and its open store.
pub(crate) fn opened(place: &Path) -> (StateFolder, Arc<SqliteStore>) {
    let folder = StateFolder::new(place.to_owned());
    folder.make().unwrap();
    let store = Arc::new(SqliteStore::open(&folder.database()).unwrap());
    (folder, store)
}
