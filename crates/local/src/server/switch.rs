//! The switch for everything: no task begins, agents are stopped and saved, until somebody lets
//! them go on. It outlives the server: what was paused in the evening is paused in the morning.

use std::path::PathBuf;

use midwatch_api::control::{PauseAll, PausedAll, Refusal};
use midwatch_core::ports::ActOnLand;
use midwatch_core::reason::HoldReason;
use midwatch_core::task::{State, Task};
use midwatch_engine::Decided;

use super::Server;
use super::refusal::internal;
use crate::access::Access;
use crate::folder::{StateFolder, remove_private, write_private};

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
    /// Turns it. What is said is durable before anything follows from it.
    pub fn pause_all(&self, switch: &PauseAll) -> Result<PausedAll, Refusal> {
        let file = file(&self.folder);
        if switch.paused {
            write_private(&file, switch.by.as_bytes()).map_err(|error| internal(&error))?;
        } else {
            remove_private(&file).map_err(|error| internal(&error))?;
        }
        self.engine.pause(switch.paused.then(|| switch.by.clone()));
        let (concerned, decided): (fn(&Task) -> bool, Decided) =
            if switch.paused { (works, Decided::Pause) } else { (is_paused, Decided::Resume) };
        let mut tasks = Vec::new();
        for task in self.engine.open_tasks().iter().filter(|task| concerned(task)) {
            // One that ended meanwhile is left as it is.
            if self.engine.command(&task.spec.name, decided.clone(), &switch.by).is_ok() {
                tasks.push(task.spec.name.as_str().to_owned());
            }
        }
        Ok(PausedAll { paused_by: self.engine.paused(), tasks })
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
