//! Who works, in the words of the domain: what tells credentials apart, and who can resume.

use midwatch_core as core;

use core::agent::AgentKind;
use core::input::InvalidInput;
use core::task::Fallback;

use super::{AgentRef, CredentialRef, TaskOrder};

impl AgentRef {
    /// Identifies the credential among all tasks, without saying anything of it.
    pub fn credential_key(&self) -> Option<String> {
        match &self.credential {
            CredentialRef::None => None,
            CredentialRef::Stored { id, .. } => Some(format!("stored {id}")),
            CredentialRef::ClaudeLogin { path } => Some(format!("claude {}", path.display())),
            CredentialRef::CodexLogin { path } => Some(format!("codex {}", path.display())),
        }
    }

    /// Whether a later run can go on with the conversation: a custom agent's command has to have
    /// a place for the session.
    pub fn resumes(&self, kind: AgentKind) -> bool {
        match (kind, &self.custom) {
            (AgentKind::Custom, Some(custom)) => {
                custom.argv.iter().any(|word| word.contains("{session}"))
            }
            // Aider's chat history is a file, no conversation that can be named.
            (AgentKind::Custom, None) | (AgentKind::Aider, _) => false,
            (
                AgentKind::ClaudeCode
                | AgentKind::Codex
                | AgentKind::OpenCode
                | AgentKind::GeminiCli
                | AgentKind::QwenCode,
                _,
            ) => true,
        }
    }
}

impl TaskOrder {
    /// An agent by its index: 0 is the first, then the fallbacks in their order.
    pub fn worker(&self, index: usize) -> Option<&AgentRef> {
        match index.checked_sub(1) {
            None => Some(&self.agent),
            Some(at) => self.fallbacks.get(at),
        }
    }

    /// Every agent, the first one first.
    pub fn workers(&self) -> impl Iterator<Item = &AgentRef> {
        std::iter::once(&self.agent).chain(&self.fallbacks)
    }

    /// The same, to be changed.
    pub fn workers_mut(&mut self) -> impl Iterator<Item = &mut AgentRef> {
        std::iter::once(&mut self.agent).chain(&mut self.fallbacks)
    }
}

pub(super) fn fallback(agent: &AgentRef) -> Result<Fallback, InvalidInput> {
    let kind = AgentKind::parse(&agent.adapter).ok_or_else(|| {
        let known = AgentKind::ALL.map(AgentKind::as_str).join(", ");
        InvalidInput::new("fallbacks", &agent.adapter, "is unknown", &format!("known: {known}"))
    })?;
    Ok(Fallback {
        profile: agent.profile.clone(),
        credential_key: agent.credential_key(),
        resumes: agent.resumes(kind),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn agent(adapter: &str, credential: &Value) -> Value {
        json!({
            "adapter": adapter, "profile": adapter, "program": "/bin/true", "instructions": "",
            "credentialKind": "OpenAiKey", "credential": credential, "rehearsal": false,
        })
    }

    fn order(first: &Value, other: &Value) -> TaskOrder {
        let pipeline = crate::pipeline::shipped("quick").unwrap().unwrap();
        let order = json!({
            "goal": "g", "repository": {"identity": "/r/.git", "path": "/r"},
            "base": "a".repeat(40), "includeDirty": false, "push": false,
            "pipeline": serde_json::to_value(pipeline).unwrap(),
            "agent": agent("claude-code", first), "fallbacks": [agent("codex", other)],
            "checks": ["true"], "checksFrom": "", "noCheck": false, "knownFailures": false,
            "egress": "none", "registries": [], "toolchains": [], "workspacePath": [],
            "clientEnv": {}, "checkEnv": {}, "clientFiles": {},
            "limits": crate::order::Limits::default(), "acceptMissing": [], "priority": 0,
        });
        serde_json::from_value(order).unwrap()
    }

    #[test]
    fn each_agent_has_its_own_credential_and_all_of_them_are_kept() {
        let stored = |id: &str| json!({"from": "Stored", "id": id});
        let login = json!({"from": "ClaudeLogin", "path": "/home/me/.claude"});
        let order = order(&login, &stored("k2"));
        assert_eq!(order.kept_ids().collect::<Vec<_>>(), ["k2"]);
        let spec = order.to_spec("t").unwrap();
        let keys = [0, 1].map(|agent| spec.credential_of(agent).unwrap().to_owned());
        assert_eq!(keys, ["claude /home/me/.claude", "stored k2"]);
        let both = self::order(&stored("k1"), &stored("k2"));
        assert_eq!(both.kept_ids().collect::<Vec<_>>(), ["k1", "k2"]);
    }
}
