//! The adapters that this build has, for `doctor` and for whoever chooses one.

use midwatch_agents::adapter;
use midwatch_core::agent::{
    AgentKind, AgentOrder, Capabilities, CredentialKind, CustomAgent, PromptBy, Session,
};

/// One adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentFacts {
    /// Which CLI.
    pub kind: AgentKind,
    /// What it can do. A custom agent's follow from its profile; here is one without any
    /// mapping.
    pub capabilities: Capabilities,
}

/// Every adapter with its capabilities.
pub fn agents() -> Vec<AgentFacts> {
    AgentKind::ALL
        .into_iter()
        .map(|kind| AgentFacts { kind, capabilities: adapter(kind).capabilities(&example(kind)) })
        .collect()
}

fn example(kind: AgentKind) -> AgentOrder {
    AgentOrder {
        kind,
        program: "/usr/bin/true".into(),
        model: Some("model".into()),
        prompt: String::new(),
        preamble: String::new(),
        session: Session::Fresh { id: "00000000-0000-4000-8000-000000000000".into() },
        read_only: false,
        max_turns: None,
        max_cost_cents: None,
        credential: CredentialKind::None,
        run_token: String::new(),
        gateway: String::new(),
        home: "/home/agent".into(),
        workspace: "/workspace".into(),
        custom: Some(CustomAgent {
            argv: vec!["true".into()],
            prompt_by: PromptBy::Stdin,
            env: std::collections::BTreeMap::new(),
            mapping: None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_adapter_is_listed_and_claude_can_resume() {
        let facts = agents();
        assert_eq!(facts.len(), AgentKind::ALL.len());
        assert!(
            facts
                .iter()
                .any(|facts| facts.kind == AgentKind::ClaudeCode && facts.capabilities.resume)
        );
    }
}
