//! What is not let in: reports that come late, and intents that may not be.

use crate::event::{Action, ActionKey, Event, LandAction};
use crate::id::{Epoch, RunName};
use crate::landing::Imported;
use crate::task::Task;

impl Task {
    /// A report about something that is not open: recorded, never applied.
    pub(super) fn is_late(&self, event: &Event) -> bool {
        let open_at = |run: &RunName, epoch: Epoch| {
            self.open_run(run).is_some_and(|order| order.epoch == epoch)
        };
        let open = |key: String| self.open.contains_key(&ActionKey(key));
        match event {
            Event::RunEnded { run, epoch, .. }
            | Event::SessionKnown { run, epoch, .. }
            | Event::CheckpointSeen { run, epoch, .. } => !open_at(run, *epoch),
            Event::Fetched { .. } => !open("fetch".to_owned()),
            Event::Imported { epoch, .. } | Event::NothingToImport { epoch } => {
                !open(format!("import-{epoch}"))
            }
            Event::Rescued { epoch, .. } => !open(format!("rescue-{epoch}")),
            Event::Checkpointed { epoch, .. } => !open(format!("checkpoint-{epoch}")),
            Event::Landed(_) => !open("publish".to_owned()) && !open("keep".to_owned()),
            Event::LandFailed { key, .. } => !self.open.contains_key(key),
            Event::Admitted
            | Event::Intended(_)
            | Event::StopSent { .. }
            | Event::Advanced(_)
            | Event::RepairBegun { .. }
            | Event::ReviewReturned { .. }
            | Event::Retried { .. }
            | Event::Held(_)
            | Event::Released
            | Event::EndingChosen(_)
            | Event::Ended(_)
            | Event::CancelRequested { .. }
            | Event::Approved { .. }
            | Event::Rejected { .. }
            | Event::Resumed { .. } => false,
        }
    }

    /// Whether an intent may be stored at all: no epoch twice, no key twice, and nothing is
    /// published that is not verified. `decide` never asks for such a thing; this is the floor.
    pub(super) fn is_allowed(&self, event: &Event) -> bool {
        let Event::Intended(action) = event else {
            return true;
        };
        let allowed = match action {
            Action::Run(order) => order.epoch > self.epoch,
            Action::Land(LandAction::Publish { commit, .. }) => {
                self.verified().is_some_and(|verified| verified.imported().commit() == commit)
            }
            Action::Land(LandAction::Keep { commit, .. }) => {
                let imported = self.imported.as_ref().map(Imported::commit) == Some(commit);
                imported && self.spec.no_check && !self.spec.push
            }
            Action::Land(
                LandAction::Fetch { .. }
                | LandAction::Import { .. }
                | LandAction::SaveRescue { .. }
                | LandAction::SaveCheckpoint { .. },
            ) => true,
        };
        allowed && !self.open.contains_key(&action.key())
    }
}
