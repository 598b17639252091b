//! `--output-format stream-json` of gemini-cli, line by line.

use midwatch_core::agent::{AgentEvent, AgentOutcome, Usage};
use midwatch_core::reason::FailReason;
use serde_json::{Map, Value};

use super::failure;
use crate::adapter::{self, Ending, FINAL_TEXT_LIMIT, Stream};
use crate::clean::{self, Tail};
use crate::json;

/// The most bytes of an error that are judged: what it comes to may stand at its end.
const WORDS_LIMIT: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Transcript {
    session: Option<String>,
    usage: Usage,
    /// Text that is not complete: it comes in pieces, and ends with the next other event.
    speaking: String,
    /// The newest error on the stream that it does not call a warning.
    error: Option<String>,
    /// What stderr says of the newest try, until something comes of one.
    retrying: Option<String>,
    result: Option<Outcome>,
    last_text: String,
    stderr: Tail,
}

/// The last line.
#[derive(Debug)]
struct Outcome {
    ok: bool,
    kind: String,
    text: String,
}

impl Transcript {
    /// The text that was said in pieces, now that something else follows.
    fn said(&mut self) -> Option<AgentEvent> {
        let text = std::mem::take(&mut self.speaking);
        if text.trim().is_empty() {
            return None;
        }
        self.last_text.clone_from(&text);
        Some(AgentEvent::Text(clean::text(&text)))
    }

    fn init(&mut self, event: &Map<String, Value>) -> Vec<AgentEvent> {
        let id = json::text(event, "session_id").filter(|id| clean::is_session_id(id));
        let Some(id) = id.filter(|_| self.session.is_none()) else {
            return Vec::new();
        };
        self.session = Some(id.to_owned());
        let model = json::text(event, "model").map(clean::line);
        vec![AgentEvent::Started { session: id.to_owned(), model }]
    }

    fn message(&mut self, event: &Map<String, Value>) -> Vec<AgentEvent> {
        if json::text(event, "role") != Some("assistant") {
            return Vec::new();
        }
        let text = json::text(event, "content").unwrap_or_default();
        let room = FINAL_TEXT_LIMIT.saturating_sub(self.speaking.len());
        self.speaking.push_str(&clean::bounded(text, room));
        if event.get("delta") == Some(&Value::Bool(true)) {
            return Vec::new();
        }
        self.said().into_iter().collect()
    }

    fn tool_use(event: &Map<String, Value>) -> Vec<AgentEvent> {
        let (Some(id), Some(name)) = (json::text(event, "tool_id"), json::text(event, "tool_name"))
        else {
            return vec![AgentEvent::Malformed];
        };
        let parameters = event.get("parameters").unwrap_or(&Value::Null);
        let told = ["command", "file_path", "path", "dir_path", "pattern", "prompt", "description"]
            .iter()
            .find_map(|field| parameters[*field].as_str());
        vec![AgentEvent::ToolStarted {
            id: clean::line(id),
            name: clean::line(name),
            summary: clean::line(told.unwrap_or_default()),
            arguments: json::digest(parameters),
        }]
    }

    fn tool_result(event: &Map<String, Value>) -> Vec<AgentEvent> {
        let Some(id) = json::text(event, "tool_id").map(clean::line) else {
            return vec![AgentEvent::Malformed];
        };
        let ok = json::text(event, "status") == Some("success");
        let error = event.get("error").and_then(|error| error["message"].as_str());
        let output = json::text(event, "output").or(error).unwrap_or_default();
        let whole = Value::Object(event.clone());
        vec![AgentEvent::ToolFinished {
            id,
            ok,
            summary: clean::last_line(output),
            result: json::digest_of(&whole, &["status", "output", "error"]),
        }]
    }

    fn error(&mut self, event: &Map<String, Value>) -> Vec<AgentEvent> {
        let text = clean::line(json::text(event, "message").unwrap_or("?"));
        if json::text(event, "severity") == Some("error") {
            self.error = Some(text.clone());
        }
        vec![AgentEvent::Warning(text)]
    }

