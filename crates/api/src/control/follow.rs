//! Where somebody who follows a task goes on: a place in its log, and in what each of its runs says.

use midwatch_core::id::RunName;
use midwatch_core::input::InvalidInput;
use serde::{Deserialize, Serialize};

use crate::view::{Progress, ProgressLine};

/// Of how many runs a place is kept. A few of a task go on at once; those of runs that are over are
/// not needed, and all together fit into a request's path.
const RUNS_MAX: usize = 32;

/// Where to follow from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EventsQuery {
    /// Only what happened after this place in the task's log; default 0: everything.
    pub after: u64,
    /// What was seen of runs that have not ended at that place: `RUN:LINE,RUN:LINE`, with the
    /// highest `line` of each. What is not named is told from its first line on.
    pub seen: String,
}

/// The same, read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FollowFrom {
    /// Only what happened after this place in the task's log.
    pub after: u64,
    /// Runs and the last line that was seen of each, the newest run last.
    pub seen: Vec<(String, u64)>,
}

impl FollowFrom {
    /// The end: only the result is told.
    pub fn end() -> Self {
        Self { after: u64::MAX, seen: vec![] }
    }

    /// Whether nothing but the result is told.
    pub fn is_end(&self) -> bool {
        self.after == u64::MAX
    }

    /// The last line that was seen of a run.
    pub fn line_of(&self, run: &str) -> u64 {
        self.seen.iter().find(|(name, _)| name == run).map_or(0, |(_, line)| *line)
    }

    /// Goes on behind a line that was told.
    pub fn took(&mut self, told: &ProgressLine) {
        self.after = self.after.max(told.seq);
        match &told.progress {
            Progress::Agent { run, line, event: _ } => {
                match self.seen.iter_mut().find(|(name, _)| name == run) {
                    Some((_, seen)) => *seen = *line,
                    None => self.seen.push((run.clone(), *line)),
                }
                if self.seen.len() > RUNS_MAX {
                    self.seen.remove(0);
                }
            }
            Progress::RunEnded { run, .. } => self.seen.retain(|(name, _)| name != run),
            Progress::State { .. }
            | Progress::RunStarted { .. }
            | Progress::Check { .. }
            | Progress::Imported { .. }
            | Progress::Repair { .. }
            | Progress::Saved { .. }
            | Progress::Decided { .. }
            | Progress::Retry { .. }
            | Progress::AgentUnavailable { .. } => {}
        }
    }
}

/// The query's text.
impl std::fmt::Display for FollowFrom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "after={}", self.after)?;
        for (number, (run, line)) in self.seen.iter().enumerate() {
            let before = if number == 0 { "&seen=" } else { "," };
            write!(f, "{before}{run}:{line}")?;
        }
        Ok(())
    }
}

impl TryFrom<EventsQuery> for FollowFrom {
    type Error = InvalidInput;

    fn try_from(query: EventsQuery) -> Result<Self, InvalidInput> {
        let EventsQuery { after, seen } = query;
        let seen = seen.split(',').filter(|one| !one.is_empty()).map(one);
        Ok(Self { after, seen: seen.collect::<Result<_, _>>()? })
    }
}

fn one(text: &str) -> Result<(String, u64), InvalidInput> {
    let read = text.split_once(':').and_then(|(run, line)| {
        let run = RunName::parse(run).ok()?;
        Some((run.as_str().to_owned(), line.parse().ok()?))
    });
    read.ok_or_else(|| {
        let fix = "write RUN:LINE as the lines name them, with commas between";
        InvalidInput::new("seen", text, "is no place in a run", fix)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::StreamEvent;
    use crate::view::LINE_VERSION;

    fn told(seq: u64, progress: Progress) -> ProgressLine {
        ProgressLine { version: LINE_VERSION, task: "t".into(), seq, at_ms: 0, progress }
    }

    fn said(run: &str, line: u64) -> Progress {
        Progress::Agent { run: run.into(), line, event: StreamEvent::Finished { ok: true } }
    }

    #[test]
    fn a_place_is_written_and_read_alike_and_forgets_what_is_over() {
        let mut from = FollowFrom::default();
        assert_eq!(from.to_string(), "after=0");
        for (seq, run, line) in [(3, "t-setup-2", 1), (3, "t-do-4", 1), (3, "t-do-4", 2)] {
            from.took(&told(seq, said(run, line)));
        }
        assert_eq!(from.to_string(), "after=3&seen=t-setup-2:1,t-do-4:2");
        let query = EventsQuery { after: 3, seen: "t-setup-2:1,t-do-4:2".into() };
        assert_eq!(FollowFrom::try_from(query).unwrap(), from);
        assert_eq!((from.line_of("t-do-4"), from.line_of("t-do-5")), (2, 0));
        let ended = Progress::RunEnded {
            run: "t-do-4".into(),
            ok: true,
            stopped: false,
            kept: false,
            detail: None,
        };
        from.took(&told(5, ended));
        assert_eq!(from.to_string(), "after=5&seen=t-setup-2:1");
        for number in 0..100 {
            from.took(&told(5, said(&format!("t-check-{number}"), 1)));
        }
        assert_eq!((from.seen.len(), from.line_of("t-check-99")), (RUNS_MAX, 1));
        for text in ["x", "t-do-4:", "t-do-4:-1", "../x:1", ":1"] {
            let query = EventsQuery { after: 0, seen: text.into() };
            let error = FollowFrom::try_from(query).unwrap_err().to_string();
            assert!(error.contains("seen"), "{error}");
        }
    }
}
