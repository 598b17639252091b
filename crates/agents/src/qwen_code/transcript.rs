//! `--output-format stream-json` of qwen-code, line by line. It looks like Claude Code's, and
//! calls a refused request a success.

use std::collections::BTreeSet;

use midwatch_core::agent::{AgentEvent, AgentOutcome, Usage};
use midwatch_core::reason::FailReason;
use serde_json::{Map, Value};

use super::failure::{self, MARK};
use crate::adapter::{self, Ending, FINAL_TEXT_LIMIT, Stream};
use crate::clean::{self, Tail};
use crate::json;

/// The most messages that are remembered; a hostile stream must not grow us.
const REMEMBERED: usize = 4096;
/// The most denied calls that are told.
const DENIED: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Transcript {
    /// What the session had used before this run: the last line's counts are over all of it.
    earlier: Usage,
    session: Option<String>,
    counted: BTreeSet<String>,
    usage: Usage,
    tools_worked: u32,
    denied: u32,
    /// The newest refusal that nothing came after.
    refused: Option<(FailReason, String)>,
    result: Option<Outcome>,
    last_text: String,
    stderr: Tail,
}

/// The last line.
#[derive(Debug)]
struct Outcome {
    ok: bool,
    subtype: String,
    text: String,
}

impl Transcript {
    pub(super) fn new(earlier: Usage) -> Self {
        Self { earlier, ..Self::default() }
    }

    fn system(&mut self, event: &Map<String, Value>) -> Vec<AgentEvent> {
        let id = json::text(event, "session_id").filter(|id| clean::is_session_id(id));
        let Some(id) = id.filter(|_| self.session.is_none()) else {
            return Vec::new();
        };
        self.session = Some(id.to_owned());
        let model = json::text(event, "model").map(clean::line);
        vec![AgentEvent::Started { session: id.to_owned(), model }]
    }

    fn assistant(&mut self, event: &Map<String, Value>) -> Vec<AgentEvent> {
        let Some(message) = event.get("message") else {
            return vec![AgentEvent::Malformed];
        };
        let main = event.get("parent_tool_use_id").is_none_or(Value::is_null);
        let mut events = Vec::new();
        for block in blocks(message) {
            match block["type"].as_str() {
                Some("text") if main => {
                    let text = block["text"].as_str().unwrap_or_default();
                    self.last_text = clean::bounded(text, FINAL_TEXT_LIMIT);
                    // The result says it again, as what it is.
                    if !text.starts_with(MARK) {
                        events.push(AgentEvent::Text(clean::text(text)));
                    }
                }
                Some("tool_use") => events.extend(started(block)),
                Some(_) | None => {}
            }
        }
        events.extend(self.count(message));
        events
    }

    /// Adds the usage of a message once.
    fn count(&mut self, message: &Value) -> Option<AgentEvent> {
        let id = message["id"].as_str()?;
        let usage = message.get("usage")?;
        if self.counted.len() >= REMEMBERED || !self.counted.insert(clean::line(id)) {
            return None;
        }
        // What came from the cache is part of the input here.
        let (input, output) =
            (json::count(usage, "input_tokens"), json::count(usage, "output_tokens"));
        self.usage.input_tokens = self.usage.input_tokens.saturating_add(input);
        self.usage.output_tokens = self.usage.output_tokens.saturating_add(output);
        Some(AgentEvent::Usage(self.usage))
    }

    fn user(&mut self, event: &Map<String, Value>) -> Vec<AgentEvent> {
        let Some(message) = event.get("message") else {
            return vec![AgentEvent::Malformed];
        };
        let finished: Vec<_> = blocks(message).filter_map(finished).collect();
        let worked = finished
            .iter()
            .filter(|event| matches!(event, AgentEvent::ToolFinished { ok: true, .. }));
        let worked = u32::try_from(worked.count()).unwrap_or(u32::MAX);
        self.tools_worked = self.tools_worked.saturating_add(worked);
        finished
    }

