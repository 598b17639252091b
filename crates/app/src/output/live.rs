//! The last line of a terminal while a task goes on: what it does now, for how long, what it
//! used. Drawn over itself; lines that stay are printed above it.

use std::io::{self, Write as _};

use midwatch_api::report::StreamEvent;
use midwatch_api::view::{Progress, ProgressLine};
use rustix::termios::tcgetwinsize;

use super::escape::{line, shortened};
use super::quantity::{dollars, duration, tokens};

const FRAMES: [char; 4] = ['|', '/', '-', '\\'];
/// Columns of a terminal that does not say.
const COLUMNS: usize = 80;

/// What is known now.
#[derive(Debug)]
pub(crate) struct Live {
    shown: bool,
    /// When that began, milliseconds since 1970: mostly before anybody looked.
    began_ms: i64,
    frame: usize,
    step: String,
    tool: String,
    usage: Option<(u64, u64, Option<u64>)>,
    drawn: bool,
}

impl Live {
    /// `shown` is false where stderr is no terminal: then nothing is ever drawn.
    pub(crate) fn new(shown: bool) -> Self {
        Self {
            shown,
            began_ms: now(),
            frame: 0,
            step: "waits".into(),
            tool: String::new(),
            usage: None,
            drawn: false,
        }
    }

    /// Takes in what happened.
    pub(crate) fn take(&mut self, told: &ProgressLine) {
        match &told.progress {
            Progress::State { state, .. } => {
                self.began_ms = told.at_ms;
                self.step.clone_from(state);
            }
            Progress::RunStarted { step, kind, command, run: _ } => {
                self.began_ms = told.at_ms;
                self.step = match command {
                    Some(command) => format!("{step}: {command}"),
                    None if kind.eq_ignore_ascii_case(step) => step.clone(),
                    None => format!("{step} ({})", kind.to_lowercase()),
                };
                self.tool.clear();
            }
            Progress::Agent { event, run: _, line: _ } => match event {
                StreamEvent::Tool { name, summary } => self.tool = format!("{name}: {summary}"),
                StreamEvent::ToolDone { .. } => self.tool.clear(),
                StreamEvent::Usage { input_tokens, output_tokens, cost_micros } => {
                    self.usage = Some((*input_tokens, *output_tokens, *cost_micros));
                }
                StreamEvent::Retrying { error, .. } => {
                    self.tool = format!("waits for the model: {error}");
                }
                StreamEvent::Phase { .. }
                | StreamEvent::Session { .. }
                | StreamEvent::Text { .. }
                | StreamEvent::Limit { .. }
                | StreamEvent::Checkpoint { .. }
                | StreamEvent::Warning { .. }
                | StreamEvent::Finished { .. } => {}
            },
            Progress::RunEnded { .. }
            | Progress::Check { .. }
            | Progress::Imported { .. }
            | Progress::Repair { .. }
            | Progress::Saved { .. }
            | Progress::Decided { .. }
            | Progress::Retry { .. }
            | Progress::AgentUnavailable { .. } => self.tool.clear(),
        }
    }

    /// Draws the line anew.
    pub(crate) fn draw(&mut self) {
        if !self.shown {
            return;
        }
        self.frame += 1;
        let columns = tcgetwinsize(io::stderr()).map_or(COLUMNS, |size| size.ws_col.into());
        let text = self.text(if columns == 0 { COLUMNS } else { columns }, now());
        write(&format!("\r\x1b[2K{text}"));
        self.drawn = true;
    }

    /// Takes the line away, before something else is printed.
    pub(crate) fn clear(&mut self) {
        if self.drawn {
            write("\r\x1b[2K");
            self.drawn = false;
        }
    }

    fn text(&self, columns: usize, now_ms: i64) -> String {
        let elapsed = now_ms.saturating_sub(self.began_ms);
        let mut parts = vec![line(&self.step), duration(elapsed / 1000 * 1000)];
        if !self.tool.is_empty() {
            parts.push(shortened(&self.tool, columns / 2));
        }
        if let Some((sent, received, cost)) = self.usage {
            parts.push(format!("{} in, {} out", tokens(sent), tokens(received)));
            #[expect(
                clippy::cast_precision_loss,
                reason = "money for people, far below 2^52 micros"
            )]
            parts.extend(cost.map(|micros| dollars(micros as f64 / 1e6)));
        }
        let text = format!("{} {}", FRAMES[self.frame % FRAMES.len()], parts.join("  "));
        shortened(&text, columns.saturating_sub(1))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.clear();
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A display that cannot be written is no reason to stop.
fn write(text: &str) {
    let mut end = io::stderr().lock();
    let _ = end.write_all(text.as_bytes()).and_then(|()| end.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_tool_cannot_leave_its_place() {
        let mut live = Live::new(false);
        let event = StreamEvent::Tool { name: "Bash\x1b[2J".into(), summary: "x\r\n".repeat(100) };
        live.take(&ProgressLine {
            version: 1,
            task: "t".into(),
            seq: 1,
            at_ms: 0,
            progress: Progress::Agent { run: "r".into(), line: 1, event },
        });
        let text = live.text(60, now());
        assert!(text.chars().count() < 60 && !text.contains(['\x1b', '\r', '\n']), "{text:?}");
    }

    #[test]
    fn times_count_from_the_runs_start_and_not_from_when_somebody_looked() {
        let mut live = Live::new(false);
        let (step, kind, command) = ("implement".into(), "Agent".into(), None);
        let run = Progress::RunStarted { run: "r".into(), kind, step, command };
        let line = |at_ms, progress| ProgressLine {
            version: 1,
            task: "t".into(),
            seq: 1,
            at_ms,
            progress,
        };
        let (state, reason) = ("Running".into(), None);
        live.take(&line(1000, Progress::State { state, reason, detail: None, until_ms: None }));
        live.take(&line(60_000, run));
        let said = live.text(60, 60_000 + 125_000);
        assert!(said.contains("implement (agent)  2m 05s"), "{said}");
        // A clock that was set back makes no negative time.
        assert!(live.text(60, 0).contains("  0s"), "{}", live.text(60, 0));
    }
}
