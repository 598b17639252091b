//! `opencode run --format json`, line by line. It has no last word: the end is the end of the
//! stream, the exit code and the last step.

use midwatch_core::agent::{AgentEvent, AgentOutcome, Usage};
use midwatch_core::reason::FailReason;
use serde_json::{Map, Value};

use super::failure::{self, Failure};
use crate::adapter::{self, Ending, FINAL_TEXT_LIMIT, Stream};
use crate::clean::{self, Tail};
use crate::json;

/// Steps in a row that came to nothing before they count as trouble: it asks again without
/// bound when a stream ends early.
const EMPTY_STEPS: u32 = 2;

#[derive(Debug, Default)]
pub(super) struct Transcript {
    model: Option<String>,
    session: Option<String>,
    usage: Usage,
    last_step: Option<String>,
    /// Steps in a row without text or tool.
    empty_steps: u32,
    step_came_to: bool,
    tools_worked: u32,
    /// Why the newest tool could not work at all.
    broken: Option<String>,
    error: Option<Failure>,
    /// What its log says of the newest try, until something comes of one.
    retrying: Option<String>,
    last_text: String,
    stderr: Tail,
}

impl Transcript {
    pub(super) fn new(model: Option<String>) -> Self {
        Self { model, ..Self::default() }
    }

    fn started(&mut self, event: &Map<String, Value>) -> Option<AgentEvent> {
        let id = json::text(event, "sessionID").filter(|id| clean::is_session_id(id))?;
        if self.session.is_some() {
            return None;
        }
        self.session = Some(id.to_owned());
        Some(AgentEvent::Started { session: id.to_owned(), model: self.model.clone() })
    }

    /// A call is told when it is over.
    fn tool(&mut self, part: &Value) -> Vec<AgentEvent> {
        let (Some(id), Some(name)) = (part["callID"].as_str(), part["tool"].as_str()) else {
            return vec![AgentEvent::Malformed];
        };
        let (id, name) = (clean::line(id), clean::line(name));
        let state = &part["state"];
        let input = &state["input"];
        let told = ["command", "filePath", "pattern", "path", "url", "description"]
            .iter()
            .find_map(|field| input[*field].as_str())
            .or_else(|| state["title"].as_str());
        let exit = state["metadata"]["exit"].as_i64();
        let ok = state["status"] == "completed" && exit.is_none_or(|exit| exit == 0);
        let output = state["output"].as_str().or_else(|| state["error"].as_str());
        let output = output.unwrap_or_default();
        self.step_came_to = true;
        if ok {
            self.tools_worked = self.tools_worked.saturating_add(1);
        } else if state["status"] == "error" && is_broken(output) {
            self.broken = Some(clean::line(output));
        }
        vec![
            AgentEvent::ToolStarted {
                id: id.clone(),
                name,
                summary: clean::line(told.unwrap_or_default()),
                arguments: json::digest(input),
            },
            AgentEvent::ToolFinished {
                id,
                ok,
                summary: clean::last_line(output),
                result: json::digest_of(state, &["status", "output", "error"]),
            },
        ]
    }

    fn text(&mut self, part: &Value) -> Vec<AgentEvent> {
        let text = part["text"].as_str().unwrap_or_default();
        if text.trim().is_empty() {
            return Vec::new();
        }
        self.step_came_to = true;
        self.last_text = clean::bounded(text, FINAL_TEXT_LIMIT);
        vec![AgentEvent::Text(clean::text(text))]
    }

    fn step_finished(&mut self, part: &Value) -> Vec<AgentEvent> {
        let tokens = &part["tokens"];
        let cache = &tokens["cache"];
        // What came from the cache is not part of the input here, nor reasoning of the output.
        let input = json::count(tokens, "input")
            .saturating_add(json::count(cache, "read"))
            .saturating_add(json::count(cache, "write"));
        let output = json::count(tokens, "output").saturating_add(json::count(tokens, "reasoning"));
        self.usage.input_tokens = self.usage.input_tokens.saturating_add(input);
        self.usage.output_tokens = self.usage.output_tokens.saturating_add(output);
        self.last_step = Some(clean::line(part["reason"].as_str().unwrap_or("unknown")));
        let came_to = std::mem::take(&mut self.step_came_to);
        self.empty_steps = if came_to { 0 } else { self.empty_steps.saturating_add(1) };
        let mut events = vec![AgentEvent::Usage(self.usage)];
        if self.empty_steps >= EMPTY_STEPS {
            let error = "the model's answers end before they say anything".to_owned();
            events.push(AgentEvent::Retrying { attempt: self.empty_steps, error });
        }
        events
    }

