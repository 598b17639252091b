//! The server: takes orders and decisions, drives the engine, lets people watch.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use midwatch_api::control::{self, Asked, Command, Refusal, Submit, Submitted, TaskPage, TaskView};
use midwatch_api::task::{CredentialRef, TaskOrder};
use midwatch_core::admit::{Limits, Observed};
use midwatch_core::event::Event;
use midwatch_core::id::{CommitId, TaskName};
use midwatch_core::input::InvalidInput;
use midwatch_core::ports::{ActOnLand, Clock as _};
use midwatch_core::task::State;
use midwatch_core::time::Time;
use midwatch_engine::{CommandError, Decided, Engine, EngineError, Ports, Seen};
use tokio::sync::{broadcast, mpsc};

use crate::access::Access;
use crate::folder::StateFolder;
use crate::launcher::{Launcher, Shown, SystemClock};
use crate::reserve::{RESERVE_BYTES, Reserve};
use crate::retain::{Policy, SavedWork};
use crate::store::{Cursor, Page, SqliteStore, StoreError, Stuck, TaskRow};
use crate::view;

mod apply;
mod clean;
mod collect;
mod delete;
mod drive;
mod follow;
mod followed;
mod missed;
mod shared;
mod switch;

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
    /// Held while what is no longer needed is collected.
    collecting: Mutex<()>,
    settings: Settings,
    reserve: Arc<Reserve>,
    /// Why nothing can be written, while that is so.
    stuck: Mutex<Option<Stuck>>,
}

