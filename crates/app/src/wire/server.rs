//! A server's life: lock, store, self-tests, engine, socket, end.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use midwatch_core::admit::Limits;
use midwatch_local::folder::{FolderError, StateFolder};
use midwatch_local::server::{Fault, Server, Settings};
use midwatch_local::store::{SqliteStore, StoreError};
use midwatch_publish::{Git, Publisher, self_test};
use midwatch_web::{Bounds, ControlSocket, serve};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Mutex, RwLock, watch};

use super::desk::{Local, LocalDesk};
use super::doors::Doors;
use super::places::StoredPlaces;
use super::saved::Mirrors;
use crate::problem::{Problem, exit as code};

/// How long a server that may exit stays after the last question: a person's next command, or
/// a script's, mostly comes soon.
const IDLE: Duration = Duration::from_secs(20);
/// How long a server that ends goes on with answers under way and with what it is removing, both
/// together. Who comes next waits for the lock for longer.
const END_WAIT: Duration = Duration::from_secs(5);
/// How often it looks whether it may.
const LOOK: Duration = Duration::from_millis(500);

/// When a server ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Never.
    OnSignal,
    /// When nothing goes on and nobody asked for a while.
    WhenIdle(Duration),
}

impl Exit {
    /// The usual idle time, or another one in seconds.
    pub(crate) fn when_idle(seconds: Option<&str>) -> Self {
        let seconds = seconds.and_then(|seconds| seconds.parse().ok());
        Self::WhenIdle(seconds.map_or(IDLE, Duration::from_secs))
    }
}

/// Runs a server until its end. Whoever calls this holds the lock.
pub(crate) async fn run(
    folder: StateFolder,
    build: String,
    exit: Exit,
    limits: Limits,
) -> Result<(), Problem> {
    let fault = |error: &dyn std::fmt::Display| Problem::internal(error.to_string());
    folder.made_key().map_err(|error| unkeyed(&error))?;
    let store = Arc::new(SqliteStore::open(&folder.database()).map_err(|e| unopened(&e))?);
    let git = Git::find()
        .map_err(|error| Problem::cannot(error.to_string(), "install git 2.39 or later"))?;
    let git_fault = self_test(&git, folder.root()).err().map(|error| error.to_string());
    if let Some(fault) = &git_fault {
        tracing::error!(fault, "git.self_test");
    }
    let places = StoredPlaces { folder: folder.clone(), store: Arc::clone(&store) };
    let lands = Publisher::new(git.clone(), places);
    let doors = Doors::new(folder.clone());
    // By way of /proc a program that was replaced on disk still starts itself.
    let mut settings = Settings::new(PathBuf::from("/proc/self/exe"));
    settings.limits = limits;
    settings.point = super::crash::point;
    settings.sweep_groups = midwatch_runner::sweep_groups;
    settings.saved = Some(Arc::new(Mirrors { git: git.clone() }));
    let (server, driven): (Arc<Local>, _) =
        Server::start(folder.clone(), store, doors, lands, settings).map_err(|e| fault(&e))?;
    let (end, ended) = watch::channel(false);
    let desk = Arc::new(LocalDesk {
        server,
        folder: folder.clone(),
        git,
        build,
        git_fault,
        closing: RwLock::new(false),
        leaves: matches!(exit, Exit::WhenIdle(_)),
        end,
        followers: Arc::new(AtomicUsize::new(0)),
        asked: Mutex::new(Instant::now()),
    });
    // Before anybody can ask: who is answered may end us in order.
    let signals = Signals::new().map_err(|e| fault(&e))?;
    let socket = ControlSocket::listen(&folder.socket()).map_err(|e| fault(&e))?;
    tracing::info!(folder = %folder.root().display(), pid = std::process::id(), "server.started");
    let serving = serve(socket, Arc::clone(&desk), Bounds::default(), wait(ended));
    let mut driven = std::pin::pin!(driven);
    let result = tokio::select! {
        error = &mut driven => Err(fault(&error)),
        served = drain(serving, &folder, desk.end.subscribe()) => served.map_err(|e| fault(&e)),
        never = signals.end(&desk.end) => match never {},
        never = leave_when_idle(&desk, exit) => match never {},
    };
    // Whoever comes now starts a server of their own, which waits for our lock.
    ControlSocket::remove(&folder.socket());
    if let Ok(by) = &result {
        tidy(&desk.server, driven, *by).await;
    }
    tracing::info!("server.ended");
    result.map(drop)
}

