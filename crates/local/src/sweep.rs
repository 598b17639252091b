//! Clean-up that loses nothing: a workspace goes only after its work was imported or saved; what
//! is shared goes least recently used first, and only above a cap.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use midwatch_core::event::{Event, RunWork};
use midwatch_core::id::{Epoch, RunName, TaskName};
use midwatch_core::task::Task;

use crate::bases;
use crate::folder::StateFolder;

/// Bytes that bases and layers of dependencies may take together.
pub const SHARED_CAP: u64 = 20 << 30;

/// What a run's folder holds that is of no use once its work is saved.
const HEAVY: [&str; 2] = ["upper", "out"];
/// What a check writes to: workspace and HOME.
const THROWN: [&str; 2] = ["upper", "home"];

/// What an event makes removable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removable {
    /// The workspace of a run whose work is in the mirror.
    Workspace(RunName),
    /// What a check wrote. Its runner removes it, but for one that was killed.
    Thrown(RunName),
    /// Layers that belonged to one task, which is over.
    Layers(Vec<String>),
    /// Nothing.
    Nothing,
}

/// What may go after an event; `before` is the task as it was.
pub fn removable(before: &Task, event: &Event) -> Removable {
    match event {
        Event::Imported { epoch, .. }
        | Event::NothingToImport { epoch }
        | Event::Rescued { epoch, .. } => match run_of(before, event, *epoch) {
            // What no commit holds stays until somebody has it.
            Some(run) if !before.kept.contains_key(&run) => Removable::Workspace(run),
            Some(_) | None => Removable::Nothing,
        },
        Event::Ended(_) => {
            let own = before.deps.values().filter(|deps| deps.origin.is_some());
            Removable::Layers(own.map(|deps| deps.layer.clone()).collect())
        }
        // A run that reads only leaves nothing to save; its workspace goes with its end.
        Event::RunEnded { run, .. } => match before.open_run(run).map(|order| &order.work) {
            Some(RunWork::Agent(agent)) if agent.role != midwatch_core::event::Role::Implement => {
                Removable::Workspace(run.clone())
            }
            Some(RunWork::Check { .. }) => Removable::Thrown(run.clone()),
            Some(
                RunWork::Agent(_)
                | RunWork::Checkout { .. }
                | RunWork::Setup { .. }
                | RunWork::Rescue { .. },
            )
            | None => Removable::Nothing,
        },
        _ => Removable::Nothing,
    }
}

/// The agent's run of an epoch that has nothing left to give after the event: neither an import
/// nor a rescue of it is due any more.
fn run_of(task: &Task, event: &Event, epoch: Epoch) -> Option<RunName> {
    let importing = task.to_import.as_ref().filter(|(_, of, _)| *of == epoch);
    let importing = importing.map(|(run, _, _)| run.clone());
    let saving = task.unsaved.as_ref().filter(|unsaved| unsaved.epoch == epoch);
    let saving = saving.map(|unsaved| unsaved.run.clone());
    let (done, due) = match event {
        Event::Rescued { .. } => (saving, importing),
        _ => (importing, saving),
    };
    done.filter(|_| due.is_none())
}

/// Removes what may go. What cannot be removed is left and said; it is tried again by `gc`.
pub fn remove(folder: &StateFolder, task: &TaskName, removable: &Removable) {
    let inside = |run: &RunName, names: [&str; 2]| {
        let run = folder.run(run.as_str());
        names.map(|name| run.join(name)).to_vec()
    };
    let paths: Vec<PathBuf> = match removable {
        Removable::Workspace(run) => inside(run, HEAVY),
        Removable::Thrown(run) => inside(run, THROWN),
        Removable::Layers(layers) => layers.iter().map(|layer| folder.deps(layer)).collect(),
        Removable::Nothing => return,
    };
    for path in paths {
        if let Err(error) = remove_tree(&path) {
            tracing::warn!(%task, path = %path.display(), %error, "could not be removed");
        }
    }
}

/// Removes a file, or a tree that hostile code may have written. Links are never followed;
/// folders without permissions are made ours first.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path, 0)?;
            fs::remove_dir_all(path)
        }
        Err(error) => Err(error),
    }
}

/// The deepest tree that is opened up, so that no stack is used up.
const DEEPEST: u32 = 400;

