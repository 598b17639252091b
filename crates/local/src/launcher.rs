//! Acts on runs by starting runner processes, one folder each. A server may die and come back:
//! the runner goes on, and the next server finds it by its folder.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use midwatch_api::report::{EVENTS_FILE, REPORT_FILE, Report, STOP_FILE, StreamEvent};
use midwatch_api::task::TaskOrder;
use midwatch_core::event::{Event, RunOrder, RunResult, RunWork};
use midwatch_core::id::{RunName, TaskName};
use midwatch_core::ports::{Act, ActOnRun, Clock as _, Seen};
use midwatch_core::reason::FailReason;
use midwatch_core::task::Task;
use tokio::sync::mpsc;

use crate::access::{Access, Heard};
use crate::bases;
use crate::folder::StateFolder;
use crate::reserve::Reserve;
use crate::segment::Stream;
use crate::store::SqliteStore;
use crate::sweep::touch;

mod check_cache;
mod clock;
mod heard;
mod meant;
mod orders;
mod outcome;
pub(crate) mod process;
pub(crate) mod tail;

pub use clock::SystemClock;
pub use outcome::result_of;

/// How long an agent waits for room on the disk before its task fails: somebody who was told has
/// half an hour to make some.
const ROOM_WAIT: Duration = Duration::from_mins(30);
/// Between two tries to open the door of a run that goes on.
const DOOR_PACE: Duration = Duration::from_secs(2);
/// Between two looks for it: a disk does not tell when somebody made room on it.
const ROOM_PACE: Duration = Duration::from_secs(5);

/// Something that a running agent showed and the engine has to know.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The task.
    pub task: TaskName,
    /// The run.
    pub run: RunName,
    /// What it means to the task.
    pub event: Event,
}

/// Starts, adopts and stops runners.
pub struct Launcher<A> {
    /// Where everything is.
    pub folder: StateFolder,
    /// Orders and cached checks.
    pub store: Arc<SqliteStore>,
    /// Opens doors.
    pub access: A,
    /// The executable that is started as `PROGRAM runner FOLDER`.
    pub program: PathBuf,
    /// Room for saving what agents do.
    pub reserve: Arc<Reserve>,
    /// Where what the engine has to know of agents is sent.
    pub shown: mpsc::UnboundedSender<Shown>,
}

impl<A: Access> Act<RunOrder> for Launcher<A> {
    async fn look(&self, task: &Task, order: &RunOrder) -> Seen {
        let folder = self.folder.run(order.run.as_str());
        if let Some(report) = read_report(&folder) {
            return Seen::Done(Box::new(self.ended(task, order, &report)));
        }
        if process::lives(&folder).await {
            return Seen::GoesOn;
        }
        if process::was_started(&folder) {
            // It may have ended between the two looks above.
            return Seen::Done(Box::new(self.came_to(task, order, &folder)));
        }
        match self.already_there(task, order) {
            Some(event) => Seen::Done(Box::new(event)),
            None => Seen::Nothing,
        }
    }

    async fn perform(&self, task: &Task, order: &RunOrder) -> Event {
        let folder = self.folder.run(order.run.as_str());
        let carried_out = self.carry_out(task, order, &folder).await;
        // What the gateway saw is whole once it is closed.
        self.access.close(order.run.as_str()).await;
        // Empty by now; most runs never had one.
        let _ = std::fs::remove_dir(self.folder.door(order.run.as_str()));
        match carried_out {
            Ok(()) => self.came_to(task, order, &folder),
            Err(Problem { reason, detail }) => ended(order, RunResult::Failed { reason, detail }),
        }
    }
}

impl<A: Access> ActOnRun for Launcher<A> {
    async fn stop(&self, run: &RunName) {
        let file = self.folder.run(run.as_str()).join(STOP_FILE);
        // The runner looks for this file; where the folder is not there yet, it is made, and
        // the runner stops as it starts.
        let written = std::fs::create_dir_all(self.folder.run(run.as_str()))
            .and_then(|()| std::fs::write(&file, b""));
        if let Err(error) = written {
            tracing::warn!(%run, %error, "could not ask the run to stop");
        }
    }
}