/// What the operator, or a test, decides about a server.
#[derive(Clone)]
pub struct Settings {
    /// The executable that is started as `PROGRAM runner FOLDER`.
    pub program: std::path::PathBuf,
    /// How much goes on at once.
    pub limits: Limits,
    /// What the machine has left.
    pub observe: fn() -> Observed,
    /// Told before and after everything that is stored or done; see the engine's ports.
    pub point: fn(&str, &str),
    /// What is kept of tasks that are over.
    pub retention: Policy,
    /// Bytes of the disk that are kept for saving work.
    pub reserve_bytes: u64,
    /// Who knows the refs that save work; none leaves them alone.
    pub saved: Option<Arc<dyn SavedWork>>,
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
        Self {
            program,
            limits,
            observe: crate::machine::observed,
            point: midwatch_engine::pass,
            retention: Policy::default(),
            reserve_bytes: RESERVE_BYTES,
            saved: None,
        }
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
        crate::machine::watch(folder.root());
        let reserve = Arc::new(Reserve::new(folder.root(), settings.reserve_bytes));
        reserve.hold();
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
            observe: settings.observe,
            point: settings.point,
        };
        let engine = Engine::load(ports)?;
        engine.pause(switch::read(&folder));
        let shown = broadcast::Sender::new(SHOWN_KEPT);
        let keeping = Mutex::new(());
        // Before anything is stored, so that the clean-up sees every change.
        let changes = engine.changes();
        let cleaned = AtomicU64::new(0);
        let server = Arc::new(Self {
            engine,
            store,
            folder,
            shown,
            keeping,
            cleaned,
            collecting: Mutex::new(()),
            settings,
            reserve,
            stuck: Mutex::new(None),
        });
        let driven = Arc::clone(&server);
        Ok((server, async move {
            tokio::select! {
                fault = driven.drive() => fault,
                fault = driven.observe(told) => fault,
                fault = driven.clean_up(changes) => fault,
                fault = Self::tidy(&driven) => fault,
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
                // Tokens came back: its credential works, and others need not wait for its end.
                StreamEvent::Usage { output_tokens: 1.., .. } => {
                    Some(Event::ModelAnswered { run, epoch })
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
                && let Err(fault) = self.observed(&shown.task, event).await
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
            // Worth storing only while somebody waits for it.
            Event::ModelAnswered { .. } => self.engine.is_probing(&task, order),
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
        let _keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        let order = self.followed(self.keep(&submit)?)?;
        let kept = order.kept_ids().map(ToOwned::to_owned).collect();
        let taken = self.take(submit.name.as_deref(), order);
        // Refused, or attached to a task that is over.
        if !taken.as_ref().is_ok_and(|taken| !taken.attached) {
            self.forget_unnamed(kept);
        }
        taken
    }

    fn take(&self, asked: Option<&str>, order: TaskOrder) -> Result<Submitted, Refusal> {
        if let Some(name) = asked {
            TaskName::parse(name).map_err(refused)?;
            if let Some(row) = self.store.row(name).map_err(|e| internal(&e))? {
                return attach(&row, &order);
            }
        }
        let names = names(asked, &order);
        for name in names {
            // Every rule is checked before anything is stored.
            let spec = order.to_spec(&name).map_err(refused)?;
            self.name_is_free(&name)?;
            self.branch_is_free(&spec)?;
            let now = SystemClock.now();
            if self.store.insert(&name, &order, now).map_err(|e| stored(&e))? {
                self.engine.add(spec);
                return Ok(Submitted { task: name, attached: false });
            }
            if asked.is_some()
                && let Some(row) = self.store.row(&name).map_err(|e| internal(&e))?
            {
                return attach(&row, &order);
            }
        }
        Err(internal(&"no free name was found; pass --name"))
    }

    /// Keeps the credential that came with an order. Whoever calls this holds `keeping`.
    fn keep(&self, submit: &Submit) -> Result<TaskOrder, Refusal> {
        let mut order = submit.order.clone();
        if let Some(secret) = &submit.secret {
            let id = self.folder.keep_credential(secret).map_err(|e| internal(&e))?;
            let before = order.agent.credential.clone();
            let variable = match order.agent.credential.clone() {
                CredentialRef::Stored { variable, .. } => variable,
                CredentialRef::None
                | CredentialRef::ClaudeLogin { .. }
                | CredentialRef::CodexLogin { .. } => None,
            };
            order.agent.credential = CredentialRef::Stored { id, variable };
            // Another model, or another agent with the same key.
            for fallback in &mut order.fallbacks {
                if fallback.credential == before {
                    fallback.credential.clone_from(&order.agent.credential);
                }
            }
        }
        if let (Some(text), Some(proxy)) = (&submit.proxy, &mut order.proxy) {
            proxy.id = self.folder.keep_credential(text).map_err(|e| internal(&e))?;
        }
        if let (Some(login), Some(url)) = (&submit.login, order.repository.server()) {
            let text = format!("{}\n{}\n", login.user, login.password);
            let id = self.folder.keep_login(url, &text).map_err(|e| internal(&e))?;
            order.repository.set_login(Some(id));
        }
        if order.kept_ids().any(|id| !self.folder.credential(id).exists()) {
            return Err(Refusal {
                message: "the key of that order is not kept any more: its task is over".into(),
                hint: Some("run it again with the key in the environment".into()),
                exit: 6,
            });
        }
        Ok(order)
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

    /// A page of tasks, newest first, with the cursor of the next.
    pub fn tasks(&self, asked: Asked) -> Result<TaskPage, Refusal> {
        let Asked { limit, after, states } = asked;
        let after =
            after.map(|cursor| Cursor { submitted: Time(cursor.submitted_ms), name: cursor.name });
        // One more than asked for tells whether there is another page.
        let page = Page { limit: limit.saturating_add(1), after, states };
        let mut tasks = self.page(&page)?;
        let more = tasks.len() > limit as usize;
        tasks.truncate(limit as usize);
        let last = tasks.last().filter(|_| more);
        let next = last.map(|task| {
            let name = task.result.task.clone().unwrap_or_default();
            control::Cursor { submitted_ms: task.submitted_ms, name }.to_string()
        });
        Ok(TaskPage { tasks, next })
    }

    /// A page of tasks, newest first.
    pub fn page(&self, page: &Page) -> Result<Vec<TaskView>, Refusal> {
        let views = self.store.page(page).map_err(|e| internal(&e))?;
        Ok(views.into_iter().map(|view| self.placed(view)).collect())
    }

    /// One task.
    pub fn get(&self, name: &str) -> Result<TaskView, Refusal> {
        let view = self.store.view(name).map_err(|e| internal(&e))?;
        view.map(|view| self.placed(view)).ok_or_else(|| unknown(name))
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
            Command::Approve { commit, plan, by } => {
                let commit = commit.map(|commit| CommitId::parse(&commit)).transpose();
                let seen = commit.map_err(refused)?.map(Seen::Commit);
                (Decided::Approve(seen.or(plan.map(Seen::Plan))), by)
            }
            Command::Reject { feedback, by } => (Decided::Reject(feedback), by),
            Command::Resume { by, secret } => {
                if let Some(secret) = secret {
                    self.renew_credential(&name, &secret)?;
                }
                (Decided::Resume, by)
            }
            Command::Pause { by } => (Decided::Pause, by),
            Command::Answer { question, choice, by } => (Decided::Answer { question, choice }, by),
            Command::Message { text, by } => {
                midwatch_api::task::check_goal(&text)
                    .map_err(|error| refused(error.of("message")))?;
                (Decided::Message(text), by)
            }
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
            CommandError::Engine(EngineError::Store(error)) => stored(error),
            CommandError::Engine(fault @ EngineError::Replay { .. }) => internal(fault),
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
        let collecting = self.collecting.try_lock().is_err();
        self.engine.busy() + usize::from(cleaning) + usize::from(collecting)
    }

    pub(crate) fn row(&self, name: &str) -> Result<TaskRow, Refusal> {
        let row = self.store.row(name).map_err(|e| internal(&e))?;
        row.ok_or_else(|| unknown(name))
    }

    /// A view with what hangs on the moment: the queue, and what is on disk.
    pub(crate) fn placed(&self, view: TaskView) -> TaskView {
        let queued = view.result.state.as_deref() == Some(State::Queued.as_str());
        let name = view.result.task.as_deref().filter(|_| queued);
        let name = name.and_then(|name| TaskName::parse(name).ok());
        let waiting = name.and_then(|name| self.engine.waiting(&name));
        view::placed(view, &self.folder, waiting.as_ref())
    }
}

fn unknown(name: &str) -> Refusal {
    Refusal {
        message: format!("there is no task '{}'", midwatch_core::input::shown(name)),
        hint: Some("`midwatch get` lists them".into()),
        exit: 2,
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

/// What the store said, to a client.
pub(crate) fn stored(error: &StoreError) -> Refusal {
    match error.stuck() {
        Some(why) => Refusal {
            message: format!("{}: nothing can be stored now", why.as_str()),
            hint: Some("free some space or make it writable; the server goes on by itself".into()),
            exit: 6,
        },
        None => internal(error),
    }
}

fn internal(error: &dyn std::fmt::Display) -> Refusal {
    Refusal {
        message: error.to_string(),
        hint: Some("the server's log says more: server.log in the state folder".into()),
        exit: 1,
    }
}
