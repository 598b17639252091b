//! What a run left, taken in: every kind of work with every kind of result.

use crate::event::{LeftOut, Role, RunOrder, RunResult, RunWork};
use crate::evidence::Evidence;
use crate::id::{Epoch, RunName};
use crate::landing::saved_rescue;
use crate::pipeline::MAX_ATTEMPTS;
use crate::reason::{FailReason, RetryRule};
use crate::task::{Beside, Deps, Kept, Task, Unsaved};

impl Task {
    pub(super) fn run_ended(&mut self, order: &RunOrder, result: &RunResult, stopped: bool) {
        match (&order.work, result) {
            (RunWork::Checkout { .. }, RunResult::BaseReady) => self.base_ready = true,
            (RunWork::Setup { origin, lock_hash, .. }, RunResult::DepsReady { layer, .. }) => {
                let deps = Deps { origin: origin.clone(), layer: layer.clone() };
                self.deps.insert(lock_hash.clone(), deps);
            }
            (RunWork::Check { commit, index, .. }, RunResult::Checked(check)) => {
                self.last_check = Some(check.clone());
                let evidence = if *commit == self.spec.base {
                    &mut self.base_evidence
                } else {
                    self.evidence
                        .entry(commit.clone())
                        .or_insert_with(|| Evidence::new(commit.clone()))
                };
                if !evidence.add(*index, check.clone()) {
                    let detail = "a check answered for another commit".to_owned();
                    self.fail(Some(FailReason::Internal), detail, None);
                }
            }
            (RunWork::Agent(run), RunResult::Agent(agent)) => {
                self.agent_ended(order, run, agent, stopped);
            }
            (RunWork::Rescue { of, of_epoch }, RunResult::Bundled { left_out, beside }) => {
                self.keep_left_out(of, left_out);
                self.found_beside(*of_epoch, beside);
                if let Some(unsaved) = &mut self.unsaved {
                    unsaved.by = Some(order.run.clone());
                }
            }
            (RunWork::Rescue { .. }, RunResult::Failed { reason, .. }) => {
                self.not_saved(Some(*reason));
            }
            (
                RunWork::Rescue { .. },
                RunResult::BaseReady
                | RunResult::DepsReady { .. }
                | RunResult::Checked(_)
                | RunResult::Agent(_)
                | RunResult::SandboxUnavailable { .. },
            ) => self.not_saved(None),
            // The commit's own fault goes back to the agent; the machine's is tried again below.
            (RunWork::Setup { origin: Some(_), .. }, RunResult::Failed { reason, detail })
                if reason.facts().retry == RetryRule::Never =>
            {
                self.setup_failure = Some(detail.clone());
            }
            (work, RunResult::Failed { reason, detail }) => {
                self.keep_unsaved(order);
                self.fail(Some(*reason), detail.clone(), None);
                self.blame(work);
            }
            (_, RunResult::SandboxUnavailable { detail }) => {
                self.keep_unsaved(order);
                self.fail(None, detail.clone(), None);
            }
            (
                RunWork::Checkout { .. }
                | RunWork::Setup { .. }
                | RunWork::Check { .. }
                | RunWork::Agent(_),
                RunResult::BaseReady
                | RunResult::DepsReady { .. }
                | RunResult::Checked(_)
                | RunResult::Agent(_)
                | RunResult::Bundled { .. },
            ) => {
                self.keep_unsaved(order);
                let detail = "a run answered with another kind of result".to_owned();
                self.fail(Some(FailReason::Internal), detail, None);
            }
        }
    }

    /// A rescue failed: it is tried again where that can help, on a full disk once there is room.
    pub(super) fn not_saved(&mut self, reason: Option<FailReason>) {
        let Some(unsaved) = &mut self.unsaved else {
            return;
        };
        unsaved.tries += 1;
        // Who cancels does not want to wait.
        unsaved.no_room = reason == Some(FailReason::Disk) && !self.cancel;
        let rule = reason.map_or(RetryRule::Never, |reason| reason.facts().retry);
        let again = unsaved.no_room || matches!(rule, RetryRule::Charged | RetryRule::Free);
        if !again || unsaved.tries >= MAX_ATTEMPTS {
            self.give_up_saving();
        }
    }

    /// What is not saved by now stays in the run's workspace, which is kept.
    pub(super) fn give_up_saving(&mut self) {
        if let Some(unsaved) = self.unsaved.take() {
            self.kept.insert(unsaved.run, Kept::All);
        }
    }

    /// What the newest look at a run's workspace found to be in no commit.
    pub(super) fn keep_left_out(&mut self, run: &RunName, left_out: &[LeftOut]) {
        if left_out.is_empty() {
            self.kept.remove(run);
        } else {
            self.kept.insert(run.clone(), Kept::Files(left_out.to_vec()));
        }
    }

    /// Commits that its import does not bring are saved before it, because its workspace goes.
    pub(super) fn keep_beside(&mut self, order: &RunOrder, names: &[String]) {
        if self.remember_beside(order, names) {
            self.keep_unsaved(order);
        }
    }

    /// A rescue brings back the files, and no head or stash: what is in none of them is named.
    /// Whether there is anything.
    pub(super) fn remember_beside(&mut self, order: &RunOrder, names: &[String]) -> bool {
        let left = implements(order) && !names.is_empty();
        if left {
            let beside = Beside { names: names.to_vec(), saved: None };
            self.beside.insert(order.epoch, beside);
        }
        left
    }

    /// What a rescue found of a run that could not say it itself: it was killed.
    fn found_beside(&mut self, epoch: Epoch, names: &[String]) {
        if !names.is_empty() {
            let found = || Beside { names: names.to_vec(), saved: None };
            self.beside.entry(epoch).or_insert_with(found);
        }
    }

    /// Where a rescue has put them: below its refs, or in a file that git did not take.
    pub(super) fn beside_saved(&mut self, epoch: Epoch, reference: Option<&str>) {
        let place = saved_rescue(&self.spec.name, epoch);
        if let (Some(beside), Some(reference)) = (self.beside.get_mut(&epoch), reference) {
            beside.saved = if reference.starts_with(&place) {
                Some(place)
            } else {
                Some(reference.to_owned()).filter(|file| !file.starts_with("refs/"))
            };
        }
    }

    /// Whether what a rescue saved takes the place of what was saved before. Commits that only lie
    /// beside the work do not: people are shown the work.
    pub(super) fn is_better(&self, epoch: Epoch, reference: &str, has_snapshot: bool) -> bool {
        let is_beside = reference.starts_with(&saved_rescue(&self.spec.name, epoch));
        has_snapshot || !is_beside || self.rescue_ref.is_none()
    }

    pub(super) fn keep_unsaved(&mut self, order: &RunOrder) {
        if implements(order) {
            self.unsaved = Some(Unsaved::of(order.run.clone(), order.epoch));
        }
    }
}

/// Whether it is a run whose workspace is the task's work.
fn implements(order: &RunOrder) -> bool {
    matches!(&order.work, RunWork::Agent(run) if run.role == Role::Implement)
}
