//! Workspaces whose removal was missed: a server died between an event and the clean-up after it.

use std::collections::BTreeSet;
use std::path::Path;

use midwatch_core::id::TaskName;
use midwatch_core::task::Task;

use crate::folder::StateFolder;
use crate::store::SqliteStore;
use crate::sweep::{folders_in, removable, remove};

/// Removes them: what each stored event made removable is that for ever, since no run's name is
/// used twice. Only tasks with a workspace that is still there are looked at.
pub(super) fn sweep_workspaces(folder: &StateFolder, store: &SqliteStore) {
    for name in tasks_with_workspaces(folder) {
        if let Err(error) = sweep_task(folder, store, &name) {
            // It stays until `gc`, which tells why.
            tracing::warn!(task = %name, %error, "what its runs left was not looked at");
        }
    }
}

fn sweep_task(
    folder: &StateFolder,
    store: &SqliteStore,
    name: &TaskName,
) -> Result<(), Box<dyn std::error::Error>> {
    let Some(row) = store.row(name.as_str())? else { return Ok(()) };
    let mut task = Task::new(row.order.to_spec(&row.name)?);
    for stored in store.events(name.as_str(), 0)? {
        let gone = removable(&task, &stored.event);
        remove(folder, name, &gone);
        task.apply(&stored.event)?;
    }
    Ok(())
}

/// Tasks that have a run with a workspace.
fn tasks_with_workspaces(folder: &StateFolder) -> BTreeSet<TaskName> {
    let runs = folders_in(&folder.root().join("runs")).unwrap_or_default().into_iter();
    runs.filter(|run| run.join("upper").exists()).filter_map(|run| task_of(&run)).collect()
}

/// The task in a run's name: neither a step nor an epoch has a `-`.
fn task_of(run: &Path) -> Option<TaskName> {
    let name = run.file_name()?.to_str()?;
    let (rest, _epoch) = name.rsplit_once('-')?;
    let (task, _step) = rest.rsplit_once('-')?;
    TaskName::parse(task).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_task_of_a_run_is_in_its_name() {
        let of = |name: &str| task_of(Path::new(name)).map(|task| task.to_string());
        assert_eq!(of("/runs/fix-the-login-implement-12").as_deref(), Some("fix-the-login"));
        assert_eq!(of("/runs/t-check-3").as_deref(), Some("t"));
        assert_eq!(of("/runs/check-3"), None);
    }
}
