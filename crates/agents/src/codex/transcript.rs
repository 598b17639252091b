//! `codex exec --json`, line by line.

use midwatch_core::agent::{AgentEvent, AgentOutcome, Usage};
use midwatch_core::reason::FailReason;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

use super::failure;
use crate::adapter::{Ending, FINAL_TEXT_LIMIT, Stream};
use crate::clean::{self, Tail};
use crate::clock;
use crate::json;

/// The most running items that are remembered; a hostile stream must not grow us.
const REMEMBERED: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Transcript {
    model: Option<String>,
    /// What the thread had used before this run: its counts are over the whole thread.
    earlier: Usage,
    session: Option<String>,
    usage: Usage,
    running: BTreeSet<String>,
    tools_worked: u32,
    /// A tool failed because codex's own sandbox could not be built.
    broken: Option<String>,
    retrying: Option<String>,
    last_error: Option<String>,
    turn: Turn,
    last_text: String,
    stderr: Tail,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Turn {
    #[default]
    Open,
    Completed,
    Failed(String),
}

impl Transcript {
    pub(super) fn new(model: Option<String>, earlier: Usage) -> Self {
        Self { model, earlier, ..Self::default() }
    }

    fn thread(&mut self, event: &Map<String, Value>) -> Vec<AgentEvent> {
        let id = json::text(event, "thread_id").filter(|id| clean::is_session_id(id));
        let Some(id) = id.filter(|_| self.session.is_none()) else {
            return Vec::new();
        };
        self.session = Some(id.to_owned());
        vec![AgentEvent::Started { session: id.to_owned(), model: self.model.clone() }]
    }

    fn item(&mut self, event: &Map<String, Value>, completed: bool) -> Vec<AgentEvent> {
        let Some(item) = event.get("item") else {
            return vec![AgentEvent::Malformed];
        };
        let Some(kind) = item["type"].as_str() else {
            return vec![AgentEvent::Malformed];
        };
        self.retrying = None;
        match kind {
            "agent_message" if completed => {
                let text = item["text"].as_str().unwrap_or_default();
                self.last_text = clean::bounded(text, FINAL_TEXT_LIMIT);
                vec![AgentEvent::Text(clean::text(text))]
            }
            // Named error, and yet the turn goes on.
            "error" if completed => {
                vec![AgentEvent::Warning(clean::line(item["message"].as_str().unwrap_or("?")))]
            }
            "agent_message" | "error" | "reasoning" | "todo_list" | "user_message" => Vec::new(),
            tool => self.tool(tool, item, completed),
        }
    }

    /// A command, a change of files, a call of another tool: newer kinds as well.
    fn tool(&mut self, kind: &str, item: &Value, completed: bool) -> Vec<AgentEvent> {
        let id = clean::line(item["id"].as_str().unwrap_or("?"));
        let mut events = Vec::new();
        if completed {
            if !self.running.remove(&id) {
                events.push(started(kind, item, &id));
            }
            events.push(self.finished(item, id));
        } else {
            if self.running.len() < REMEMBERED {
                self.running.insert(id.clone());
            }
            events.push(started(kind, item, &id));
        }
        events
    }

    fn finished(&mut self, item: &Value, id: String) -> AgentEvent {
        let output = item["aggregated_output"].as_str().unwrap_or_default();
        let ok = match item["exit_code"].as_i64() {
            Some(code) => code == 0,
            None => item["status"] == "completed",
        };
        if ok {
            self.tools_worked = self.tools_worked.saturating_add(1);
        } else if output.contains("codex-linux-sandbox") || output.contains("bwrap:") {
            self.broken = Some(clean::line(output));
        }
        let result =
            json::digest_of(item, &["aggregated_output", "exit_code", "status", "result", "error"]);
        AgentEvent::ToolFinished { id, ok, summary: clean::last_line(output), result }
    }

    fn error(&mut self, event: &Map<String, Value>) -> Vec<AgentEvent> {
        let text = clean::line(json::text(event, "message").unwrap_or_default());
        if let Some(attempt) = reconnecting(&text) {
            self.retrying = Some(text.clone());
            return vec![AgentEvent::Retrying { attempt, error: text }];
        }
        self.last_error = Some(text.clone());
        vec![AgentEvent::Warning(text)]
    }

    fn completed(&mut self, event: &Map<String, Value>) -> Vec<AgentEvent> {
        self.retrying = None;
        self.turn = Turn::Completed;
        if let Some(usage) = event.get("usage") {
            // Cached tokens are part of the input here, and reasoning is part of the output.
            let input = json::count(usage, "input_tokens");
            let output = json::count(usage, "output_tokens");
            self.usage = Usage {
                input_tokens: input.saturating_sub(self.earlier.input_tokens),
                output_tokens: output.saturating_sub(self.earlier.output_tokens),
                cost_micros: None,
            };
        }
        vec![
            AgentEvent::Usage(self.usage),
            AgentEvent::Finished { ok: true, text: clean::text(&self.last_text) },
        ]
    }

    fn failed(&mut self, event: &Map<String, Value>) -> Vec<AgentEvent> {
        self.retrying = None;
        let message = event.get("error").and_then(|error| error["message"].as_str());
        let text = clean::line(message.or(self.last_error.as_deref()).unwrap_or("the turn failed"));
        self.turn = Turn::Failed(text.clone());
        vec![AgentEvent::Finished { ok: false, text }]
    }
}

impl Stream for Transcript {
    fn line(&mut self, line: &[u8]) -> Vec<AgentEvent> {
        let Some(event) = json::object(line) else {
            return vec![AgentEvent::Malformed];
        };
        match json::text(&event, "type") {
            Some("thread.started") => self.thread(&event),
            Some("item.started") => self.item(&event, false),
            Some("item.completed") => self.item(&event, true),
            Some("error") => self.error(&event),
            Some("turn.completed") => self.completed(&event),
            Some("turn.failed") => self.failed(&event),
            // Also turn.started and item.updated; a newer version may say more.
            Some(_) => Vec::new(),
            None => vec![AgentEvent::Malformed],
        }
    }

    fn stderr_line(&mut self, line: &[u8]) {
        self.stderr.push(line);
    }

    fn end(&mut self, ending: Ending) -> Option<AgentOutcome> {
        if ending.stopped_by_us {
            return None;
        }
        let (reason, detail) = match &self.turn {
            Turn::Completed if ending.exit == Some(0) => match &self.broken {
                Some(broken) if self.tools_worked == 0 => {
                    (FailReason::AgentFailed, format!("the agent's tools did not work: {broken}"))
                }
                Some(_) | None => return Some(AgentOutcome::Completed),
            },
            Turn::Failed(text) => (failure::of_turn(text), text.clone()),
            Turn::Completed | Turn::Open => {
                let told = self.last_error.as_deref().or(self.retrying.as_deref());
                let told = told.or(self.stderr.find("rror")).or(self.stderr.last());
                let detail = told.map_or_else(|| without_turn(ending.exit), str::to_owned);
                (failure::of_start(&detail), detail)
            }
        };
        Some(outcome(reason, detail, ending.now))
    }

    fn trouble(&self, now: i64) -> Option<AgentOutcome> {
        let text = self.retrying.clone()?;
        Some(outcome(failure::of_turn(&text), text, now))
    }

    fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    fn usage(&self) -> Usage {
        self.usage
    }

    fn final_text(&self) -> &str {
        &self.last_text
    }
}

fn outcome(reason: FailReason, detail: String, now: i64) -> AgentOutcome {
    let resets_at = match reason {
        // Only as prose, in its local time: UTC in the sandbox.
        FailReason::UsageLimit => clock::after(&detail, "try again at ", now),
        _ => None,
    };
    AgentOutcome::Failed { reason, detail, resets_at }
}

fn started(kind: &str, item: &Value, id: &str) -> AgentEvent {
    let name = match kind {
        "command_execution" => "shell".to_owned(),
        "mcp_tool_call" => clean::line(item["tool"].as_str().unwrap_or(kind)),
        kind => clean::line(kind),
    };
    let told = ["command", "query", "path"].iter().find_map(|field| item[*field].as_str());
    let told = told.or_else(|| item["changes"][0]["path"].as_str()).unwrap_or_default();
    let summary = clean::line(without_shell(told));
    // All that is known before the call, and so not what it came to.
    let arguments = json::digest_of(item, &["command", "query", "changes", "arguments", "server"]);
    AgentEvent::ToolStarted { id: id.to_owned(), name, summary, arguments }
}

/// `/bin/bash -lc 'make test'` is `make test` to a reader. A command that was quoted in a
/// harder way keeps its quotes.
fn without_shell(command: &str) -> &str {
    let Some((shell, rest)) = command.split_once(" -lc ") else { return command };
    if !shell.ends_with("sh") || shell.contains(' ') {
        return command;
    }
    let inner = rest.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    inner.filter(|inner| !inner.contains('\'')).unwrap_or(rest)
}

/// The number in `Reconnecting... 2/5 (...)`; without one it is the first.
fn reconnecting(text: &str) -> Option<u32> {
    let rest = text.strip_prefix("Reconnecting...")?.trim_start();
    let number = rest.split('/').next().and_then(|word| word.trim().parse().ok());
    Some(number.unwrap_or(1))
}

fn without_turn(exit: Option<i32>) -> String {
    match exit {
        None => "the agent ended, and its exit code was lost".to_owned(),
        Some(code @ 129..=192) => format!("the agent was ended by signal {}", code - 128),
        Some(code) => format!("the agent ended with exit code {code} before its turn was complete"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_without_its_shell() {
        for (command, shown) in [
            ("/bin/bash -lc 'make test'", "make test"),
            ("/bin/sh -lc ls", "ls"),
            ("/bin/sh -lc 'echo '\"'x'\"", "'echo '\"'x'\""),
            ("grep -lc x", "grep -lc x"),
            ("a b/sh -lc x", "a b/sh -lc x"),
        ] {
            assert_eq!(without_shell(command), shown);
        }
    }

    #[test]
    fn an_item_that_was_never_started_starts_when_it_ends() {
        let mut stream = Transcript::new(None, Usage::default());
        let line = br#"{"type":"item.completed","item":{"id":"i","type":"file_change","changes":[{"path":"a.rs","kind":"add"}],"status":"completed"}}"#;
        let events = stream.line(line);
        assert!(matches!(&events[0], AgentEvent::ToolStarted { name, summary, .. }
            if name == "file_change" && summary == "a.rs"));
        assert!(matches!(&events[1], AgentEvent::ToolFinished { ok: true, .. }));
    }

    #[test]
    fn its_own_sandbox_that_cannot_be_built_makes_success_hollow() {
        let mut stream = Transcript::new(None, Usage::default());
        stream.line(br#"{"type":"item.completed","item":{"id":"i","type":"command_execution","command":"ls","aggregated_output":"bwrap: execvp codex-linux-sandbox: No such file or directory","exit_code":1,"status":"failed"}}"#);
        stream.line(br#"{"type":"turn.completed","usage":{"input_tokens":5}}"#);
        let ending = Ending { exit: Some(0), stopped_by_us: false, now: 0 };
        assert!(matches!(
            stream.end(ending),
            Some(AgentOutcome::Failed { reason: FailReason::AgentFailed, .. })
        ));
    }
}
