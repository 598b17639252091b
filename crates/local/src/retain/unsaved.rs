//! Work that exists nowhere but in a run's folder, from the events of its task.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use midwatch_api::report::{MORE, out_folder};
use midwatch_core::event::{Action, Event, Role, RunResult, RunWork};
use midwatch_core::id::Epoch;
use midwatch_core::path;
use midwatch_core::ports::Stored;

/// What of a run's work exists nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unsaved {
    /// It was neither imported nor rescued.
    All,
    /// These paths are in no commit.
    Files(Vec<String>),
}

impl Unsaved {
    /// As it is stored of a deleted task.
    pub(crate) fn of(paths: &[String]) -> Self {
        if paths.is_empty() { Self::All } else { Self::Files(paths.to_vec()) }
    }

    /// The paths of which it is known that they are in no commit.
    pub(crate) fn paths(&self) -> Vec<String> {
        match self {
            Self::All => vec![],
            Self::Files(paths) => paths.clone(),
        }
    }

    /// Why the run's folder stays; none when what it was kept for is no longer in it.
    pub(crate) fn still_in(&self, run: &Path) -> Option<String> {
        match self {
            Self::All => holds_work(run)
                .then(|| format!("its agent's work was never saved: it is in {}", run.display())),
            Self::Files(files) => {
                let path = files.iter().find(|path| holds(run, path))?;
                let upper = run.join("upper");
                let path = if path == MORE { "more than was named" } else { path };
                Some(format!(
                    "{path} is in no commit, and stays until somebody takes it away: it is in {}",
                    upper.display()
                ))
            }
        }
    }
}

/// Agents' runs with work that is neither imported nor rescued.
pub(crate) fn unsaved(events: &[Stored]) -> BTreeMap<String, Unsaved> {
    let mut open: BTreeMap<Epoch, String> = BTreeMap::new();
    let mut rescues: BTreeMap<&str, &str> = BTreeMap::new();
    let mut left: BTreeMap<String, Unsaved> = BTreeMap::new();
    // Runs with commits that no import brings: only a rescue saves them.
    let mut beside: BTreeSet<Epoch> = BTreeSet::new();
    for stored in events {
        match &stored.event {
            Event::Intended(Action::Run(order)) => match &order.work {
                RunWork::Agent(agent) if agent.role == Role::Implement => {
                    open.insert(order.epoch, order.run.as_str().to_owned());
                }
                RunWork::Rescue { of, .. } => {
                    rescues.insert(order.run.as_str(), of.as_str());
                }
                RunWork::Agent(_)
                | RunWork::Checkout { .. }
                | RunWork::Setup { .. }
                | RunWork::Check { .. } => {}
            },
            Event::RunEnded { run, epoch, result } => {
                let (run, files) = match result {
                    RunResult::Agent(agent) => {
                        if !agent.beside.is_empty() {
                            beside.insert(*epoch);
                        }
                        (run.as_str(), &agent.left_out)
                    }
                    RunResult::Bundled { left_out, .. } => match rescues.get(run.as_str()) {
                        Some(of) => (*of, left_out),
                        None => continue,
                    },
                    RunResult::BaseReady
                    | RunResult::DepsReady { .. }
                    | RunResult::Checked(_)
                    | RunResult::Failed { .. }
                    | RunResult::SandboxUnavailable { .. } => continue,
                };
                if files.is_empty() {
                    left.remove(run);
                } else {
                    let paths = files.iter().map(|file| file.path.clone());
                    left.insert(run.to_owned(), Unsaved::Files(paths.collect()));
                }
            }
            Event::Imported { epoch, .. } | Event::NothingToImport { epoch }
                if beside.contains(epoch) => {}
            Event::Imported { epoch, .. }
            | Event::NothingToImport { epoch }
            | Event::Rescued { epoch, .. } => {
                beside.remove(epoch);
                open.remove(epoch);
            }
            _ => {}
        }
    }
    left.extend(open.into_values().map(|run| (run, Unsaved::All)));
    left
}

/// Layers of a workspace that hold what an agent wrote: over an overlay, or a whole copy.
pub(crate) const LAYERS: [&str; 2] = ["upper", "copy"];

/// Whether a run's folder holds anything that an agent wrote.
fn holds_work(run: &Path) -> bool {
    is_not_empty(&run.join("upper")) || is_not_empty(&out_folder(run))
}

/// What cannot be looked at counts as there.
fn is_not_empty(folder: &Path) -> bool {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

/// Whether a workspace still has a file. One of which not the whole path is known counts as there
/// for as long as anything is.
pub(crate) fn holds(run: &Path, shown: &str) -> bool {
    let layers = LAYERS.map(|layer| run.join("upper").join(layer));
    let Some(path) = path::read(shown) else {
        return layers.iter().any(|layer| is_not_empty(layer));
    };
    let path = Path::new(OsStr::from_bytes(&path));
    let gone = |layer: &PathBuf| {
        let found = layer.join(path).symlink_metadata();
        found.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    };
    !layers.iter().all(gone)
}