    fn result(&mut self, event: &Map<String, Value>) -> Vec<AgentEvent> {
        let mut events = Vec::new();
        if let Some(stats) = event.get("stats") {
            // What came from the cache is part of the input.
            self.usage = Usage {
                input_tokens: json::count(stats, "input_tokens"),
                output_tokens: json::count(stats, "output_tokens"),
                cost_micros: None,
            };
            events.push(AgentEvent::Usage(self.usage));
        }
        let error = event.get("error").unwrap_or(&Value::Null);
        let said = error["message"].as_str().or(self.error.as_deref()).unwrap_or_default();
        let outcome = Outcome {
            ok: json::text(event, "status") == Some("success"),
            kind: clean::line(error["type"].as_str().unwrap_or_default()),
            text: clean::bounded(said, WORDS_LIMIT),
        };
        let text =
            if outcome.ok { clean::text(&self.last_text) } else { clean::line(&outcome.text) };
        events.push(AgentEvent::Finished { ok: outcome.ok, text });
        self.result = Some(outcome);
        events
    }

    fn failed(kind: &str, text: &str, ending: Ending) -> AgentOutcome {
        Self::failed_for(failure::reason(kind, text, ending.exit), text, ending)
    }

    /// A limit is over when its words say.
    fn failed_for(reason: FailReason, text: &str, ending: Ending) -> AgentOutcome {
        let resets_at = match reason {
            FailReason::UsageLimit | FailReason::RateLimit => failure::resets_at(text, ending.now),
            _ => None,
        };
        AgentOutcome::Failed { reason, detail: clean::line(text), resets_at }
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
        if kind == "message" {
            self.retrying = None;
            return self.message(&event);
        }
        let mut events: Vec<AgentEvent> = self.said().into_iter().collect();
        events.extend(match kind {
            "init" => self.init(&event),
            "tool_use" => Self::tool_use(&event),
            "tool_result" => Self::tool_result(&event),
            "error" => self.error(&event),
            "result" => self.result(&event),
            // A newer version may say more; that is no fault.
            _ => Vec::new(),
        });
        events
    }

    fn stderr_line(&mut self, line: &[u8]) {
        self.stderr.push(line);
        let told = self.stderr.last().filter(|line| line.contains("Retrying"));
        if let Some(told) = told {
            self.retrying = Some(told.to_owned());
        }
    }

    fn end(&mut self, ending: Ending) -> Option<AgentOutcome> {
        if ending.stopped_by_us {
            return None;
        }
        match &self.result {
            // It says success after an answer that it could not use, too.
            Some(Outcome { ok: true, .. }) if ending.exit == Some(0) => {
                Some(match self.error.take() {
                    None => AgentOutcome::Completed,
                    Some(error) => Self::failed_for(failure::of_words(&error), &error, ending),
                })
            }
            Some(Outcome { ok: false, kind, text }) => {
                Some(Self::failed(kind, if text.is_empty() { kind } else { text }, ending))
            }
            Some(_) | None => {
                let told = self.stderr.find("rror").or(self.stderr.last());
                let text = told.map(str::to_owned);
                let text = text.unwrap_or_else(|| adapter::without_result(ending.exit));
                Some(Self::failed("", &text, ending))
            }
        }
    }

    fn trouble(&self, now: i64) -> Option<AgentOutcome> {
        let text = self.retrying.clone()?;
        let reason = match failure::of_words(&text) {
            FailReason::AgentFailed => FailReason::ModelUnavailable,
            reason => reason,
        };
        let resets_at = failure::resets_at(&text, now);
        Some(AgentOutcome::Failed { reason, detail: text, resets_at })
    }

    fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    fn usage(&self) -> Usage {
        self.usage
    }

    fn final_text(&self) -> &str {
        if self.speaking.trim().is_empty() { &self.last_text } else { &self.speaking }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error may be told beside a success, and then it is the end, with all that it says.
    #[test]
    fn a_limit_that_is_told_beside_a_success_has_its_reset() {
        let ends = |message: &str| {
            let mut stream = Transcript::default();
            let error =
                serde_json::json!({"type": "error", "severity": "error", "message": message});
            stream.line(error.to_string().as_bytes());
            stream.line(br#"{"type":"result","status":"success"}"#);
            stream.end(Ending { exit: Some(0), stopped_by_us: false, now: 100 })
        };
        let quota = "You have exhausted your daily quota. Your quota will reset after 1h.";
        let Some(AgentOutcome::Failed { reason, resets_at, .. }) = ends(quota) else {
            panic!("a limit is no success")
        };
        assert_eq!((reason, resets_at), (FailReason::UsageLimit, Some(100 + 3600)));
        let Some(AgentOutcome::Failed { resets_at, .. }) = ends("It broke, reset after 1h") else {
            panic!("an error is no success")
        };
        assert_eq!(resets_at, None, "what is no limit has no reset");
    }
}
