//! What becomes of what a sandbox prints, says of its progress, and does not do.

use std::io;
use std::time::Instant;

use midwatch_api::report::StreamEvent;
use midwatch_core::agent::AgentEvent;
use midwatch_core::supervise::{Bounds, Finding, Supervisor};

use super::Run;
use crate::outside::capture::Stream;
use crate::outside::stop::Asked;
use crate::outside::watch::Around;
use crate::outside::{escape, events};

/// The longest name of a phase.
const PHASE_BYTES: usize = 32;

/// The watch over an agent.
pub(super) struct Supervision {
    watch: Supervisor,
    writes: bool,
    since: Instant,
    found: Option<Finding>,
}

impl Supervision {
    /// Begins now. `writes` says whether the agent is to change things.
    pub(super) fn new(bounds: Bounds, writes: bool) -> Self {
        Self { watch: Supervisor::new(bounds), writes, since: Instant::now(), found: None }
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Run<'_> {
    /// Passes an event on.
    pub(super) fn tell(&mut self, event: &AgentEvent) {
        if let AgentEvent::Text(text) | AgentEvent::Warning(text) = event {
            self.capture.note(text);
        }
        if let Some(event) = events::to_wire(event) {
            self.events.write(&event);
        }
        if let Some(supervision) = &mut self.supervision
            && supervision.found.is_none()
        {
            supervision.found = supervision.watch.event(event);
        }
    }
}

impl Around for Run<'_> {
    fn printed(&mut self, stream: Stream, bytes: &[u8]) -> bool {
        let Some(conversation) = &mut self.conversation else {
            self.capture.take(stream, bytes, true);
            return true;
        };
        match stream {
            Stream::Stdout => {
                self.capture.take(stream, bytes, false);
                let events = conversation.stdout(bytes);
                for event in &events {
                    self.tell(event);
                }
                events.iter().any(AgentEvent::is_progress)
            }
            Stream::Stderr => {
                self.capture.take(stream, bytes, true);
                conversation.stderr(bytes);
                false
            }
        }
    }

    fn ticked(&mut self) -> bool {
        let Some((out, follower)) = &mut self.follower else {
            return false;
        };
        let lines = follower.look(out);
        for line in &lines {
            match serde_json::from_str(line) {
                Ok(Progress::Phase { phase }) if phase.len() <= PHASE_BYTES => {
                    self.events.phase(&escape::line(phase.as_bytes(), PHASE_BYTES));
                }
                Ok(Progress::Checkpoint { checkpoint }) => {
                    if let Some(supervision) = &mut self.supervision {
                        supervision.watch.changed(supervision.elapsed_ms());
                    }
                    self.events.write(&StreamEvent::Checkpoint { number: checkpoint });
                }
                Ok(Progress::Phase { .. }) | Err(_) => {}
            }
        }
        // Hostile lines are no heartbeat.
        false
    }

    fn asked(&mut self) -> Asked {
        self.stop.asked(self.door)
    }

    fn found(&mut self) -> Option<Finding> {
        let supervision = self.supervision.as_ref()?;
        let Supervision { watch, writes, found, .. } = supervision;
        found.clone().or_else(|| watch.tick(supervision.elapsed_ms(), *writes))
    }

    fn is_flood(&self) -> bool {
        self.capture.is_flood()
    }

    fn log_failed(&self) -> Option<io::ErrorKind> {
        self.capture.write_error()
    }
}

/// A line of the inside's progress.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Progress {
    Phase { phase: String },
    Checkpoint { checkpoint: u32 },
}