    fn error(&mut self, event: &Map<String, Value>) -> Vec<AgentEvent> {
        let Some(error) = event.get("error") else {
            return vec![AgentEvent::Malformed];
        };
        let failure = failure::read(error);
        let text = failure.text.clone();
        self.error = Some(failure);
        vec![AgentEvent::Warning(text)]
    }

    /// How the last step ended, when nothing was said to be wrong.
    fn of_last_step(&self, exit: Option<i32>) -> Option<(FailReason, String)> {
        match self.last_step.as_deref() {
            Some("stop") => match &self.broken {
                Some(broken) if self.tools_worked == 0 => {
                    let reason = match failure::of_text(broken) {
                        FailReason::Disk => FailReason::Disk,
                        _ => FailReason::AgentFailed,
                    };
                    Some((reason, format!("the agent's tools did not work: {broken}")))
                }
                Some(_) | None => None,
            },
            Some("length") => {
                Some((FailReason::TokenLimit, "the model's last answer was cut off".to_owned()))
            }
            Some(other) => {
                Some((FailReason::ModelUnavailable, format!("the last step ended with {other}")))
            }
            None => Some((FailReason::AgentFailed, adapter::without_result(exit))),
        }
    }
}

impl Stream for Transcript {
    fn line(&mut self, line: &[u8]) -> Vec<AgentEvent> {
        let Some(event) = json::object(line) else {
            return vec![AgentEvent::Malformed];
        };
        let Some(kind) = json::text(&event, "type") else {
            return vec![AgentEvent::Malformed];
        };
        let mut events: Vec<AgentEvent> = self.started(&event).into_iter().collect();
        if kind != "step_start" {
            self.retrying = None;
        }
        let part = event.get("part").unwrap_or(&Value::Null);
        match kind {
            "tool_use" => events.extend(self.tool(part)),
            "text" => events.extend(self.text(part)),
            "step_finish" => events.extend(self.step_finished(part)),
            "error" => events.extend(self.error(&event)),
            // Also step_start and reasoning; a newer version may say more.
            _ => {}
        }
        events
    }

    fn stderr_line(&mut self, line: &[u8]) {
        self.stderr.push(line);
        if let Some(error) = self.stderr.last().and_then(stream_error) {
            self.retrying = Some(error.to_owned());
        }
    }

    fn end(&mut self, ending: Ending) -> Option<AgentOutcome> {
        if ending.stopped_by_us {
            return None;
        }
        let failed = |reason, detail, resets_at| AgentOutcome::Failed { reason, detail, resets_at };
        if let Some(error) = &self.error {
            return Some(failed(error.reason, error.text.clone(), error.resets_at));
        }
        if ending.exit == Some(0) {
            return Some(match self.of_last_step(ending.exit) {
                None => AgentOutcome::Completed,
                Some((reason, detail)) => failed(reason, detail, None),
            });
        }
        let told = self.stderr.find("rror").or(self.stderr.last());
        let detail = told.map_or_else(|| adapter::without_result(ending.exit), str::to_owned);
        Some(failed(failure::of_text(&detail), detail, None))
    }

    fn trouble(&self, _: i64) -> Option<AgentOutcome> {
        if let Some(error) = &self.error {
            let (reason, detail) = (error.reason, error.text.clone());
            return Some(AgentOutcome::Failed { reason, detail, resets_at: error.resets_at });
        }
        if let Some(detail) = self.retrying.clone() {
            let reason = match failure::of_text(&detail) {
                FailReason::AgentFailed => FailReason::ModelUnavailable,
                reason => reason,
            };
            return Some(AgentOutcome::Failed { reason, detail, resets_at: None });
        }
        (self.empty_steps >= EMPTY_STEPS).then(|| AgentOutcome::Failed {
            reason: FailReason::ModelUnavailable,
            detail: "the model's answers end before they say anything".to_owned(),
            resets_at: None,
        })
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

/// What a line of its log says of a request that failed: `… message="stream error" …
/// small=false … error.error="…"`. Small ones are of its titles.
fn stream_error(line: &str) -> Option<&str> {
    if !line.contains("message=\"stream error\"") || line.contains(" small=true ") {
        return None;
    }
    let (_, error) =
        line.split_once("error.error=").or_else(|| line.split_once("error.error.message="))?;
    Some(error.trim_matches('"'))
}

/// The tool itself could not work, whatever it was called with.
fn is_broken(text: &str) -> bool {
    ["EROFS", "ENOSPC", "No space left", "read-only file system"]
        .iter()
        .any(|part| text.contains(part))
}
