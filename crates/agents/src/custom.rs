//! Any other CLI, declared in a profile.

mod command;
mod transcript;

use midwatch_core::agent::{AgentCommand, AgentKind, AgentOrder, Capabilities, Usage};

use crate::adapter::{Adapter, CommandError, Stream};

/// Drives what a profile declares.
#[derive(Debug, Clone, Copy)]
pub struct Custom;

impl Adapter for Custom {
    fn kind(&self) -> AgentKind {
        AgentKind::Custom
    }

    fn capabilities(&self, order: &AgentOrder) -> Capabilities {
        let declared = order.custom.as_ref();
        let mapping = declared.and_then(|custom| custom.mapping.as_ref());
        let takes_session = declared.is_some_and(command::takes_session);
        let tells_session = mapping.is_some_and(|mapping| mapping.session.is_some());
        Capabilities {
            resume: takes_session,
            structured_events: mapping.is_some(),
            usage: mapping
                .is_some_and(|it| it.input_tokens.is_some() || it.output_tokens.is_some()),
            cost: false,
            chosen_session: takes_session && !tells_session,
        }
    }

    fn command(&self, order: &AgentOrder) -> Result<AgentCommand, CommandError> {
        command::command(order)
    }

    fn version_args(&self, _: &AgentOrder) -> Vec<String> {
        Vec::new()
    }

    fn stream(&self, order: &AgentOrder, _: Usage) -> Box<dyn Stream> {
        let mapping = order.custom.as_ref().and_then(|custom| custom.mapping.clone());
        Box::new(transcript::Transcript::new(mapping))
    }
}
