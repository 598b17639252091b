//! The switch for everything: no task begins, agents are stopped and saved, until somebody lets
//! them go on. It outlives the server: what was paused in the evening is paused in the morning.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, MutexGuard, PoisonError};

use midwatch_api::control::{PauseAll, PausedAll, Refusal};
use midwatch_core::ports::{ActOnLand, Clock as _};
use midwatch_core::reason::HoldReason;
use midwatch_core::task::{State, Task};
use midwatch_engine::{CommandError, Decided};
use tokio::sync::watch;

use super::drive::{TRY, stuck as why_stuck};
use super::refusal::{internal, stuck};
use super::{Fault, Server};
use crate::access::Access;
use crate::folder::{StateFolder, remove_private, write_private};
use crate::launcher::SystemClock;
use crate::store::Stuck;

/// Holds the name of who paused everything, for as long as that is so.
const FILE: &str = "paused";

fn file(folder: &StateFolder) -> PathBuf {
    folder.root().join(FILE)
}

/// Who paused everything, from before this server began.
pub(super) fn read(folder: &StateFolder) -> Option<String> {
    let by = std::fs::read_to_string(file(folder)).ok()?;
    Some(if by.trim().is_empty() { "somebody".to_owned() } else { by.trim().to_owned() })
}

/// What came of telling every task that it is concerned.
#[derive(Debug, Default)]
struct Turned {
    /// Those that were told.
    tasks: Vec<String>,
    /// Why the others were not yet.
    stuck: Option<Stuck>,
    /// Those that cannot be told, each with what went wrong: waiting does not mend that.
    failed: Vec<String>,
}

impl<A: Access, L: ActOnLand> Server<A, L> {
    /// Turns it. A pause holds at once, and over a restart as soon as it can be written down; that
    /// work goes on is durable before anything follows from it. Tasks that cannot be told now are
    /// told later. Waits for the disk: not for the thread that answers others.
    pub fn pause_all(&self, switch: &PauseAll) -> Result<PausedAll, Refusal> {
        let _turning = self.turning();
        let unwritten = match self.write_switch(switch) {
            Ok(()) => None,
            Err(error) => match Stuck::of(&error) {
                Some(why) if switch.paused => Some(why),
                Some(why) => return Err(stuck(why)),
                None => return Err(internal(&error)),
            },
        };
        self.engine.pause(switch.paused.then(|| switch.by.clone().into()));
        let Turned { tasks, stuck, failed } = self.turn_tasks(switch);
        let unstored = unwritten.or(stuck);
        self.unstored.send_replace(unstored.map(|_| switch.clone()));
        if !failed.is_empty() {
            let turned = if switch.paused { "everything is paused" } else { "everything goes on" };
            return Err(internal(&format!("{turned}, but for {}", failed.join("; "))));
        }
        let note = |why: Stuck| {
            tracing::warn!(why = why.as_str(), "switch.unstored");
            let rest = if switch.paused { "" } else { "not every task was told to go on, and " };
            let why = why.as_str();
            format!("{why}: {rest}this does not outlive a restart until it can be stored")
        };
        Ok(PausedAll { paused_by: self.engine.paused(), tasks, unstored: unstored.map(note) })
    }

    /// How the switch was turned last, while not all of that could be stored.
    pub fn unstored(&self) -> watch::Receiver<Option<PauseAll>> {
        self.unstored.subscribe()
    }

    /// Stores what could not be of a turn of the switch, as soon as it can.
    pub(super) async fn keep_switch(server: &Arc<Self>) -> Fault {
        let mut unstored = server.unstored();
        loop {
            // Its sender is ours.
            let _ = unstored.wait_for(Option::is_some).await;
            tokio::time::sleep(TRY).await;
            let again = Arc::clone(server);
            let tried = tokio::task::spawn_blocking(move || again.turn_again());
            if let Err(error) = tried.await {
                tracing::error!(%error, "a try to store the switch ended");
            }
        }
    }

    fn turn_again(&self) {
        let _turning = self.turning();
        // Somebody may have turned it anew meanwhile.
        let Some(switch) = self.unstored.borrow().clone() else { return };
        // Asked first without patience: whoever reads would wait as long as each try does.
        if self.store.probe(SystemClock.now()).is_err() || self.write_switch(&switch).is_err() {
            return;
        }
        let turned = self.turn_tasks(&switch);
        if turned.stuck.is_none() {
            tracing::info!(failed = turned.failed.join("; "), "switch.stored");
            self.unstored.send_replace(None);
        }
    }

    fn turning(&self) -> MutexGuard<'_, ()> {
        self.turning.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Durable when this returns. What is kept for emergencies is given for it.
    fn write_switch(&self, switch: &PauseAll) -> io::Result<()> {
        let file = file(&self.folder);
        if !switch.paused {
            return self.between("SwitchedOn", || remove_private(&file));
        }
        let bytes = switch.by.as_str().as_bytes();
        let write = || self.between("SwitchedOff", || write_private(&file, bytes));
        match write() {
            Err(error) if Stuck::of(&error) == Some(Stuck::Full) => {
                self.reserve.release();
                write()
            }
            done => done,
        }
    }

    /// Pauses or resumes what is open, up to the first that nothing can be stored of: the next
    /// ones would wait as long each.
    fn turn_tasks(&self, switch: &PauseAll) -> Turned {
        let (concerned, decided): (fn(&Task) -> bool, Decided) =
            if switch.paused { (works, Decided::Pause) } else { (is_paused, Decided::Resume) };
        let mut turned = Turned::default();
        for task in self.engine.open_tasks().iter().filter(|task| concerned(task)) {
            let name = &task.spec.name;
            let fault = match self.engine.command(name, decided.clone(), switch.by.as_str()) {
                Ok(()) => {
                    turned.tasks.push(name.to_string());
                    continue;
                }
                Err(CommandError::Engine(fault)) => fault,
                // One that ended meanwhile is left as it is. The others are no answers to these.
                Err(
                    CommandError::NotOpen
                    | CommandError::NotNow { .. }
                    | CommandError::Another(_)
                    | CommandError::OpenQuestions(_)
                    | CommandError::NoSuchAnswer(_),
                ) => continue,
            };
            turned.stuck = why_stuck(&fault);
            if turned.stuck.is_some() {
                break;
            }
            turned.failed.push(format!("{name}: {fault}"));
        }
        turned
    }
}

/// Tasks that have begun are stopped one by one; those that wait are kept out by the switch.
fn works(task: &Task) -> bool {
    matches!(task.state, State::Running(_)) && task.paused.is_none()
}

/// Those that are being stopped still, too.
fn is_paused(task: &Task) -> bool {
    let rests = matches!(&task.state, State::Held(hold) if hold.reason == HoldReason::Paused);
    rests || task.paused.is_some()
}
