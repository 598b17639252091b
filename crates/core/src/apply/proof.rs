//! Ends with their proof, rebuilt from what is known.

use crate::event::EndKind;
use crate::landing::{Kept, Landed, Verified};
use crate::task::{Outcome, Task};

impl Task {
    /// The evidence that makes the newest imported commit a verified one.
    pub fn verified(&self) -> Option<Verified> {
        let imported = self.imported.as_ref()?;
        let evidence = self.evidence.get(imported.commit())?;
        let commands = self.spec.checks.len();
        Verified::of(imported, &self.base_evidence, evidence, commands, self.spec.known_failures)
    }

    /// The end of that kind with its proof; none when the proof is not there.
    pub(crate) fn outcome(&self, kind: &EndKind) -> Option<Outcome> {
        match kind {
            EndKind::Done => {
                let landed = Landed::of(&self.verified()?, self.read_back.as_ref()?)?;
                Some(Outcome::Done(Box::new(landed)))
            }
            EndKind::Unverified => {
                let asked = self.spec.no_check && !self.spec.push;
                let kept = Kept::of(self.imported.as_ref()?, self.read_back.as_ref()?)?;
                asked.then(|| Outcome::Unverified(Box::new(kept)))
            }
            EndKind::Answered => {
                let text = self.answer.clone().filter(|_| self.spec.pipeline.is_answer())?;
                Some(Outcome::Answered { text })
            }
            EndKind::NoChange { why } => (self.imported.is_none() && self.no_change.is_some())
                .then(|| Outcome::NoChange { why: why.clone() }),
            EndKind::Failed { reason, detail } => {
                Some(Outcome::Failed { reason: *reason, detail: detail.clone() })
            }
            EndKind::Cancelled => Some(Outcome::Cancelled),
        }
    }
}
