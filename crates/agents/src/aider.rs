//! aider, by the contract measured on the pinned version: it edits by text, has no tools, and
//! ends with 0 whatever happened.

mod command;
mod failure;
mod transcript;

use midwatch_core::agent::{AgentCommand, AgentKind, AgentOrder, Capabilities, Usage};

use crate::adapter::{Adapter, CommandError, Stream};

/// Drives `aider` for one message.
#[derive(Debug, Clone, Copy)]
pub struct Aider;

impl Adapter for Aider {
    fn kind(&self) -> AgentKind {
        AgentKind::Aider
    }

    fn capabilities(&self, _: &AgentOrder) -> Capabilities {
        Capabilities {
            // By its file of the conversation, which has our id for a name.
            resume: true,
            structured_events: false,
            usage: true,
            cost: true,
            chosen_session: true,
        }
    }

    fn command(&self, order: &AgentOrder) -> Result<AgentCommand, CommandError> {
        command::command(order)
    }

    fn version_args(&self, order: &AgentOrder) -> Vec<String> {
        command::version_args(order)
    }

    // It counts each message, so earlier runs do not matter.
    fn stream(&self, order: &AgentOrder, _: Usage) -> Box<dyn Stream> {
        Box::new(transcript::Transcript::new(order))
    }
}