/// What kept a run from being carried out.
struct Problem {
    reason: FailReason,
    detail: String,
}

impl Problem {
    fn internal(detail: impl std::fmt::Display) -> Self {
        Self { reason: FailReason::Internal, detail: detail.to_string() }
    }

    fn io(step: &str, error: &io::Error) -> Self {
        let full =
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let reason = if full { FailReason::Disk } else { FailReason::Internal };
        Self { reason, detail: format!("{step}: {error}") }
    }
}

impl<A: Access> Launcher<A> {
    async fn carry_out(&self, task: &Task, order: &RunOrder, folder: &Path) -> Result<(), Problem> {
        let child = if process::lives(folder).await {
            None
        } else {
            Some(self.start(task, order, folder).await?)
        };
        let adopted = child.is_none();
        let tell = |event: StreamEvent| {
            if let Some(event) = meant::meant(order, &event) {
                let (task, run) = (task.spec.name.clone(), order.run.clone());
                // The server may be closing; what was shown stays in the file.
                let _ = self.shown.send(Shown { task, run, event });
            }
        };
        let full = |over| self.index(order, folder, over);
        let watch = |stopped| tail::follow(folder.to_owned(), tell, full, stopped);
        let waited = process::wait(folder, child, watch);
        let waited = async { waited.await.map_err(|e| Problem::io("waiting", &e)) };
        if !adopted {
            return waited.await;
        }
        // A runner that lives goes on whatever is wrong with its door: its agent asks in vain
        // until that is mended.
        let reopened = async {
            while let Err(Problem { detail, .. }) = self.open_again(task, order) {
                tracing::warn!(run = %order.run, detail, "run.closed: its door cannot be opened");
                tokio::time::sleep(DOOR_PACE).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            waited = waited => waited,
            () = reopened => Ok(()),
        }
    }

    /// Starts a runner with its order.
    async fn start(
        &self,
        task: &Task,
        order: &RunOrder,
        folder: &Path,
    ) -> Result<tokio::process::Child, Problem> {
        let name = task.spec.name.as_str();
        let wanted = self.stored(name)?;
        let token = self.open_door(order, &wanted)?;
        self.make_room(name, order, folder).await?;
        let built = orders::build(&self.folder, task, order, &wanted, token)?;
        process::write_order(folder, &built).map_err(|e| Problem::io("writing the order", &e))?;
        let started = process::start(&self.program, folder);
        started.map_err(|e| Problem::io("starting the runner", &e))
    }

    /// Opens the door of a run that another server started.
    fn open_again(&self, task: &Task, order: &RunOrder) -> Result<(), Problem> {
        let wanted = self.stored(task.spec.name.as_str())?;
        self.open_door(order, &wanted).map(drop)
    }

    /// The order of a task as it was taken.
    fn stored(&self, name: &str) -> Result<TaskOrder, Problem> {
        let row = self.store.row(name).map_err(Problem::internal)?;
        let row = row.ok_or_else(|| Problem::internal("the task has no stored order"))?;
        Ok(row.order)
    }

    /// What a run came to that is over.
    fn came_to(&self, task: &Task, order: &RunOrder, folder: &Path) -> Event {
        match read_report(folder) {
            Some(report) => self.ended(task, order, &report),
            None => lost(order, folder),
        }
    }

    /// What was heard of the run's model; nothing of a run that has none.
    fn heard(&self, order: &RunOrder, wanted: &TaskOrder) -> Heard {
        let of_model =
            orders::door(&self.folder, order, wanted).filter(|door| door.model.is_some());
        of_model.map(|door| self.access.heard(&door.run, &door.log)).unwrap_or_default()
    }

    /// No agent begins before there is room to save what it does; a rescue may take that room.
    /// Waiting ends with a stop, with room, or as a failure that names the disk.
    async fn make_room(&self, task: &str, order: &RunOrder, folder: &Path) -> Result<(), Problem> {
        match &order.work {
            RunWork::Agent(_) => {}
            RunWork::Rescue { .. } => {
                if self.reserve.is_needed() {
                    self.reserve.release();
                }
                return Ok(());
            }
            RunWork::Checkout { .. } | RunWork::Setup { .. } | RunWork::Check { .. } => {
                return Ok(());
            }
        }
        let began = std::time::Instant::now();
        let mut waits = None;
        while !self.reserve.hold() {
            waits.get_or_insert_with(|| self.reserve.wait(task));
            if folder.join(STOP_FILE).exists() || began.elapsed() > ROOM_WAIT {
                return Err(Problem {
                    reason: FailReason::Disk,
                    detail: "the disk is too full to save what an agent would do".to_owned(),
                });
            }
            tracing::warn!(run = order.run.as_str(), "run.waits_for_disk");
            tokio::time::sleep(ROOM_PACE).await;
        }
        Ok(())
    }

    /// Writes down what is in the files of the run's events that are full.
    fn index(&self, order: &RunOrder, folder: &Path, over: bool) {
        let run = order.run.as_str();
        let stream = Stream::new(&self.store, folder, run, EVENTS_FILE);
        if let Err(error) = stream.index(over) {
            // Whoever reads does it again.
            tracing::warn!(run, %error, "a transcript was not indexed");
        }
    }

    /// Opens the run's door where its kind of work has one. Doors are opened again for an
    /// adopted run, with the same token.
    fn open_door(&self, order: &RunOrder, wanted: &TaskOrder) -> Result<Option<String>, Problem> {
        let door = orders::door(&self.folder, order, wanted);
        door.map(|door| self.access.open(&door).map_err(Problem::internal)).transpose()
    }

    /// The stored order of a task, where it can be read.
    fn wanted(&self, task: &Task) -> Option<TaskOrder> {
        let name = task.spec.name.as_str();
        let wanted = self.stored(name);
        wanted.map_err(|Problem { detail, .. }| tracing::warn!(name, detail, "order.unread")).ok()
    }

    fn ended(&self, task: &Task, order: &RunOrder, report: &Report) -> Event {
        let wanted = self.wanted(task);
        let layer = wanted.as_ref().and_then(|wanted| orders::layer_of(task, order, wanted));
        let mut result = result_of(order, report, layer);
        if let RunResult::Agent(agent) = &mut result {
            // Without the order nobody knows what to listen to, and what an agent says alone of
            // its provider is not believed.
            let unheard = Heard { whole: true, ..Heard::default() };
            let heard = wanted.as_ref().map(|wanted| self.heard(order, wanted));
            let heard = &heard.unwrap_or(unheard);
            let now = SystemClock.now().0 / 1_000;
            agent.outcome = heard::judged(agent.outcome.clone(), heard, now);
        }
        let event = ended(order, result);
        if let Some(wanted) = &wanted {
            check_cache::keep(self, task, order, wanted, &event);
        }
        event
    }

    /// What needs no run: a base that was made before, a layer, a check that was run on the
    /// same base.
    fn already_there(&self, task: &Task, order: &RunOrder) -> Option<Event> {
        match &order.work {
            RunWork::Checkout { commit } => {
                let base = self.folder.base(&task.spec.repository, commit.as_str());
                touch(&base);
                bases::is_usable(&base).then(|| ended(order, RunResult::BaseReady))
            }
            RunWork::Setup { .. } => {
                let layer = orders::layer_of(task, order, &self.wanted(task)?)?;
                let path = self.folder.deps(&layer);
                touch(&path);
                let there = path.is_dir();
                there.then(|| ended(order, RunResult::DepsReady { layer, kept: true }))
            }
            RunWork::Check { .. } => check_cache::find(self, task, order, &self.wanted(task)?),
            RunWork::Agent(_) | RunWork::Rescue { .. } => None,
        }
    }
}

fn read_report(folder: &Path) -> Option<Report> {
    let bytes = std::fs::read(folder.join(REPORT_FILE)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn ended(order: &RunOrder, result: RunResult) -> Event {
    Event::RunEnded { run: order.run.clone(), epoch: order.epoch, result }
}

fn lost(order: &RunOrder, folder: &Path) -> Event {
    ended(order, outcome::lost(order, process::began(folder)))
}
