//! The file of normalised events that the server and the cockpit follow.

use std::fs::File;
use std::io::{self, Write};
use std::time::Instant;

use midwatch_api::report::{EVENTS_FILE, StreamEvent};
use midwatch_core::agent::AgentEvent;

use super::escape;
use super::ground::Door;

/// Bytes of a text, as the wire type says.
const TEXT_BYTES: usize = 8 << 10;
/// Characters of a line: a summary, an error, an id.
const LINE_CHARACTERS: usize = 500;
/// Bytes of the whole file. An agent that talks more than that goes on unheard here; its raw
/// stream is in the log.
const FILE_BYTES: usize = 32 << 20;

/// Writes one JSON object a line.
#[derive(Debug)]
pub(super) struct Events {
    file: File,
    began: Instant,
    room: usize,
}

impl Events {
    /// Makes the file; `began` is when the runner started.
    pub(super) fn create(door: &Door, began: Instant) -> io::Result<Self> {
        Ok(Self { file: door.create(EVENTS_FILE)?, began, room: FILE_BYTES })
    }

    /// The runner reached a phase.
    pub(super) fn phase(&mut self, phase: &str) {
        let at_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.write(&StreamEvent::Phase { at_ms, phase: phase.to_owned() });
    }

    /// One event; best effort, as a transcript is no fact that decides.
    pub(super) fn write(&mut self, event: &StreamEvent) {
        let Ok(mut line) = serde_json::to_vec(event) else {
            return;
        };
        line.push(b'\n');
        if line.len() <= self.room {
            self.room -= line.len();
            let _ = self.file.write_all(&line);
        }
    }
}

/// The wire form of an agent's event, shortened and made fit for a terminal; none for a line
/// that was no event.
pub(super) fn to_wire(event: &AgentEvent) -> Option<StreamEvent> {
    let line = |text: &str| escape::line(text.as_bytes(), LINE_CHARACTERS);
    Some(match event {
        AgentEvent::Started { session, model } => {
            StreamEvent::Session { session: line(session), model: model.as_deref().map(line) }
        }
        AgentEvent::Text(text) => StreamEvent::Text { text: escape::text(text, TEXT_BYTES) },
        AgentEvent::ToolStarted { id: _, name, summary } => {
            StreamEvent::Tool { name: line(name), summary: line(summary) }
        }
        AgentEvent::ToolFinished { id: _, ok, summary } => {
            StreamEvent::ToolDone { ok: *ok, summary: line(summary) }
        }
        AgentEvent::Retrying { attempt, error } => {
            StreamEvent::Retrying { attempt: *attempt, error: line(error) }
        }
        AgentEvent::Usage(usage) => StreamEvent::Usage {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cost_micros: usage.cost_micros,
        },
        AgentEvent::Limit { reached, resets_at } => {
            StreamEvent::Limit { reached: *reached, resets_at: *resets_at }
        }
        AgentEvent::Warning(text) => StreamEvent::Warning { text: line(text) },
        AgentEvent::Finished { ok, text: _ } => StreamEvent::Finished { ok: *ok },
        AgentEvent::Malformed => return None,
    })
}
