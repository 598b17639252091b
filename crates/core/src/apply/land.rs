//! What became of an import or a landing, taken in.

use crate::event::{Action, ActionKey, LandAction};
use crate::id::{Epoch, RunName};
use crate::landing::Imported;
use crate::reason::FailReason;
use crate::task::{Task, Unsaved};

impl Task {
    /// Work that waits for its import, and will not get it, is saved like that of a failed run.
    /// An import that goes on already is waited for.
    pub(super) fn give_up_import(&mut self) {
        if !self.landing()
            && let Some((run, epoch, _)) = self.to_import.take()
        {
            self.save_once(run, epoch);
        }
    }

    /// A rescue before the import has saved all that a run left, where it left commits that no
    /// import brings.
    fn save_once(&mut self, run: RunName, epoch: Epoch) {
        let is_saved = self.beside.get(&epoch).is_some_and(|beside| beside.saved.is_some());
        if !is_saved {
            self.unsaved = Some(Unsaved::of(run, epoch));
        }
    }

    pub(super) fn imported(&mut self, epoch: Epoch, empty: bool, imported: Imported) {
        let start = self.spec.follows.as_ref().and_then(|follows| follows.start.as_ref());
        // What the task before has left is nothing new.
        let empty = empty || (self.imported.is_none() && start == Some(imported.commit()));
        self.resume_from = None;
        if empty {
            (self.imported, self.imported_by) = (None, None);
            self.nothing_new();
        } else {
            self.to_import = None;
            self.imported = Some(imported);
            self.imported_by = Some(epoch);
            self.step_done = true;
        }
    }

    pub(super) fn land_failed(&mut self, key: &ActionKey, reason: FailReason, detail: &str) {
        let Some(Action::Land(action)) = self.open.remove(key) else {
            return;
        };
        match action {
            // What the bundle stands on can be had later: its workspace waits for that.
            LandAction::Import { .. } if reason == FailReason::RepositoryAway => {
                self.fail(Some(reason), detail.to_owned(), None);
                if self.cancel {
                    self.give_up_import();
                }
            }
            LandAction::Import { run, epoch, .. } => {
                self.to_import = None;
                self.save_once(run, epoch);
                self.fail(Some(reason), detail.to_owned(), None);
            }
            LandAction::SaveRescue { .. } => self.not_saved(Some(reason)),
            LandAction::SaveCheckpoint { epoch, number, .. } => {
                self.checkpoints_saved.insert(epoch, number);
            }
            LandAction::Fetch { .. } | LandAction::Publish { .. } | LandAction::Keep { .. } => {
                self.fail(Some(reason), detail.to_owned(), None);
            }
        }
    }
}
