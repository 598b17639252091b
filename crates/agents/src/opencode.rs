//! opencode, by the contract measured on the pinned version.

mod command;
mod failure;
mod transcript;

use midwatch_core::agent::{AgentCommand, AgentKind, AgentOrder, Capabilities, Usage};

use crate::adapter::{Adapter, CommandError, Stream};

/// Drives `opencode run`.
#[derive(Debug, Clone, Copy)]
pub struct OpenCode;

impl Adapter for OpenCode {
    fn kind(&self) -> AgentKind {
        AgentKind::OpenCode
    }

    fn capabilities(&self, _: &AgentOrder) -> Capabilities {
        Capabilities {
            resume: true,
            structured_events: true,
            usage: true,
            // It has a price table, and none of a model that we declare.
            cost: false,
            chosen_session: false,
        }
    }

    fn command(&self, order: &AgentOrder) -> Result<AgentCommand, CommandError> {
        command::command(order)
    }

    // Its counts are of steps, so earlier runs do not matter.
    fn stream(&self, order: &AgentOrder, _: Usage) -> Box<dyn Stream> {
        Box::new(transcript::Transcript::new(order.model.clone()))
    }
}
