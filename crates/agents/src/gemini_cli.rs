//! Google's gemini-cli, by the contract measured on the pinned version.

mod command;
mod failure;
mod transcript;

use midwatch_core::agent::{AgentCommand, AgentKind, AgentOrder, Capabilities, Usage};

use crate::adapter::{self, Adapter, CommandError, Stream};

/// Drives `gemini` without a terminal.
#[derive(Debug, Clone, Copy)]
pub struct GeminiCli;

impl Adapter for GeminiCli {
    fn kind(&self) -> AgentKind {
        AgentKind::GeminiCli
    }

    fn capabilities(&self, _: &AgentOrder) -> Capabilities {
        Capabilities {
            resume: true,
            structured_events: true,
            usage: true,
            cost: false,
            chosen_session: true,
        }
    }

    fn command(&self, order: &AgentOrder) -> Result<AgentCommand, CommandError> {
        command::command(order)
    }

    fn version_args(&self, order: &AgentOrder) -> Vec<String> {
        adapter::node_version_args(order)
    }

    // Its totals are of one process, so earlier runs do not matter.
    fn stream(&self, _: &AgentOrder, _: Usage) -> Box<dyn Stream> {
        Box::new(transcript::Transcript::default())
    }
}
