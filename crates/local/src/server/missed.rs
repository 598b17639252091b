//! Workspaces whose removal was missed: a server died between an event and the clean-up after it.

use std::collections::BTreeSet;

use midwatch_core::id::TaskName;
use midwatch_core::task::Task;

use crate::folder::{StateFolder, task_of};
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
    let left = runs.filter(|run| run.join("upper").exists());
    left.filter_map(|run| TaskName::parse(task_of(run.file_name()?.to_str()?)?).ok()).collect()
}
