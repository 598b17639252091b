//! Forgetting a task that is over. What it saved stays in the mirror and in the repository, and
//! the name of a task that left something is not given again: refs and folders are named by it.

use std::collections::BTreeMap;
use std::path::Path;

use midwatch_api::control::{Deleted, Refusal, TaskView};
use midwatch_core::id::TaskName;
use midwatch_core::input::InvalidInput;
use midwatch_core::ports::ActOnLand;

use super::Server;
use super::refusal::{internal, refused, stored, unknown};
use crate::access::Access;
use crate::retain::{InUse as _, Trash, Unsaved, unsaved};
use crate::store::{Remains, TaskRow};

impl<A: Access, L: ActOnLand> Server<A, L> {
    /// Forgets a task: its rows, logs and transcripts. Refused while it is open. What it left
    /// that can be had nowhere else is told of.
    pub fn delete_task(&self, name: &str, by: &str) -> Result<Deleted, Refusal> {
        if let Some(damage) = self.damage_of(name)? {
            return self.delete_damaged(name, &damage, by);
        }
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
        let mut kept = self.kept(&view, &self.folder.mirror(row.order.repository.identity()));
        let events = self.store.events(name, 0).map_err(|e| internal(&e))?;
        let left = self.left(&view, &unsaved(&events));
        let runs = left.iter().map(|(run, unsaved, _)| ((*run).to_owned(), unsaved.paths()));
        let remains = Remains {
            ended_ms: row.ended.unwrap_or_default().0,
            repository: row.order.repository.path().map(Path::to_owned),
            saved: self.has_refs(&view, &row),
            kept: Some(runs.collect()),
        };
        let forgotten = self.between("TaskDeleted", || self.store.forget(name, &remains));
        if !forgotten.map_err(|e| stored(&e))? {
            return Err(unknown(name));
        }
        tracing::info!(task = name, by, "task.deleted");
        let gone = self.remove_folders(&view, name, &left);
        if gone && !remains.saved {
            self.free_name(name);
        }
        kept.extend(left.into_iter().map(|(run, _, why)| format!("run {run}: {why}")));
        Ok(Deleted { name: name.to_owned(), kept })
    }

    /// Gives a name free of which nothing is left. That has to outlive the power first: folders
    /// that came back would be taken for those of the next task of that name.
    fn free_name(&self, name: &str) {
        let later = "its name is given again after the next clean-up";
        if let Err(error) = self.folder.settle_removals() {
            tracing::warn!(task = name, %error, "{later}");
        } else if let Err(error) = self.between("NameFreed", || self.store.free_name(name)) {
            tracing::warn!(task = name, %error, "{later}");
        }
    }

    /// Runs that hold what exists nowhere else, and why they stay.
    fn left<'v>(
        &self,
        view: &'v TaskView,
        unsaved: &BTreeMap<String, Unsaved>,
    ) -> Vec<(&'v str, Unsaved, String)> {
        let left = |run: &'v str| {
            let unsaved = unsaved.get(run)?;
            let why = unsaved.still_in(&self.folder.run(run))?;
            Some((run, unsaved.clone(), why))
        };
        view.runs.iter().filter_map(|run| left(&run.run)).collect()
    }

    /// Whether refs are named by a task. Where that cannot be seen, they are.
    fn has_refs(&self, view: &TaskView, row: &TaskRow) -> bool {
        if view.result.rescue_ref.is_some() || view.result.commit.is_some() {
            return true;
        }
        let mirror = self.folder.mirror(row.order.repository.identity());
        let saved = self.settings.saved.as_deref().filter(|_| mirror.exists());
        saved.is_some_and(|saved| {
            let (refs, bundles) = (saved.refs(&mirror), saved.bundles(&mirror));
            let name = row.name.as_str();
            refs.map_or(true, |refs| refs.iter().any(|one| one.task() == Some(name)))
                || bundles.map_or(true, |bundles| bundles.iter().any(|one| one.task == name))
        })
    }

    /// What stays, and where.
    fn kept(&self, view: &TaskView, mirror: &Path) -> Vec<String> {
        let result = &view.result;
        let work = mirror.join("work.git");
        let fetch = |name: &str| format!("{name}; to get it: git fetch {} {name}", work.display());
        let task = result.task.as_deref().unwrap_or_default();
        let mut kept = Vec::new();
        if let Some(branch) = &result.branch {
            kept.push(format!("branch {branch} in {}", view.repository));
        }
        match &result.rescue_ref {
            Some(file) if file.starts_with('/') => {
                kept.push(format!("saved work in the bundle {file}"));
                let saved = self.settings.saved.as_deref().filter(|_| mirror.exists());
                let older = saved.and_then(|saved| saved.newest(mirror, task).ok().flatten());
                kept.extend(older.map(|name| format!("older saved work {}", fetch(&name))));
            }
            Some(rescue) => kept.push(format!("saved work {}", fetch(rescue))),
            None => {
                let commit = result.commit.as_ref().filter(|_| result.branch.is_none());
                kept.extend(commit.map(|commit| format!("commit {commit} in {}", work.display())));
            }
        }
        let told = result.rescue_ref.as_deref().map(Path::new);
        kept.extend(self.file_notes(task, mirror, told));
        kept
    }

    /// Answers whether no folder is left.
    fn remove_folders(
        &self,
        view: &TaskView,
        name: &str,
        left: &[(&str, Unsaved, String)],
    ) -> bool {
        let mut gone = left.is_empty();
        let trash = Trash::of(&self.folder, self.settings.point);
        for run in &view.runs {
            if left.iter().any(|(stays, ..)| *stays == run.run) {
                continue;
            }
            gone &= remove(&trash, &self.folder.run(&run.run));
            let forget = || self.store.forget_segments(&run.run);
            if let Err(error) = self.between("SegmentsForgotten", forget) {
                tracing::warn!(run = run.run, %error, "rows of a run's files are left");
            }
        }
        self.remove_homes(&trash, name) && gone
    }

    /// Answers whether none is left. Those that a follow-up goes on in go with the first clean-up
    /// after its end.
    pub(super) fn remove_homes(&self, trash: &Trash, name: &str) -> bool {
        let homes = self.folder.homes(name);
        !self.is_used(&homes) && remove(trash, &homes)
    }

    /// Refuses the name of a deleted task that left something: that is named by it.
    pub(super) fn name_is_free(&self, name: &str) -> Result<(), Refusal> {
        if self.store.is_reserved(name).map_err(|e| internal(&e))? {
            let rule = "belonged to a task that was deleted, and what it left is named by it";
            let fix = "give another name, or have `midwatch gc` free it: that takes what a branch of \
                the repository has, and says of the rest where it is";
            return Err(refused(InvalidInput::new("--name", name, rule, fix)));
        }
        Ok(())
    }
}

/// Answers whether it is gone from where it was.
pub(super) fn remove(trash: &Trash, folder: &Path) -> bool {
    if let Err(error) = trash.take(folder) {
        // What reached the trash goes with the next clean-up.
        tracing::warn!(folder = %folder.display(), %error, "a deleted task left a folder");
    }
    !folder.exists()
}
