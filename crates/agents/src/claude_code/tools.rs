//! Tool calls of one run, and how they fared: Claude Code ends with success when none of them
//! could work, too.

use std::collections::BTreeMap;

use midwatch_core::agent::AgentEvent;
use midwatch_core::reason::FailReason;
use serde_json::Value;

use crate::{clean, json};

/// The most running calls that are remembered; a hostile stream must not grow us.
const REMEMBERED: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Tools {
    /// Names of running tools by the id of the call.
    running: BTreeMap<String, String>,
    worked: u32,
    shell_worked: bool,
    /// The newest failure of the shell itself, before any command ran.
    broken: Option<String>,
    /// Calls that were denied, or of tools that were taken away.
    denied: u32,
}

impl Tools {
    /// A `tool_use` block.
    pub(super) fn started(&mut self, block: &Value) -> Option<AgentEvent> {
        let id = clean::line(block["id"].as_str()?);
        let name = clean::line(block["name"].as_str()?);
        if self.running.len() < REMEMBERED {
            self.running.insert(id.clone(), name.clone());
        }
        let input = &block["input"];
        let told = ["command", "file_path", "notebook_path", "description", "url", "query"]
            .iter()
            .find_map(|field| input[*field].as_str());
        let summary = clean::line(told.unwrap_or_default());
        Some(AgentEvent::ToolStarted { id, name, summary, arguments: json::digest(input) })
    }

    /// A `tool_result` block; other blocks are none.
    pub(super) fn finished(&mut self, block: &Value) -> Option<AgentEvent> {
        if block["type"] != "tool_result" {
            return None;
        }
        let id = clean::line(block["tool_use_id"].as_str()?);
        let name = self.running.remove(&id);
        let ok = block["is_error"] != true;
        let text = match &block["content"] {
            Value::String(text) => text.as_str(),
            Value::Array(parts) => {
                parts.iter().find_map(|part| part["text"].as_str()).unwrap_or("")
            }
            _ => "",
        };
        let summary = clean::line(text);
        let shell = name.as_deref() == Some("Bash");
        if ok {
            self.worked = self.worked.saturating_add(1);
            self.shell_worked |= shell;
        } else if text.contains("is not enabled in this context") {
            self.denied();
        } else if shell && is_broken_shell(text) {
            self.broken = Some(summary.clone());
        }
        let result = json::digest_of(block, &["content", "is_error"]);
        Some(AgentEvent::ToolFinished { id, ok, summary, result })
    }

    /// A call that the last line lists as denied.
    pub(super) fn denied(&mut self) {
        self.denied = self.denied.saturating_add(1);
    }

    /// Why a success is none: nothing that the agent tried could work.
    pub(super) fn hollow(&self, read_only: bool) -> Option<(FailReason, String)> {
        if let (Some(broken), false) = (&self.broken, self.shell_worked) {
            let full = broken.contains("ENOSPC") || broken.contains("No space left");
            let reason = if full { FailReason::Disk } else { FailReason::AgentFailed };
            return Some((reason, format!("the agent's tools did not work: {broken}")));
        }
        if self.denied > 0 && self.worked == 0 && !read_only {
            let detail = "every tool that the agent called was denied".to_owned();
            return Some((FailReason::AgentFailed, detail));
        }
        None
    }
}

/// The shell tool could not make its own files. What a command printed comes after its exit
/// code, and says nothing of the tool.
fn is_broken_shell(text: &str) -> bool {
    let of_command = text.trim_start().starts_with("Exit code");
    !of_command && ["EROFS", "ENOSPC", "No space left"].iter().any(|part| text.contains(part))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bash(tools: &mut Tools, ok: bool, text: &str) {
        tools.started(&json!({"id": "t", "name": "Bash", "input": {"command": "make"}}));
        tools.finished(&json!({
            "type": "tool_result", "tool_use_id": "t", "content": text, "is_error": !ok,
        }));
    }

    #[test]
    fn a_shell_that_never_worked_makes_success_hollow() {
        let mut tools = Tools::default();
        bash(&mut tools, false, "EROFS: read-only file system, mkdir '/home/agent/.claude'");
        assert_eq!(tools.hollow(false).unwrap().0, FailReason::AgentFailed);
        bash(&mut tools, false, "ENOSPC: no space left on device, open '/home/agent/x'");
        assert_eq!(tools.hollow(false).unwrap().0, FailReason::Disk);
        bash(&mut tools, true, "fine");
        assert_eq!(tools.hollow(false), None);
    }

    #[test]
    fn what_a_command_says_is_not_said_of_the_tool() {
        let mut tools = Tools::default();
        bash(&mut tools, false, "Exit code 1\nmkdir: EROFS");
        assert_eq!(tools.hollow(false), None);
    }

    #[test]
    fn one_that_may_only_look_may_be_denied() {
        let mut tools = Tools::default();
        tools.denied();
        assert!(tools.hollow(false).is_some());
        assert_eq!(tools.hollow(true), None);
        bash(&mut tools, true, "fine");
        assert_eq!(tools.hollow(false), None);
    }
}