/// A key that is damaged stays so; what cannot be read now may be read by the next start.
fn unkeyed(error: &FolderError) -> Problem {
    let exit = match error {
        FolderError::Key { .. } => code::CANNOT,
        FolderError::Busy(_) | FolderError::NotOurs { .. } | FolderError::Io { .. } => {
            code::INTERNAL
        }
    };
    Problem { exit, ..Problem::internal(error.to_string()) }
}

/// A database that cannot be opened: the exit code says whether another start may fare better,
/// which is what systemd looks at.
fn unopened(error: &StoreError) -> Problem {
    let exit = match error {
        StoreError::Newer { .. }
        | StoreError::Damaged { .. }
        | StoreError::Missing { .. }
        | StoreError::NoLog { .. } => code::CANNOT,
        StoreError::Sqlite(_)
        | StoreError::Row { .. }
        | StoreError::Object { .. }
        | StoreError::Fold { .. }
        | StoreError::Raced { .. }
        | StoreError::ReadOnly { .. }
        | StoreError::Locked { .. }
        | StoreError::Copy { .. } => code::INTERNAL,
    };
    Problem { exit, ..Problem::internal(error.to_string()) }
}

/// Removes what is of no more use before the end, so that nothing of it stays until the next
/// start. Runs go on by themselves.
async fn tidy(server: &Local, driven: impl Future<Output = Fault>, by: tokio::time::Instant) {
    let tidied = async {
        tokio::select! {
            error = driven => tracing::error!(%error, "server.failed at its end"),
            () = server.cleaned_up() => {}
        }
    };
    if tokio::time::timeout_at(by, tidied).await.is_err() {
        tracing::warn!("server.untidy: the next start goes on with it");
    }
}

async fn wait(mut ended: watch::Receiver<bool>) {
    // The sender lives as long as the desk.
    let _ = ended.wait_for(|ended| *ended).await;
}

/// Serves to the last answer, with the socket's file gone as soon as the end is decided; until
/// when the server may take for what is left.
async fn drain(
    serving: impl Future<Output = std::io::Result<()>>,
    folder: &StateFolder,
    ended: watch::Receiver<bool>,
) -> std::io::Result<tokio::time::Instant> {
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        biased;
        () = wait(ended) => {}
        // Decided meanwhile, and nobody was there.
        served = &mut serving => return served.map(|()| tokio::time::Instant::now() + END_WAIT),
    }
    ControlSocket::remove(&folder.socket());
    let by = tokio::time::Instant::now() + END_WAIT;
    // A client that never reads must not keep the server for ever.
    let Ok(served) = tokio::time::timeout_at(by, serving).await else {
        tracing::warn!("server.cut: an answer took too long");
        return Ok(by);
    };
    served.map(|()| by)
}

/// What asks a server to end, listened to from here on.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let (terminate, interrupt) = (SignalKind::terminate(), SignalKind::interrupt());
        Ok(Self { terminate: signal(terminate)?, interrupt: signal(interrupt)? })
    }

    /// Decides the end, as [`leave_when_idle`] does.
    async fn end(mut self, end: &watch::Sender<bool>) -> Infallible {
        tokio::select! { _ = self.terminate.recv() => {}, _ = self.interrupt.recv() => {} }
        tracing::info!("server.signalled: runs go on, the next server adopts them");
        // Who asks already is still answered, so nobody is refused for it.
        end.send_replace(true);
        std::future::pending().await
    }
}

/// Decides the end; the drain carries it out, so this never finishes first.
async fn leave_when_idle(desk: &LocalDesk, exit: Exit) -> Infallible {
    let Exit::WhenIdle(idle) = exit else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(LOOK).await;
        if desk.server.busy_tasks() == 0 && desk.idle().await >= idle && desk.close().await {
            return std::future::pending().await;
        }
    }
}
