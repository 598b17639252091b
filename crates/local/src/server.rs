//! The server: takes orders and decisions, drives the engine, lets people watch.

use std::sync::{Arc, Mutex};

use midwatch_api::control::PauseAll;
use midwatch_core::ports::ActOnLand;
use midwatch_engine::{Engine, EngineError, Ports};
use tokio::sync::{mpsc, watch};

use crate::access::Access;
use crate::folder::StateFolder;
use crate::launcher::{Launcher, SystemClock};
use crate::point::between;
use crate::reserve::Reserve;
use crate::store::{SqliteStore, StoreError, Stuck};

mod apply;
mod ask;
mod clean;
mod collect;
mod command;
mod damaged;
mod delete;
mod drive;
mod files;
mod follow;
mod followed;
mod keep;
mod missed;
mod observe;
mod refusal;
mod settings;
mod shared;
mod shipped;
mod submit;
mod switch;

use clean::Cleaned;
pub use follow::Line;
pub use settings::{DEFAULT_SLOTS, Settings};
use shared::SharedStore;

type LocalEngine<A, L> = Engine<SharedStore, Launcher<A>, L, SystemClock>;

/// One machine's server.
pub struct Server<A: Access, L: ActOnLand> {
    engine: LocalEngine<A, L>,
    store: Arc<SqliteStore>,
    folder: StateFolder,
    /// Held while a credential is kept or removed, until the task that names it is open.
    keeping: Mutex<()>,
    /// How far the clean-up has come.
    cleaned: watch::Sender<Cleaned>,
    /// Held while what is no longer needed is collected.
    collecting: Mutex<()>,
    settings: Settings,
    reserve: Arc<Reserve>,
    /// Why nothing can be written, while that is so.
    stuck: watch::Sender<Option<Stuck>>,
    /// Held while the switch for everything is turned.
    turning: Mutex<()>,
    /// How that switch was turned last, while not all of it could be stored.
    unstored: watch::Sender<Option<PauseAll>>,
}

/// What ends a server.
pub type Fault = EngineError<StoreError>;

impl<A: Access, L: ActOnLand> Server<A, L> {
    /// Makes something durable between two points.
    fn between<T>(&self, what: &str, act: impl FnOnce() -> T) -> T {
        between(self.settings.point, what, act)
    }

    /// Reads what is open and begins to drive it. The future ends only with a fault.
    pub fn start(
        folder: StateFolder,
        store: Arc<SqliteStore>,
        access: A,
        lands: L,
        settings: Settings,
    ) -> Result<(Arc<Self>, impl Future<Output = Fault> + Send), Fault> {
        let (tell, told) = mpsc::unbounded_channel();
        let reserve = Arc::new(Reserve::new(folder.root(), settings.reserve_bytes));
        reserve.hold();
        let (root, observe, kept) =
            (folder.root().to_owned(), settings.observe, Arc::clone(&reserve));
        let runs = Launcher {
            reserve: Arc::clone(&reserve),
            folder: folder.clone(),
            store: Arc::clone(&store),
            access,
            program: settings.program.clone(),
            shown: tell,
        };
        let ports = Ports {
            store: SharedStore(Arc::clone(&store)),
            runs,
            lands,
            clock: SystemClock,
            limits: settings.limits,
            observe: Box::new(move || kept.beside(observe(&root))),
            point: settings.point,
        };
        let engine = Engine::load(ports)?;
        tell_strays(&store, &folder);
        engine.pause(switch::read(&folder));
        let keeping = Mutex::new(());
        // Before anything is stored, so that the clean-up sees every change.
        let changes = engine.changes();
        let cleaned = watch::Sender::default();
        let server = Arc::new(Self {
            engine,
            store,
            folder,
            keeping,
            cleaned,
            collecting: Mutex::new(()),
            settings,
            reserve,
            stuck: watch::Sender::new(None),
            turning: Mutex::new(()),
            unstored: watch::Sender::new(None),
        });
        let driven = Arc::clone(&server);
        Ok((server, async move {
            tokio::select! {
                fault = driven.drive() => fault,
                fault = driven.observe(told) => fault,
                fault = driven.clean_up(changes) => fault,
                fault = Self::keep_switch(&driven) => fault,
                fault = Self::tidy(&driven) => fault,
            }
        }))
    }
}

/// Runs that the database does not know are left alone, and named.
fn tell_strays(store: &SqliteStore, folder: &StateFolder) {
    match store.strays(folder) {
        Ok(strays) if strays.is_empty() => {}
        Ok(strays) => tracing::warn!(
            runs = strays.len(),
            first = strays.first(),
            "store.runs_unknown: a part of the database was lost, such as its log"
        ),
        Err(error) => tracing::warn!(%error, "store.runs_unread"),
    }
}
