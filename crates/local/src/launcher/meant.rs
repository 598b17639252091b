//! What an agent shows, as far as the engine has to know it.

use midwatch_api::report::StreamEvent;
use midwatch_core::event::{Event, RunOrder};

/// What an event of a running agent means to its task; none for what only people care about.
pub(super) fn meant(order: &RunOrder, event: &StreamEvent) -> Option<Event> {
    let (run, epoch) = (order.run.clone(), order.epoch);
    match event {
        StreamEvent::Session { session, .. } => {
            Some(Event::SessionKnown { run, epoch, session: session.clone() })
        }
        StreamEvent::Checkpoint { number } => {
            Some(Event::CheckpointSeen { run, epoch, number: *number })
        }
        // Tokens came back: its credential works, and others need not wait for its end.
        StreamEvent::Usage { output_tokens: 1.., .. } => Some(Event::ModelAnswered { run, epoch }),
        StreamEvent::Phase { .. }
        | StreamEvent::Text { .. }
        | StreamEvent::Tool { .. }
        | StreamEvent::ToolDone { .. }
        | StreamEvent::Retrying { .. }
        | StreamEvent::Usage { .. }
        | StreamEvent::Limit { .. }
        | StreamEvent::Warning { .. }
        | StreamEvent::Finished { .. } => None,
    }
}
