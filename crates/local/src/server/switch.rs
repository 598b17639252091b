//! The switch for everything: no task begins, agents are stopped and saved, until somebody lets
//! them go on. It outlives the server: what was paused in the evening is paused in the morning.

use std::io;
use std::path::PathBuf;
use std::sync::{MutexGuard, PoisonError};

use midwatch_api::control::{PauseAll, PausedAll, Refusal};
use midwatch_core::ports::ActOnLand;
use midwatch_core::reason::HoldReason;
use midwatch_core::task::{State, Task};
use midwatch_engine::{CommandError, Decided, EngineError};
use tokio::sync::watch;

use super::drive::TRY;
use super::refusal::{internal, stuck};
use super::{Fault, Server};
use crate::access::Access;
use crate::folder::{StateFolder, remove_private, write_private};
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

impl<A: Access, L: ActOnLand> Server<A, L> {
    /// Turns it. A pause holds at once, and over a restart as soon as it can be written down; that
    /// work goes on is durable before anything follows from it.
    pub fn pause_all(&self, switch: &PauseAll) -> Result<PausedAll, Refusal> {
        let _turning = self.turning();
        let unstored = match self.write_switch(switch) {
            Ok(()) => None,
            Err(error) => match Stuck::of(&error) {
                Some(why) if switch.paused => Some(why),
                Some(why) => return Err(stuck(why)),
                None => return Err(internal(&error)),
            },
        };
        self.engine.pause(switch.paused.then(|| switch.by.clone()));
        let (tasks, left) = self.turn_tasks(switch);
        let unstored = unstored.or(left);
        self.unstored.send_replace(unstored.is_some());
        let note = |why: Stuck| {
            tracing::warn!(why = why.as_str(), "switch.unstored");
            format!("{}: this does not outlive a restart until it can be stored", why.as_str())
        };
        Ok(PausedAll { paused_by: self.engine.paused(), tasks, unstored: unstored.map(note) })
    }

    /// Whether the switch is to be written down still.
    pub fn unstored(&self) -> watch::Receiver<bool> {
        self.unstored.subscribe()
    }

    /// Writes a pause down that could not be, as soon as it can.
    pub(super) async fn keep_switch(&self) -> Fault {
        let mut unstored = self.unstored.subscribe();
        loop {
            // Its sender is ours.
            let _ = unstored.wait_for(|unstored| *unstored).await;
            tokio::time::sleep(TRY).await;
            let _turning = self.turning();
            // Who let everything go on meanwhile has written that.
            let Some(by) = self.engine.paused() else { continue };
            let switch = PauseAll { paused: true, by };
            if self.write_switch(&switch).is_ok() && self.turn_tasks(&switch).1.is_none() {
                tracing::info!("switch.stored");
                self.unstored.send_replace(false);
            }
        }
    }

    fn turning(&self) -> MutexGuard<'_, ()> {
        self.turning.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Durable when this returns. What is kept for emergencies is given for it.
    fn write_switch(&self, switch: &PauseAll) -> io::Result<()> {
        let file = file(&self.folder);
        if !switch.paused {
            return remove_private(&file);
        }
        let write = || write_private(&file, switch.by.as_bytes());
        match write() {
            Err(error) if Stuck::of(&error) == Some(Stuck::Full) => {
                self.reserve.release();
                write()
            }
            done => done,
        }
    }

    /// Pauses or resumes what is open; which tasks it was, and why another could not be told.
    fn turn_tasks(&self, switch: &PauseAll) -> (Vec<String>, Option<Stuck>) {
        let (concerned, decided): (fn(&Task) -> bool, Decided) =
            if switch.paused { (works, Decided::Pause) } else { (is_paused, Decided::Resume) };
        let (mut tasks, mut left) = (Vec::new(), None);
        for task in self.engine.open_tasks().iter().filter(|task| concerned(task)) {
            match self.engine.command(&task.spec.name, decided.clone(), &switch.by) {
                Ok(()) => tasks.push(task.spec.name.as_str().to_owned()),
                Err(CommandError::Engine(EngineError::Store(error))) => left = error.stuck(),
                // One that ended meanwhile is left as it is.
                Err(_) => {}
            }
        }
        (tasks, left)
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
