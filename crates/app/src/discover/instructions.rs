//! The repository's own words to agents. The CLIs are told to read no settings of a workspace,
//! which an agent could have written; so what the **base** says is handed over in the preamble.

use midwatch_core::agent::AgentKind;

use super::Finding;
use super::repository::Repository;
use crate::problem::Problem;

/// The longest file that is handed over, in bytes; a longer one is left out, and that is said.
const MOST: u64 = 32 << 10;

/// What the base says, under a heading, and what was found.
#[derive(Debug, Default)]
pub(super) struct Instructions {
    pub(super) text: String,
    pub(super) finding: Option<Finding>,
}

/// Reads the first file that the agent would have read itself.
pub(super) fn find(repository: &Repository, kind: AgentKind) -> Result<Instructions, Problem> {
    let names = repository.files()?;
    let candidates: &[&str] = match kind {
        AgentKind::ClaudeCode => &["CLAUDE.md", "AGENTS.md"],
        AgentKind::GeminiCli => &["GEMINI.md", "AGENTS.md"],
        AgentKind::QwenCode => &["QWEN.md", "AGENTS.md"],
        AgentKind::Aider => &["CONVENTIONS.md", "AGENTS.md"],
        AgentKind::Codex | AgentKind::OpenCode | AgentKind::Custom => &["AGENTS.md"],
    };
    let Some(file) = candidates.iter().find(|file| names.contains(**file)) else {
        return Ok(Instructions::default());
    };
    let finding = |text: String| Some(Finding::new("instructions", text));
    Ok(match repository.read(file, MOST)? {
        Some(text) => Instructions {
            text: format!("The repository's own instructions, {file} of the base:\n\n{text}"),
            finding: finding(format!("{file} of the base")),
        },
        None => Instructions {
            text: String::new(),
            finding: finding(format!("{file} is left out: no text of at most {MOST} bytes")),
        },
    })
}

/// The profile's instructions, then the repository's.
pub(super) fn joined(profile: &str, repository: &str) -> String {
    let parts: Vec<&str> =
        [profile.trim(), repository.trim()].into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n\n")
}
