//! Forgetting a task that is over. What it saved stays in the mirror and in the repository, and
//! the name of a task that saved something is not given again: refs are named by it.

use midwatch_api::control::{Deleted, Refusal, TaskView};
use midwatch_core::id::TaskName;
use midwatch_core::input::InvalidInput;
use midwatch_core::ports::{ActOnLand, Clock as _};

use super::Server;
use super::refusal::{internal, refused, unknown};
use crate::access::Access;
use crate::launcher::SystemClock;
use crate::retain::{Trash, unsaved};

impl<A: Access, L: ActOnLand> Server<A, L> {
    /// Forgets a task: its rows, logs and transcripts. Refused while it is open. What it left
    /// that can be had nowhere else is told of.
    pub fn delete_task(&self, name: &str, by: &str) -> Result<Deleted, Refusal> {
        let view = self.get(name)?;
        let row = self.row(name)?;
        let parsed = TaskName::parse(name).map_err(refused)?;
        if row.ended.is_none() || self.engine.task(&parsed).is_some() {
            let state = view.result.state.unwrap_or_default();
            return Err(Refusal {
                message: format!("task {name} is {state}: what goes on is not deleted"),
                hint: Some(format!(
                    "`midwatch delete {name} --cancel` cancels it first and saves its work"
                )),
                exit: 2,
            });
        }
        let mirror = self.folder.mirror(row.order.repository.identity()).join("work.git");
        let mut kept = kept(&view, &mirror);
        let events = self.store.events(name, 0).map_err(|e| internal(&e))?;
        let unsaved = unsaved(&events);
        let reserved = view.result.rescue_ref.is_some() || view.result.commit.is_some();
        if !self.store.forget(name, reserved, SystemClock.now()).map_err(|e| internal(&e))? {
            return Err(unknown(name));
        }
        tracing::info!(task = name, by, "task.deleted");
        let trash = Trash::of(&self.folder);
        for run in &view.runs {
            let folder = self.folder.run(&run.run);
            if let Some(why) = unsaved.get(&run.run).and_then(|unsaved| unsaved.still_in(&folder)) {
                kept.push(format!("run {}: {why}", run.run));
                continue;
            }
            remove(&trash, &folder);
            if let Err(error) = self.store.forget_segments(&run.run) {
                tracing::warn!(run = run.run, %error, "rows of a run's files are left");
            }
        }
        remove(&trash, &self.folder.root().join("homes").join(name));
        Ok(Deleted { name: name.to_owned(), kept })
    }

    /// Refuses the name of a deleted task whose saved work is named by it.
    pub(super) fn name_is_free(&self, name: &str) -> Result<(), Refusal> {
        if self.store.is_reserved(name).map_err(|e| internal(&e))? {
            let rule = "belonged to a task that was deleted, and its saved work is named by it";
            return Err(refused(InvalidInput::new("--name", name, rule, "give another name")));
        }
        Ok(())
    }
}

fn remove(trash: &Trash, folder: &std::path::Path) {
    if let Err(error) = trash.take(folder) {
        // What reached the trash goes with the next clean-up.
        tracing::warn!(folder = %folder.display(), %error, "a deleted task left a folder");
    }
}

/// What stays, and where.
fn kept(view: &TaskView, work: &std::path::Path) -> Vec<String> {
    let result = &view.result;
    let mut kept = Vec::new();
    if let Some(branch) = &result.branch {
        kept.push(format!("branch {branch} in {}", view.repository));
    }
    if let Some(file) = result.rescue_ref.as_ref().filter(|name| name.starts_with('/')) {
        kept.push(format!("saved work in the bundle {file}"));
    } else if let Some(rescue) = &result.rescue_ref {
        let fetch = format!("git fetch {} {rescue}", work.display());
        kept.push(format!("saved work {rescue}; to get it: {fetch}"));
    } else if let (None, Some(commit)) = (&result.branch, &result.commit) {
        kept.push(format!("commit {commit} in {}", work.display()));
    }
    kept
}
