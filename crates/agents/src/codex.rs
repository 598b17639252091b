//! `OpenAI`'s codex, by the contract measured on the pinned version.

mod command;
mod failure;
mod transcript;

use midwatch_core::agent::{AgentCommand, AgentKind, AgentOrder, Capabilities, Usage};

use crate::adapter::{Adapter, CommandError, Stream};

/// Drives `codex exec`.
#[derive(Debug, Clone, Copy)]
pub struct Codex;

impl Adapter for Codex {
    fn kind(&self) -> AgentKind {
        AgentKind::Codex
    }

    fn capabilities(&self, _: &AgentOrder) -> Capabilities {
        Capabilities {
            resume: true,
            structured_events: true,
            usage: true,
            cost: false,
            chosen_session: false,
        }
    }

    fn command(&self, order: &AgentOrder) -> Result<AgentCommand, CommandError> {
        command::command(order)
    }

    fn stream(&self, order: &AgentOrder, earlier: Usage) -> Box<dyn Stream> {
        Box::new(transcript::Transcript::new(order.model.clone(), earlier))
    }
}
