//! What a declared CLI prints: JSON lines by its mapping, or plain text.

use midwatch_core::agent::{AgentEvent, AgentOutcome, EventMapping, Usage};
use midwatch_core::reason::FailReason;
use serde_json::Value;

use crate::adapter::{Ending, FINAL_TEXT_LIMIT, Stream};
use crate::clean::{self, Tail};
use crate::json;

#[derive(Debug, Default)]
pub(super) struct Transcript {
    mapping: Option<EventMapping>,
    session: Option<String>,
    usage: Usage,
    calls: u32,
    last_text: String,
    stderr: Tail,
}

impl Transcript {
    pub(super) fn new(mapping: Option<EventMapping>) -> Self {
        Self { mapping, ..Self::default() }
    }

    /// Plain text has no last message: the end of all of it stands for one.
    fn plain(&mut self, line: &[u8]) -> Vec<AgentEvent> {
        let text = clean::text(&String::from_utf8_lossy(line));
        clean::push_line(&mut self.last_text, &text, FINAL_TEXT_LIMIT);
        vec![AgentEvent::Text(text)]
    }

    fn mapped(&mut self, mapping: &EventMapping, event: &Value) -> Vec<AgentEvent> {
        let mut events = Vec::new();
        let text = |pointer: &Option<String>| {
            pointer.as_deref().and_then(|it| event.pointer(it)).and_then(Value::as_str)
        };
        let count = |pointer: &Option<String>| {
            pointer.as_deref().and_then(|it| event.pointer(it)).and_then(Value::as_u64)
        };
        let id = text(&mapping.session).filter(|id| clean::is_session_id(id));
        if let (Some(id), None) = (id, &self.session) {
            self.session = Some(id.to_owned());
            events.push(AgentEvent::Started { session: id.to_owned(), model: None });
        }
        if let Some(text) = text(&mapping.text) {
            self.last_text = clean::bounded(text, FINAL_TEXT_LIMIT);
            events.push(AgentEvent::Text(clean::text(text)));
        }
        if let Some(tool) = text(&mapping.tool) {
            self.calls = self.calls.saturating_add(1);
            events.push(AgentEvent::ToolStarted {
                id: format!("call-{}", self.calls),
                name: clean::line(tool),
                summary: String::new(),
                // Where the arguments stand is not declared, and calls that only look alike must
                // not be taken for the same.
                arguments: json::digest(event),
            });
        }
        let (input, output) = (count(&mapping.input_tokens), count(&mapping.output_tokens));
        if input.is_some() || output.is_some() {
            self.usage.input_tokens = self.usage.input_tokens.saturating_add(input.unwrap_or(0));
            self.usage.output_tokens = self.usage.output_tokens.saturating_add(output.unwrap_or(0));
            events.push(AgentEvent::Usage(self.usage));
        }
        events
    }
}

impl Stream for Transcript {
    fn line(&mut self, line: &[u8]) -> Vec<AgentEvent> {
        let Some(mapping) = self.mapping.take() else {
            return self.plain(line);
        };
        let events = match serde_json::from_slice(line) {
            Ok(event @ Value::Object(_)) => self.mapped(&mapping, &event),
            Ok(_) | Err(_) => vec![AgentEvent::Malformed],
        };
        self.mapping = Some(mapping);
        events
    }

    fn stderr_line(&mut self, line: &[u8]) {
        self.stderr.push(line);
    }

    fn end(&mut self, ending: Ending) -> Option<AgentOutcome> {
        if ending.stopped_by_us {
            return None;
        }
        let told = self.stderr.last().map_or_else(String::new, |line| format!(": {line}"));
        let (reason, detail) = match ending.exit {
            // What it did is judged from the commit and the checks.
            Some(0) => return Some(AgentOutcome::Completed),
            // The declaration names what cannot be started.
            Some(code @ (126 | 127)) => (
                FailReason::InvalidInput,
                format!("the custom agent's command could not be started (exit code {code}){told}"),
            ),
            Some(code @ 129..=192) => (
                FailReason::AgentFailed,
                format!("the agent was ended by signal {}{told}", code - 128),
            ),
            Some(code) => {
                (FailReason::AgentFailed, format!("the agent ended with exit code {code}{told}"))
            }
            None => {
                (FailReason::AgentFailed, "the agent ended, and its exit code was lost".to_owned())
            }
        };
        Some(AgentOutcome::Failed { reason, detail: clean::line(&detail), resets_at: None })
    }

    fn trouble(&self, _: i64) -> Option<AgentOutcome> {
        None
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

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping() -> EventMapping {
        EventMapping {
            session: Some("/id".into()),
            text: Some("/msg/text".into()),
            tool: Some("/tool".into()),
            input_tokens: Some("/u/in".into()),
            output_tokens: Some("/u/out".into()),
        }
    }

    #[test]
    fn json_lines_are_read_by_pointers_and_tokens_summed() {
        let mut stream = Transcript::new(Some(mapping()));
        assert_eq!(
            stream.line(br#"{"id":"s-1","msg":{"text":"hello"},"u":{"in":5}}"#),
            [
                AgentEvent::Started { session: "s-1".into(), model: None },
                AgentEvent::Text("hello".into()),
                AgentEvent::Usage(Usage { input_tokens: 5, ..Usage::default() }),
            ]
        );
        assert!(matches!(&stream.line(br#"{"tool":"bash","id":"other"}"#)[..],
            [AgentEvent::ToolStarted { name, .. }] if name == "bash"));
        stream.line(br#"{"u":{"in":2,"out":3}}"#);
        let usage = stream.usage();
        assert_eq!((usage.input_tokens, usage.output_tokens), (7, 3));
        assert_eq!((stream.session(), stream.final_text()), (Some("s-1"), "hello"));
        assert_eq!(stream.line(b"not json"), [AgentEvent::Malformed]);
        assert_eq!(stream.line(b"[1]"), [AgentEvent::Malformed]);
    }

    #[test]
    fn plain_text_keeps_its_end() {
        let mut stream = Transcript::new(None);
        assert_eq!(stream.line(b"a\x1b[0m"), [AgentEvent::Text("a\u{fffd}[0m".into())]);
        for _ in 0..100 {
            stream.line("é".repeat(9000).as_bytes());
        }
        stream.line(b"the end");
        assert!(stream.final_text().len() <= FINAL_TEXT_LIMIT);
        assert!(stream.final_text().ends_with("the end\n"));
    }

    #[test]
    fn the_exit_code_is_all_there_is() {
        let mut stream = Transcript::new(None);
        stream.stderr_line(b"no such key");
        let ending = |exit| Ending { exit, stopped_by_us: false, now: 0 };
        let mut reason = |exit| match stream.end(ending(exit)) {
            Some(AgentOutcome::Failed { reason, detail, .. }) => Some((reason, detail)),
            Some(AgentOutcome::Completed) | None => None,
        };
        assert_eq!(reason(Some(0)), None);
        assert_eq!(reason(Some(127)).unwrap().0, FailReason::InvalidInput);
        assert!(reason(Some(3)).unwrap().1.ends_with("exit code 3: no such key"));
        assert!(reason(Some(137)).unwrap().1.contains("signal 9"));
        assert_eq!(reason(None).unwrap().0, FailReason::AgentFailed);
    }
}
