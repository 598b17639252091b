//! What the engine has to know of what agents show: stored where it is news.

use midwatch_core::event::Event;
use midwatch_core::ports::ActOnLand;
use tokio::sync::mpsc;

use super::{Fault, Server};
use crate::access::Access;
use crate::launcher::Shown;

impl<A: Access, L: ActOnLand> Server<A, L> {
    /// Stores what is news.
    pub(super) async fn observe(&self, mut told: mpsc::UnboundedReceiver<Shown>) -> Fault {
        while let Some(shown) = told.recv().await {
            if self.is_news(&shown)
                && let Err(fault) = self.observed(&shown.task, shown.event).await
            {
                return fault;
            }
        }
        std::future::pending().await
    }

    /// An adopted run's file is read from its beginning: what is known already is not stored
    /// again.
    fn is_news(&self, shown: &Shown) -> bool {
        let Some(task) = self.engine.task(&shown.task) else {
            return false;
        };
        let Some(order) = task.open_run(&shown.run) else {
            return false;
        };
        match &shown.event {
            Event::SessionKnown { session, .. } => task.session_of(order) != Some(session.as_str()),
            // Worth storing only while somebody waits for it.
            Event::ModelAnswered { .. } => self.engine.is_probing(&task, order),
            Event::CheckpointSeen { number, epoch, .. } => {
                let saved = task.checkpoints_saved.get(epoch).is_some_and(|last| last >= number);
                let seen =
                    task.checkpoint.as_ref().is_some_and(|(_, at, n)| at == epoch && n >= number);
                !saved && !seen
            }
            Event::Admitted
            | Event::Intended(_)
            | Event::RunEnded { .. }
            | Event::Fetched { .. }
            | Event::Imported { .. }
            | Event::NothingToImport { .. }
            | Event::Rescued { .. }
            | Event::Checkpointed { .. }
            | Event::Landed(_)
            | Event::LandFailed { .. }
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
            | Event::Resumed { .. }
            | Event::AgentUnavailable { .. }
            | Event::CredentialLearnt { .. }
            | Event::PauseRequested { .. }
            | Event::PlanApproved { .. }
            | Event::QuestionAnswered { .. }
            | Event::Messaged { .. }
            | Event::FollowedUp { .. } => true,
        }
    }
}
