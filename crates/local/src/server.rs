//! The server: takes orders and decisions, drives the engine, lets people watch.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use midwatch_api::control::{Command, Refusal, Submit, Submitted, TaskView};
use midwatch_api::task::{CredentialRef, TaskOrder};
use midwatch_core::admit::{Limits, Observed};
use midwatch_core::event::Event;
use midwatch_core::id::{CommitId, TaskName};
use midwatch_core::input::InvalidInput;
use midwatch_core::ports::{ActOnLand, Clock as _};
use midwatch_core::task::Task;
use midwatch_engine::{CommandError, Decided, Engine, EngineError, Ports, Seen};
use tokio::sync::{broadcast, mpsc};

use crate::access::Access;
use crate::folder::StateFolder;
use crate::launcher::{Launcher, Shown, SystemClock};
use crate::store::{SqliteStore, StoreError, TaskRow};
use crate::view;

mod clean;
mod follow;
mod shared;

pub use follow::Line;
use shared::SharedStore;

/// How many events of agents a slow listener may lag behind.
const SHOWN_KEPT: usize = 4096;
/// Names tried for a goal before giving up.
const NAME_TRIES: u32 = 1000;

/// Tasks that run at once, when the operator does not say.
pub const DEFAULT_SLOTS: usize = 4;
/// Bytes of disk that are kept for each running task: its workspace and, above all, its rescue.
const TASK_DISK: u64 = 512 << 20;
/// Bytes of memory that have to be free for one more task: what the leanest agent CLI was seen to
/// use, and as much again for what it starts.
const TASK_MEMORY: u64 = 512 << 20;
/// Bytes of disk that stay free whatever runs, for the database and the logs.
const SPARE_DISK: u64 = 256 << 20;

type LocalEngine<A, L> = Engine<SharedStore, Launcher<A>, L, SystemClock>;

/// One machine's server.
pub struct Server<A: Access, L: ActOnLand> {
    engine: LocalEngine<A, L>,
    store: Arc<SqliteStore>,
    folder: StateFolder,
    shown: broadcast::Sender<Shown>,
    /// Held while a credential is kept or removed, until the task that names it is open.
    keeping: Mutex<()>,
    /// How many of the engine's changes the clean-up has seen.
    cleaned: AtomicU64,
}

/// What the operator, or a test, decides about a server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The executable that is started as `PROGRAM runner FOLDER`.
    pub program: std::path::PathBuf,
    /// How much goes on at once.
    pub limits: Limits,
    /// What the machine has left.
    pub observe: fn() -> Observed,
    /// Told before and after everything that is stored or done; see the engine's ports.
    pub point: fn(&str, &str),
}

impl Settings {
    /// The usual ones.
    pub fn new(program: std::path::PathBuf) -> Self {
        let limits = Limits {
            task_disk: TASK_DISK,
            task_memory: TASK_MEMORY,
            spare_disk: SPARE_DISK,
            ..Limits::slots(DEFAULT_SLOTS)
        };
        Self { program, limits, observe: Observed::default, point: midwatch_engine::pass }
    }
}

/// What ends a server.
pub type Fault = EngineError<StoreError>;

impl<A: Access, L: ActOnLand> Server<A, L> {
    /// Reads what is open and begins to drive it. The future ends only with a fault.
    pub fn start(
        folder: StateFolder,
        store: Arc<SqliteStore>,
        access: A,
        lands: L,
        settings: Settings,
    ) -> Result<(Arc<Self>, impl Future<Output = Fault> + Send), Fault> {
        let (tell, told) = mpsc::unbounded_channel();
        let runs = Launcher {
            folder: folder.clone(),
            store: Arc::clone(&store),
            access,
            program: settings.program,
            shown: tell,
        };
        let ports = Ports {
            store: SharedStore(Arc::clone(&store)),
            runs,
            lands,
            clock: SystemClock,
            limits: settings.limits,
            observe: settings.observe,
            point: settings.point,
        };
        let engine = Engine::load(ports)?;
        let shown = broadcast::Sender::new(SHOWN_KEPT);
        let keeping = Mutex::new(());
        // Before anything is stored, so that the clean-up sees every change.
        let changes = engine.changes();
        let cleaned = AtomicU64::new(0);
        let server = Arc::new(Self { engine, store, folder, shown, keeping, cleaned });
        let driven = Arc::clone(&server);
        Ok((server, async move {
            tokio::select! {
                fault = driven.engine.run() => fault,
                fault = driven.observe(told) => fault,
                fault = driven.clean_up(changes) => fault,
            }
        }))
    }

