//! Anthropic's Claude Code, by the contract measured on the pinned version.

mod command;
mod failure;
mod tools;
mod transcript;

use midwatch_core::agent::{AgentCommand, AgentKind, AgentOrder, Capabilities, Usage};

use crate::adapter::{Adapter, CommandError, Stream};

/// Drives `claude -p`.
#[derive(Debug, Clone, Copy)]
pub struct ClaudeCode;

impl Adapter for ClaudeCode {
    fn kind(&self) -> AgentKind {
        AgentKind::ClaudeCode
    }

    fn capabilities(&self, _: &AgentOrder) -> Capabilities {
        Capabilities {
            resume: true,
            structured_events: true,
            usage: true,
            cost: true,
            chosen_session: true,
        }
    }

    fn command(&self, order: &AgentOrder) -> Result<AgentCommand, CommandError> {
        command::command(order)
    }

    // Its totals are of one process, so earlier runs do not matter.
    fn stream(&self, order: &AgentOrder, _: Usage) -> Box<dyn Stream> {
        Box::new(transcript::Transcript::new(order.read_only))
    }
}
