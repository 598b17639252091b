//! Tasks whose rows cannot be read. Nobody drives them: what they left running is ended by the
//! folders of their runs, and what they left on the disk stays and is named.

use std::path::Path;

use midwatch_api::control::{Deleted, Refusal};
use midwatch_core::id::TaskName;
use midwatch_core::ports::{ActOnLand, Clock as _};

use super::Server;
use super::command::not_killed;
use super::refusal::{internal, stored};
use crate::access::Access;
use crate::folder::task_of;
use crate::launcher::{SystemClock, process};
use crate::retain::{Trash, Unsaved};
use crate::store::{Remains, StoreError};
use crate::sweep::folders_in;

impl<A: Access, L: ActOnLand> Server<A, L> {
    /// What is wrong with the rows of a task; none where they can be read, or it is not there.
    pub(super) fn damage_of(&self, name: &str) -> Result<Option<StoreError>, Refusal> {
        // What is driven was read, and is what counts.
        if TaskName::parse(name).is_ok_and(|name| self.engine.task(&name).is_some()) {
            return Ok(None);
        }
        self.store.damage(name).map_err(|e| internal(&e))
    }

    /// That nothing can be decided about such a task but its end.
    pub(super) fn unreadable(&self, name: &str) -> Result<(), Refusal> {
        match self.damage_of(name)? {
            None => Ok(()),
            Some(damage) => Err(refused(name, &damage, "")),
        }
    }

    /// Kills what goes on of it, and waits until that is gone. Returns the runs.
    pub(super) fn kill_damaged(&self, name: &str) -> Result<Vec<String>, Refusal> {
        let (mut killed, mut left) = (Vec::new(), Vec::new());
        // All of them die at the same time.
        for (run, dies) in self.kill_all(&self.runs_of(name)?)? {
            match dies.gone() {
                Ok(()) => killed.push(run),
                Err(error) => left.push(not_killed(&run, &error)),
            }
        }
        if left.is_empty() { Ok(killed) } else { Err(internal(&left.join("; "))) }
    }

    /// Forgets it, unless something of it goes on. Nobody can tell what of its work is saved
    /// elsewhere: whatever its runs hold stays, and so does its name.
    pub(super) fn delete_damaged(
        &self,
        name: &str,
        damage: &StoreError,
        by: &str,
    ) -> Result<Deleted, Refusal> {
        let runs = self.runs_of(name)?;
        // What cannot be looked at may be alive.
        let may_live = |run: &&String| process::is_alive(&self.folder.run(run)).unwrap_or(true);
        if let Some(run) = runs.iter().find(may_live) {
            return Err(refused(name, damage, &format!(", and its run {run} goes on")));
        }
        let why = |run: &String| {
            let why = Unsaved::All.still_in(&self.folder.run(run))?;
            Some((run.clone(), why))
        };
        let left: Vec<(String, String)> = runs.iter().filter_map(why).collect();
        let repository = self.store.row(name).ok().flatten().map(|row| row.order.repository);
        let remains = Remains {
            ended_ms: SystemClock.now().0,
            repository: repository.as_ref().and_then(|place| place.path().map(Path::to_owned)),
            saved: true,
            kept: repository
                .as_ref()
                .map(|_| left.iter().map(|(run, _)| (run.clone(), Unsaved::All.paths())).collect()),
        };
        self.store.forget_damaged(name, &remains).map_err(|e| stored(&e))?;
        tracing::warn!(task = name, by, %damage, "task.deleted");
        let trash = Trash::of(&self.folder, self.settings.point);
        for run in runs.iter().filter(|run| left.iter().all(|(stays, _)| stays != *run)) {
            super::delete::remove(&trash, &self.folder.run(run));
            if let Err(error) = self.store.forget_segments(run) {
                tracing::warn!(run, %error, "rows of a run's files are left");
            }
        }
        self.remove_homes(&trash, name);
        let mirror = repository.map(|place| self.folder.mirror(place.identity()));
        let mut kept = mirror.map_or_else(Vec::new, |mirror| self.saved_of_damaged(name, &mirror));
        kept.extend(left.into_iter().map(|(run, why)| format!("run {run}: {why}")));
        Ok(Deleted { name: name.to_owned(), kept })
    }

    /// Where a mirror may have work of it: which refs those are, its events said.
    fn saved_of_damaged(&self, name: &str, mirror: &Path) -> Vec<String> {
        let work = mirror.join("work.git");
        let saved =
            work.exists().then(|| format!("what was saved of its work, in {}", work.display()));
        saved.into_iter().chain(self.file_notes(name, mirror, None)).collect()
    }

    fn runs_of(&self, name: &str) -> Result<Vec<String>, Refusal> {
        let folders = match folders_in(&self.folder.root().join("runs")) {
            Ok(folders) => folders,
            Err(error) => return Err(internal(&error)),
        };
        let names = folders.iter().filter_map(|run| run.file_name()?.to_str());
        let ours = names.filter(|run| task_of(run) == Some(name));
        Ok(ours.map(ToOwned::to_owned).collect())
    }
}

fn refused(name: &str, damage: &StoreError, more: &str) -> Refusal {
    Refusal {
        message: format!("task {name} cannot be read ({damage}){more}"),
        hint: Some(format!(
            "`midwatch delete {name} --cancel` ends what goes on of it, forgets it and names what is left"
        )),
        exit: 2,
    }
}