    /// What agents show goes to those who watch; what the engine has to know goes there, too.
    async fn observe(&self, mut told: mpsc::UnboundedReceiver<Shown>) -> Fault {
        use midwatch_api::report::StreamEvent;
        while let Some(shown) = told.recv().await {
            let (run, epoch) = (shown.run.clone(), shown.epoch);
            let event = match &shown.event {
                StreamEvent::Session { session, .. } => {
                    Some(Event::SessionKnown { run, epoch, session: session.clone() })
                }
                StreamEvent::Checkpoint { number } => {
                    Some(Event::CheckpointSeen { run, epoch, number: *number })
                }
                StreamEvent::Phase { .. }
                | StreamEvent::Text { .. }
                | StreamEvent::Tool { .. }
                | StreamEvent::ToolDone { .. }
                | StreamEvent::Retrying { .. }
                | StreamEvent::Usage { .. }
                | StreamEvent::Limit { .. }
                | StreamEvent::Warning { .. }
                | StreamEvent::Finished { .. } => None,
            };
            if let Some(event) = event
                && self.is_news(&shown, &event)
                && let Err(fault) = self.engine.observe(&shown.task, event)
            {
                return fault;
            }
            // Nobody may be watching.
            let _ = self.shown.send(shown);
        }
        std::future::pending().await
    }

    /// An adopted run's file is read from its beginning: what is known already is not stored
    /// again.
    fn is_news(&self, shown: &Shown, event: &Event) -> bool {
        let Some(task) = self.engine.task(&shown.task) else {
            return false;
        };
        let Some(order) = task.open_run(&shown.run) else {
            return false;
        };
        match event {
            Event::SessionKnown { session, .. } => task.session_of(order) != Some(session.as_str()),
            Event::CheckpointSeen { number, epoch, .. } => {
                let saved = task.checkpoints_saved.get(epoch).is_some_and(|last| last >= number);
                let seen =
                    task.checkpoint.as_ref().is_some_and(|(_, at, n)| at == epoch && n >= number);
                !saved && !seen
            }
            _ => true,
        }
    }

    /// Takes an order. It is durable when this returns.
    pub fn submit(&self, submit: Submit) -> Result<Submitted, Refusal> {
        let mut order = submit.order;
        let _keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(secret) = &submit.secret {
            let id = self.folder.keep_credential(secret).map_err(|e| internal(&e))?;
            let variable = match order.agent.credential {
                CredentialRef::Stored { variable, .. } => variable,
                CredentialRef::None
                | CredentialRef::ClaudeLogin { .. }
                | CredentialRef::CodexLogin { .. } => None,
            };
            order.agent.credential = CredentialRef::Stored { id, variable };
        } else if let CredentialRef::Stored { id, .. } = &order.agent.credential
            && !self.folder.credential(id).exists()
        {
            return Err(Refusal {
                message: "the key of that order is not kept any more: its task is over".into(),
                hint: Some("run it again with the key in the environment".into()),
                exit: 6,
            });
        }
        if let Some(name) = &submit.name {
            TaskName::parse(name).map_err(refused)?;
            if let Some(row) = self.store.row(name).map_err(|e| internal(&e))? {
                return attach(&row, &order);
            }
        }
        let names = names(submit.name.as_deref(), &order);
        for name in names {
            // Every rule is checked before anything is stored.
            let spec = order.to_spec(&name).map_err(refused)?;
            self.branch_is_free(&spec)?;
            let now = SystemClock.now();
            if self.store.insert(&name, &order, now).map_err(|e| internal(&e))? {
                self.engine.add(spec);
                return Ok(Submitted { task: name, attached: false });
            }
            if submit.name.is_some()
                && let Some(row) = self.store.row(&name).map_err(|e| internal(&e))?
            {
                return attach(&row, &order);
            }
        }
        Err(internal(&"no free name was found; pass --name"))
    }

    /// Two open tasks never write one branch.
    fn branch_is_free(&self, spec: &midwatch_core::task::TaskSpec) -> Result<(), Refusal> {
        let taken = self
            .engine
            .queue()
            .entries
            .into_iter()
            .find(|entry| entry.repository == spec.repository && entry.branch == spec.branch);
        match taken {
            None => Ok(()),
            Some(entry) => Err(refused(InvalidInput::new(
                "--branch",
                spec.branch.as_str(),
                &format!("is being written by task {}", entry.name),
                "give another name, or wait for it",
            ))),
        }
    }

    /// Tasks, newest first.
    pub fn list(&self, limit: u32) -> Result<Vec<TaskView>, Refusal> {
        let rows = self.store.rows(limit).map_err(|e| internal(&e))?;
        rows.iter().map(|row| self.view(row)).collect()
    }

    /// One task.
    pub fn get(&self, name: &str) -> Result<TaskView, Refusal> {
        self.view(&self.row(name)?)
    }

    /// The stored order of a task.
    pub fn order(&self, name: &str) -> Result<TaskOrder, Refusal> {
        Ok(self.row(name)?.order)
    }

