//! What agents show: told to those who watch, and stored where the engine has to know it.

use midwatch_api::report::StreamEvent;
use midwatch_core::event::Event;
use midwatch_core::ports::ActOnLand;
use tokio::sync::mpsc;

use super::{Fault, Server};
use crate::access::Access;
use crate::launcher::Shown;

impl<A: Access, L: ActOnLand> Server<A, L> {
    /// What agents show goes to those who watch; what the engine has to know goes there, too.
    pub(super) async fn observe(&self, mut told: mpsc::UnboundedReceiver<Shown>) -> Fault {
        while let Some(shown) = told.recv().await {
            let (run, epoch) = (shown.run.clone(), shown.epoch);
            let event = match &shown.event {
                StreamEvent::Session { session, .. } => {
                    Some(Event::SessionKnown { run, epoch, session: session.clone() })
                }
                StreamEvent::Checkpoint { number } => {
                    Some(Event::CheckpointSeen { run, epoch, number: *number })
                }
                // Tokens came back: its credential works, and others need not wait for its end.
                StreamEvent::Usage { output_tokens: 1.., .. } => {
                    Some(Event::ModelAnswered { run, epoch })
                }
                StreamEvent::Phase { .. }
                | StreamEvent::Text { .. }
                | StreamEvent::Tool { .. }
                | StreamEvent::ToolDone { .. }
                | StreamEvent::Retrying { .. }
                | StreamEvent::Usage { .. }
                | StreamEvent::Limit { .. }
                | StreamEvent::Warning { .. }
                | StreamEvent::Finished { .. } => None,
            };
            if let Some(event) = event
                && self.is_news(&shown, &event)
                && let Err(fault) = self.observed(&shown.task, event).await
            {
                return fault;
            }
            // Nobody may be watching.
            let _ = self.shown.send(shown);
        }
        std::future::pending().await
    }

    /// An adopted run's file is read from its beginning: what is known already is not stored
    /// again.
    fn is_news(&self, shown: &Shown, event: &Event) -> bool {
        let Some(task) = self.engine.task(&shown.task) else {
            return false;
        };
        let Some(order) = task.open_run(&shown.run) else {
            return false;
        };
        match event {
            Event::SessionKnown { session, .. } => task.session_of(order) != Some(session.as_str()),
            // Worth storing only while somebody waits for it.
            Event::ModelAnswered { .. } => self.engine.is_probing(&task, order),
            Event::CheckpointSeen { number, epoch, .. } => {
                let saved = task.checkpoints_saved.get(epoch).is_some_and(|last| last >= number);
                let seen =
                    task.checkpoint.as_ref().is_some_and(|(_, at, n)| at == epoch && n >= number);
                !saved && !seen
            }
            _ => true,
        }
    }
}
