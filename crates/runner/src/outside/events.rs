//! The file of normalised events that the server and the cockpit follow.

use std::fs::File;
use std::io::{self, Write};
use std::time::Instant;

use midwatch_api::report::{EVENTS_FILE, StreamEvent};
use midwatch_api::segment::{SEGMENT_BYTES, segment_name};
use midwatch_core::agent::AgentEvent;

use super::escape;
use super::ground::Door;

/// Bytes of a text, as the wire type says.
const TEXT_BYTES: usize = 8 << 10;
/// Characters of a line: a summary, an error, an id.
const LINE_CHARACTERS: usize = 500;
/// Bytes of all files of one run. An agent that talks more than that goes on unheard here; its
/// raw stream is in the log.
const RUN_BYTES: u64 = 256 << 20;

/// Writes one JSON object a line.
#[derive(Debug)]
pub(super) struct Events {
    door: Door,
    file: File,
    /// Which of the stream's files it is.
    number: u32,
    /// Bytes in it.
    bytes: u64,
    began: Instant,
    room: u64,
}

impl Events {
    /// Makes the first file; `began` is when the runner started.
    pub(super) fn create(door: &Door, began: Instant) -> io::Result<Self> {
        let (door, file) = (door.another()?, door.create(EVENTS_FILE)?);
        Ok(Self { door, file, number: 0, bytes: 0, began, room: RUN_BYTES })
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
        let length = line.len() as u64;
        if length <= self.room {
            self.room -= length;
            let _ = self.begin_next(length);
            self.bytes += length;
            let _ = self.file.write_all(&line);
        }
    }

    /// Begins the next file where the line does not fit into this one. What is full is durable
    /// before the next one is seen, and never changes again. No line stands in two files.
    fn begin_next(&mut self, length: u64) -> io::Result<()> {
        if self.bytes == 0 || self.bytes + length <= SEGMENT_BYTES {
            return Ok(());
        }
        self.file.sync_data()?;
        self.file = self.door.create(&segment_name(EVENTS_FILE, self.number + 1))?;
        self.number += 1;
        self.bytes = 0;
        Ok(())
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
        AgentEvent::ToolStarted { id: _, name, summary, arguments: _ } => {
            StreamEvent::Tool { name: line(name), summary: line(summary) }
        }
        AgentEvent::ToolFinished { id: _, ok, summary, result: _ } => {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_stream_is_cut_into_files_at_the_ends_of_lines() {
        let folder = tempfile::tempdir().unwrap();
        let door = Door::open(folder.path()).unwrap();
        let mut events = Events::create(&door, Instant::now()).unwrap();
        let text = "x".repeat(TEXT_BYTES);
        let lines = 1300;
        for n in 0..lines {
            events.write(&StreamEvent::Text { text: format!("{n} {text}") });
        }
        let mut told = 0;
        for number in 0..3 {
            let path = folder.path().join(segment_name(EVENTS_FILE, number));
            let bytes = std::fs::read(path).unwrap();
            assert!(bytes.len() as u64 <= SEGMENT_BYTES && bytes.ends_with(b"\n"));
            for line in String::from_utf8(bytes).unwrap().lines() {
                let event: StreamEvent = serde_json::from_str(line).unwrap();
                let StreamEvent::Text { text } = event else { panic!("{line}") };
                assert!(text.starts_with(&format!("{told} ")), "line {told} is missing");
                told += 1;
            }
        }
        assert_eq!(told, lines, "a fourth file, or a lost line");
    }
}