fn open_up(path: &Path, depth: u32) -> io::Result<()> {
    if depth > DEEPEST || !fs::symlink_metadata(path)?.is_dir() {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(path)? {
        open_up(&entry?.path(), depth + 1)?;
    }
    Ok(())
}

/// Removes every layer that belonged to one task, but those in `used`.
pub fn sweep_layers(folder: &StateFolder, used: &BTreeSet<PathBuf>) {
    let layers = folders_in(&folder.root().join("deps")).unwrap_or_default();
    let own = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("task-"))
    };
    for layer in layers.into_iter().filter(own).filter(|layer| !used.contains(layer)) {
        if let Err(error) = remove_tree(&layer) {
            tracing::warn!(path = %layer.display(), %error, "could not be removed");
        }
    }
}

/// Something shared, with what decides on its going.
struct Shared {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

/// Marks a base or layer as used now.
pub fn touch(path: &Path) {
    if let Ok(folder) = fs::File::open(path)
        && let Err(error) = folder.set_modified(SystemTime::now())
    {
        tracing::debug!(path = %path.display(), %error, "could not be marked as used");
    }
}

/// Removes bases and layers above a cap, least recently used first, never those in `used`.
/// Returns the bytes that were freed.
pub fn trim(folder: &StateFolder, used: &BTreeSet<PathBuf>, cap: u64) -> io::Result<u64> {
    let layers = folders_in(&folder.root().join("deps"))?;
    let mut shared: Vec<Shared> = bases::all(folder)?
        .into_iter()
        .chain(layers)
        .filter_map(|path| {
            let used = fs::metadata(&path).and_then(|m| m.modified()).ok()?;
            let bytes = size(&path, 0);
            Some(Shared { path, bytes, used })
        })
        .collect();
    shared.sort_by_key(|shared| shared.used);
    let mut total: u64 = shared.iter().map(|shared| shared.bytes).sum();
    let mut freed = 0;
    for old in shared {
        if total <= cap {
            break;
        }
        if used.contains(&old.path) {
            continue;
        }
        // By way of the trash: nobody may find half a base. What says that it is on the disk goes
        // first: alone it would stay.
        bases::forget(&old.path)?;
        crate::retain::Trash::of(folder, midwatch_engine::pass).take(&old.path)?;
        total -= old.bytes;
        freed += old.bytes;
    }
    Ok(freed)
}

pub(crate) fn folders_in(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    Ok(folders)
}

pub(crate) fn size(path: &Path, depth: u32) -> u64 {
    let Ok(metadata) = fs::symlink_metadata(path) else { return 0 };
    if !metadata.is_dir() || depth > DEEPEST {
        return metadata.len();
    }
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    entries.flatten().map(|entry| size(&entry.path(), depth + 1)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn state() -> (tempfile::TempDir, StateFolder) {
        let place = tempfile::tempdir().unwrap();
        let folder = StateFolder::new(place.path().join("state"));
        folder.make().unwrap();
        (place, folder)
    }

    fn layer(folder: &StateFolder, name: &str, age: u64) -> PathBuf {
        let path = folder.deps(name);
        fs::create_dir_all(path.join("workspace")).unwrap();
        fs::write(path.join("workspace/file"), vec![0; 1 << 20]).unwrap();
        let then = SystemTime::now() - Duration::from_secs(age);
        fs::File::open(&path).unwrap().set_modified(then).unwrap();
        path
    }

    #[test]
    fn the_least_recently_used_goes_first_and_what_is_used_stays() {
        let (_place, folder) = state();
        let oldest_but_used = layer(&folder, "base-a", 300);
        let old = layer(&folder, "base-b", 200);
        let new = layer(&folder, "base-c", 100);
        let used = BTreeSet::from([oldest_but_used.clone()]);
        assert_eq!(trim(&folder, &used, 100 << 20).unwrap(), 0, "below the cap nothing goes");
        assert!(trim(&folder, &used, 5 << 19).unwrap() >= 1 << 20);
        assert!(oldest_but_used.exists() && !old.exists() && new.exists());
        touch(&oldest_but_used);
        assert!(trim(&folder, &BTreeSet::new(), 3 << 19).unwrap() > 0);
        assert!(oldest_but_used.exists() && !new.exists(), "touched: used more recently");
    }

    #[test]
    fn a_tree_without_permissions_goes_and_what_links_point_to_stays() {
        let (_place, folder) = state();
        let target = folder.root().join("precious");
        fs::write(&target, "x").unwrap();
        let tree = folder.deps("task-x");
        fs::create_dir_all(tree.join("a/b")).unwrap();
        std::os::unix::fs::symlink(folder.root(), tree.join("a/link")).unwrap();
        fs::set_permissions(tree.join("a"), fs::Permissions::from_mode(0o000)).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists() && target.exists());
    }
}