    /// Takes a decision of somebody.
    pub fn command(&self, name: &str, command: Command) -> Result<(), Refusal> {
        self.row(name)?;
        let name = TaskName::parse(name).map_err(refused)?;
        let (decided, by) = match command {
            Command::Cancel { by } => (Decided::Cancel, by),
            Command::Approve { commit, by } => {
                let commit = commit.map(|commit| CommitId::parse(&commit)).transpose();
                (Decided::Approve(commit.map_err(refused)?.map(Seen::Commit)), by)
            }
            Command::Reject { feedback, by } => (Decided::Reject(feedback), by),
            Command::Resume { by } => (Decided::Resume, by),
        };
        self.engine.command(&name, decided, &by).map_err(|error| match &error {
            CommandError::NotOpen
            | CommandError::NotNow { .. }
            | CommandError::AnotherCommit(_)
            | CommandError::AnotherPlan(_)
            | CommandError::OpenQuestions(_)
            | CommandError::NoSuchAnswer(_) => Refusal {
                message: error.to_string(),
                hint: Some(format!("`midwatch explain {name}` says where it stands")),
                exit: 2,
            },
            CommandError::Engine(fault) => internal(fault),
        })
    }

    /// Kills the open runs of a task at once; what their agents wrote is rescued after that.
    /// Returns the names of the killed runs.
    pub fn kill(&self, name: &str) -> Result<Vec<String>, Refusal> {
        self.row(name)?;
        let name = TaskName::parse(name).map_err(refused)?;
        let Some(task) = self.engine.task(&name) else { return Ok(vec![]) };
        let mut killed = Vec::new();
        for order in task.open_runs() {
            let folder = self.folder.run(order.run.as_str());
            if crate::launcher::process::kill(&folder).map_err(|e| internal(&e))? {
                killed.push(order.run.as_str().to_owned());
            }
        }
        Ok(killed)
    }

    /// Tasks that are not over.
    pub fn open_tasks(&self) -> usize {
        self.engine.open()
    }

    /// Tasks that something will happen to without anybody's help, and one more while there is
    /// something to clean up: a server with none may exit.
    pub fn busy_tasks(&self) -> usize {
        let cleaning = self.engine.told() != self.cleaned.load(Ordering::SeqCst);
        self.engine.busy() + usize::from(cleaning)
    }

    pub(crate) fn row(&self, name: &str) -> Result<TaskRow, Refusal> {
        let row = self.store.row(name).map_err(|e| internal(&e))?;
        row.ok_or_else(|| Refusal {
            message: format!("there is no task '{}'", midwatch_core::input::shown(name)),
            hint: Some("`midwatch get` lists them".into()),
            exit: 2,
        })
    }

    /// A task as it stands: the live one, or the one that its events make.
    pub(crate) fn task_of(&self, row: &TaskRow) -> Result<Task, Refusal> {
        let name = TaskName::parse(&row.name).map_err(refused)?;
        if let Some(task) = self.engine.task(&name) {
            return Ok(task);
        }
        let spec = row.order.to_spec(&row.name).map_err(refused)?;
        let events = self.store.events(&row.name, 0).map_err(|e| internal(&e))?;
        Task::replay(spec, events.iter().map(|stored| &stored.event)).map_err(|e| internal(&e))
    }

    fn view(&self, row: &TaskRow) -> Result<TaskView, Refusal> {
        let task = self.task_of(row)?;
        let events = self.store.events(&row.name, 0).map_err(|e| internal(&e))?;
        let waiting = self.engine.waiting(&task.spec.name);
        Ok(view::task(&task, row, &events, &self.folder, waiting.as_ref()))
    }
}

fn names(asked: Option<&str>, order: &TaskOrder) -> Vec<String> {
    match asked {
        Some(name) => vec![name.to_owned()],
        None => (1..=NAME_TRIES)
            .map(|n| {
                let seed = format!("{}\0{}\0{n}", order.goal, SystemClock.now().0);
                let suffix = &crate::folder::key_of(&seed)[..4];
                TaskName::from_goal(&order.goal, suffix).as_str().to_owned()
            })
            .collect(),
    }
}

fn attach(row: &TaskRow, order: &TaskOrder) -> Result<Submitted, Refusal> {
    // The same key from another variable is the same key.
    let compared = |order: &TaskOrder| {
        let mut order = order.clone();
        if let CredentialRef::Stored { variable, .. } = &mut order.agent.credential {
            *variable = None;
        }
        order
    };
    if compared(&row.order) == compared(order) {
        return Ok(Submitted { task: row.name.clone(), attached: true });
    }
    Err(refused(InvalidInput::new(
        "--name",
        &row.name,
        "belongs to a task with another order",
        "give another name, or the same goal and flags as before",
    )))
}

fn refused(error: InvalidInput) -> Refusal {
    Refusal { message: error.to_string(), hint: None, exit: 2 }
}

fn internal(error: &dyn std::fmt::Display) -> Refusal {
    Refusal {
        message: error.to_string(),
        hint: Some("the server's log says more: server.log in the state folder".into()),
        exit: 1,
    }
}