    fn result(&mut self, event: &Map<String, Value>) -> Vec<AgentEvent> {
        let mut events = Vec::new();
        if let Some(usage) = event.get("usage") {
            let total = Usage {
                input_tokens: json::count(usage, "input_tokens")
                    .saturating_sub(self.earlier.input_tokens),
                output_tokens: json::count(usage, "output_tokens")
                    .saturating_sub(self.earlier.output_tokens),
                cost_micros: None,
            };
            // Absent where it failed early; then what was counted stands.
            if total.input_tokens >= self.usage.input_tokens {
                self.usage = total;
            }
            events.push(AgentEvent::Usage(self.usage));
        }
        let denials = event.get("permission_denials").and_then(Value::as_array);
        for denial in denials.into_iter().flatten().take(DENIED) {
            self.denied = self.denied.saturating_add(1);
            let tool = clean::line(denial["tool_name"].as_str().unwrap_or("a tool"));
            events.push(AgentEvent::Warning(format!("{tool} was denied")));
        }
        let error = event.get("error").and_then(|error| error["message"].as_str());
        let said = json::text(event, "result").or(error).unwrap_or_default();
        let said = &*failure::told(said);
        let is_error = event.get("is_error").is_none_or(|it| it != false);
        let subtype = clean::line(json::text(event, "subtype").unwrap_or_default());
        let ok = !is_error && subtype == "success" && !said.starts_with(MARK);
        if ok && !said.is_empty() {
            self.last_text = clean::bounded(said, FINAL_TEXT_LIMIT);
        }
        self.result = Some(Outcome { ok, subtype, text: clean::line(said) });
        events.push(AgentEvent::Finished { ok, text: clean::text(said) });
        events
    }
}

impl Stream for Transcript {
    fn line(&mut self, line: &[u8]) -> Vec<AgentEvent> {
        let Some(event) = json::object(line) else {
            return vec![AgentEvent::Malformed];
        };
        match json::text(&event, "type") {
            Some("system") => self.system(&event),
            Some("assistant") => {
                self.refused = None;
                self.assistant(&event)
            }
            Some("user") => self.user(&event),
            Some("result") => self.result(&event),
            // A newer version may say more; that is no fault.
            Some(_) => Vec::new(),
            None => vec![AgentEvent::Malformed],
        }
    }

    fn stderr_line(&mut self, line: &[u8]) {
        self.stderr.push(line);
        if let Some(refused) = self.stderr.last().and_then(failure::refused) {
            self.refused = Some(refused);
        }
    }

    fn end(&mut self, ending: Ending) -> Option<AgentOutcome> {
        if ending.stopped_by_us {
            return None;
        }
        let failed =
            |reason, detail| Some(AgentOutcome::Failed { reason, detail, resets_at: None });
        let stderr = || {
            let told = self.stderr.find("rror").or(self.stderr.last());
            told.map_or_else(|| adapter::without_result(ending.exit), str::to_owned)
        };
        match &self.result {
            Some(Outcome { ok: true, .. }) if ending.exit == Some(0) => {
                if self.denied > 0 && self.tools_worked == 0 {
                    let detail = "every tool that the agent called was denied".to_owned();
                    return failed(FailReason::AgentFailed, detail);
                }
                Some(AgentOutcome::Completed)
            }
            Some(Outcome { text, .. }) if text.starts_with(MARK) => {
                failed(failure::of_answer(text), text.clone())
            }
            Some(Outcome { ok: false, subtype, text }) => {
                let detail = if text.is_empty() { stderr() } else { text.clone() };
                let reason = match subtype.as_str() {
                    "error_max_turns" => FailReason::TurnLimit,
                    _ => failure::of_text(&detail),
                };
                failed(reason, detail)
            }
            Some(_) => failed(FailReason::AgentFailed, adapter::without_result(ending.exit)),
            None => {
                let detail = stderr();
                failed(failure::of_text(&detail), detail)
            }
        }
    }

    fn trouble(&self, _: i64) -> Option<AgentOutcome> {
        let (reason, detail) = self.refused.clone()?;
        Some(AgentOutcome::Failed { reason, detail, resets_at: None })
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

fn blocks(message: &Value) -> impl Iterator<Item = &Value> {
    // The bound is against a hostile line.
    message["content"].as_array().into_iter().flatten().take(64)
}

fn started(block: &Value) -> Option<AgentEvent> {
    let input = &block["input"];
    let told = ["command", "file_path", "absolute_path", "path", "pattern", "description"]
        .iter()
        .find_map(|field| input[*field].as_str());
    Some(AgentEvent::ToolStarted {
        id: clean::line(block["id"].as_str()?),
        name: clean::line(block["name"].as_str()?),
        summary: clean::line(told.unwrap_or_default()),
        arguments: json::digest(input),
    })
}

fn finished(block: &Value) -> Option<AgentEvent> {
    if block["type"] != "tool_result" {
        return None;
    }
    let text = match &block["content"] {
        Value::String(text) => text.as_str(),
        Value::Array(parts) => parts.iter().find_map(|part| part["text"].as_str()).unwrap_or(""),
        _ => "",
    };
    Some(AgentEvent::ToolFinished {
        id: clean::line(block["tool_use_id"].as_str()?),
        ok: block["is_error"] != true,
        summary: clean::last_line(text),
        result: json::digest_of(block, &["content", "is_error"]),
    })
}
