//! Supervision without a model: from an agent's events alone, whether it turns in circles,
//! changes nothing for long, or waits for a permission that nobody gives.
//!
//! Everything here is a claim of the inside. All that follows from it is that a run is stopped
//! and saved, and begins again with the finding: nothing is called good for it.

use std::collections::{BTreeMap, VecDeque};

use crate::agent::{AgentEvent, Digest};
use crate::reason::FailReason;

/// The longest circle that is looked for, in calls: an agent that reads, edits, tests and looks
/// again makes four.
const LONGEST_CIRCLE: usize = 4;
/// How many times as many rounds it takes where results are not told: the same call may come to
/// something else each time.
const BLIND: usize = 3;
/// Calls that were refused one after the other before the agent counts as waiting.
const REFUSALS: u32 = 5;
/// The most calls that may be open at once; more are not followed.
const OPEN_CALLS: usize = 64;
/// What CLIs answer in the place of a tool's result when nobody is there to allow the call. Each
/// stands in the program of the version named; the recordings show one of each CLI's but codex's,
/// which nothing of ours was denied by. aider has no tools.
const REFUSED: [&str; 17] = [
    // Claude Code 2.1.197, the last two where its settings say no.
    "requested permissions to",
    "haven't granted",
    "requires approval",
    "Permission to use ",
    "is denied by your permission settings",
    // codex 0.169.0.
    "rejected: blocked by policy",
    "approval required by policy",
    "exec command rejected by user",
    "patch rejected by user",
    // opencode 1.18.33.
    "has specified a rule which prevents you from using this specific tool call",
    "rejected permission to use this specific tool call",
    // gemini-cli 0.61.0.
    "Tool execution denied by policy",
    "\" denied by policy.",
    // qwen-code 0.15.10: by a rule, for want of one, and for an agent of its agent's.
    "is denied by permission rules",
    "but that permission was declined",
    "cannot prompt for confirmation",
    "requires permission, but background agents",
];

/// When to say something. Zero switches a finding off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How often the same call, or the same short circle of calls, may come to the same result.
    pub loop_rounds: u32,
    /// Seconds that an agent may work without a new checkpoint.
    pub no_change_seconds: u64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The typed reason.
    pub reason: FailReason,
    /// One sentence, which the next run is told.
    pub detail: String,
}

/// Watches one run.
#[derive(Debug)]
pub struct Supervisor {
    bounds: Bounds,
    /// Calls that began and have not ended, by their id.
    open: BTreeMap<String, (Digest, String)>,
    /// The newest calls with their results, newest last.
    calls: VecDeque<(Digest, String)>,
    refused: u32,
    /// The agent's events tell results, so that calls are judged when they end.
    results: bool,
    /// When something was changed last, in milliseconds since the run began.
    changed_ms: u64,
}

impl Supervisor {
    /// Watches a run that just began.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            open: BTreeMap::new(),
            calls: VecDeque::new(),
            refused: 0,
            results: false,
            changed_ms: 0,
        }
    }

    /// Takes an event in; what it shows, if it shows something.
    pub fn event(&mut self, event: &AgentEvent) -> Option<Finding> {
        match event {
            AgentEvent::ToolStarted { id, name, summary, arguments } => {
                let call = format!("{name} {summary}").trim_end().to_owned();
                let mark = mixed(Digest::of(name.as_bytes()), *arguments);
                if !self.results {
                    self.ended(mark, call.clone());
                }
                if self.open.len() < OPEN_CALLS {
                    self.open.insert(id.clone(), (mark, call));
                }
                if self.results { None } else { self.circle(BLIND) }
            }
            AgentEvent::ToolFinished { id, ok, summary, result } => {
                // A result without its call says nothing: it cannot be told what was repeated.
                let (call, name) = self.open.remove(id)?;
                if !self.results {
                    self.results = true;
                    self.calls.clear();
                }
                let refusal = self.refusal(*ok, summary, &name);
                self.ended(mixed(call, *result), name);
                refusal.or_else(|| self.circle(1))
            }
            AgentEvent::Started { .. }
            | AgentEvent::Text(_)
            | AgentEvent::Retrying { .. }
            | AgentEvent::Usage(_)
            | AgentEvent::Limit { .. }
            | AgentEvent::Warning(_)
            | AgentEvent::Finished { .. }
            | AgentEvent::Malformed => None,
        }
    }

    /// A checkpoint was made: the workspace has changed.
    pub fn changed(&mut self, at_ms: u64) {
        self.changed_ms = at_ms;
    }

    /// Looks at the clock. `writes` says whether the agent is one that changes things.
    pub fn tick(&self, at_ms: u64, writes: bool) -> Option<Finding> {
        let limit = self.bounds.no_change_seconds;
        let idle = at_ms.saturating_sub(self.changed_ms) / 1000;
        (writes && limit > 0 && idle >= limit).then(|| Finding {
            reason: FailReason::Stalled,
            detail: format!("it worked for {} minutes and changed nothing", idle / 60),
        })
    }

    fn ended(&mut self, mark: Digest, name: String) {
        self.calls.push_back((mark, name));
        let kept = BLIND * LONGEST_CIRCLE * self.bounds.loop_rounds.max(1) as usize;
        while self.calls.len() > kept {
            self.calls.pop_front();
        }
    }

    fn refusal(&mut self, ok: bool, summary: &str, call: &str) -> Option<Finding> {
        let refused = !ok && REFUSED.iter().any(|words| summary.contains(words));
        self.refused = if refused { self.refused + 1 } else { 0 };
        (self.refused >= REFUSALS).then(|| Finding {
            reason: FailReason::PermissionNeeded,
            detail: format!(
                "{REFUSALS} calls in a row were refused, the last one {call}: {summary}"
            ),
        })
    }

    /// The shortest circle that the newest calls went round as often as is allowed.
    fn circle(&self, times: usize) -> Option<Finding> {
        let rounds = times * self.bounds.loop_rounds as usize;
        if rounds == 0 {
            return None;
        }
        (1..=LONGEST_CIRCLE).find_map(|length| {
            let tail = self.calls.len().checked_sub(length * rounds)?;
            let same = (tail..self.calls.len() - length)
                .all(|at| self.calls[at].0 == self.calls[at + length].0);
            same.then(|| {
                let names: Vec<&str> =
                    self.calls.range(tail..tail + length).map(|(_, name)| name.as_str()).collect();
                Finding {
                    reason: FailReason::Looping,
                    detail: format!(
                        "it did the same {rounds} times{}: {}",
                        if self.results { " with the same result" } else { "" },
                        names.join(", then ")
                    ),
                }
            })
        })
    }
}

fn mixed(one: Digest, other: Digest) -> Digest {
    Digest::of(&[one.0.to_le_bytes(), other.0.to_le_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { loop_rounds: 5, no_change_seconds: 600 };

    fn call(watch: &mut Supervisor, name: &str, result: &str) -> Option<Finding> {
        let started = AgentEvent::ToolStarted {
            id: "1".into(),
            name: name.into(),
            summary: String::new(),
            arguments: Digest::of(b"args"),
        };
        assert_eq!(watch.event(&started), None);
        watch.event(&AgentEvent::ToolFinished {
            id: "1".into(),
            ok: !result.contains("granted"),
            summary: result.into(),
            result: Digest::of(result.as_bytes()),
        })
    }

    fn rounds(circle: &[(&str, &str)], times: usize) -> Option<Finding> {
        let mut watch = Supervisor::new(BOUNDS);
        let calls = circle.iter().cycle().take(circle.len() * times);
        calls.map(|(name, result)| call(&mut watch, name, result)).find_map(|found| found)
    }

    #[test]
    fn the_same_call_and_result_over_and_over_is_a_loop() {
        assert_eq!(rounds(&[("make", "red")], 4), None);
        let found = rounds(&[("make", "red")], 5).unwrap();
        assert_eq!(found.reason, FailReason::Looping);
        assert!(found.detail.contains("5 times") && found.detail.contains("make"), "{found:?}");
    }

    #[test]
    fn short_circles_are_loops_and_progress_is_none() {
        let circle = [("read", "a"), ("edit", "b"), ("test", "c"), ("look", "d")];
        assert_eq!(rounds(&circle[..2], 5).unwrap().reason, FailReason::Looping);
        assert_eq!(rounds(&circle, 5).unwrap().reason, FailReason::Looping);
        assert_eq!(rounds(&circle, 4), None);
        // The same call with another result each time: it gets somewhere.
        let mut watch = Supervisor::new(BOUNDS);
        assert!((0..50).all(|n| call(&mut watch, "make", &format!("{n} red")).is_none()));
    }

    #[test]
    fn results_without_their_calls_and_calls_without_results_say_nothing() {
        let mut watch = Supervisor::new(BOUNDS);
        for _ in 0..50 {
            let result = Digest::of(b"x");
            let (id, summary) = ("9".to_owned(), String::new());
            let event = AgentEvent::ToolFinished { id, ok: true, summary, result };
            assert_eq!(watch.event(&event), None);
        }
        for n in 0..500 {
            assert_eq!(watch.event(&started(n, &n.to_string())), None);
        }
        assert!(watch.open.len() <= OPEN_CALLS);
    }

    fn started(id: u32, arguments: &str) -> AgentEvent {
        AgentEvent::ToolStarted {
            id: id.to_string(),
            name: "bash".into(),
            summary: String::new(),
            arguments: Digest::of(arguments.as_bytes()),
        }
    }

    #[test]
    fn where_results_are_not_told_it_takes_more_of_the_same_call() {
        let mut watch = Supervisor::new(BOUNDS);
        assert!((1..15).all(|n| watch.event(&started(n, "same")).is_none()));
        let found = watch.event(&started(15, "same")).unwrap();
        assert_eq!(found.reason, FailReason::Looping);
        assert!(!found.detail.contains("result"), "{found:?}");
    }

    #[test]
    fn permissions_that_nobody_gives_are_found() {
        let mut watch = Supervisor::new(Bounds { loop_rounds: 0, ..BOUNDS });
        let text = "Claude requested permissions to use Bash, but you haven't granted it yet.";
        for _ in 1..REFUSALS {
            assert_eq!(call(&mut watch, "bash", text), None);
        }
        let found = call(&mut watch, "bash", text).unwrap();
        assert_eq!(found.reason, FailReason::PermissionNeeded);
        assert!(found.detail.contains("the last one bash: Claude requested"), "{}", found.detail);
        assert_eq!(call(&mut watch, "bash", "fine"), None);
        assert_eq!(call(&mut watch, "bash", text), None, "counted from the start again");
    }

    #[test]
    fn each_clis_own_words_are_known_and_a_failing_command_is_no_refusal() {
        let refused = |text: &str| {
            let mut watch = Supervisor::new(Bounds { loop_rounds: 0, ..BOUNDS });
            (0..REFUSALS).any(|_| watch.refusal(false, text, "bash").is_some())
        };
        for text in [
            "Permission to use Bash with command cat note.txt has been denied.",
            "File is in a directory that is denied by your permission settings.",
            "`touch x` rejected: blocked by policy",
            "The user has specified a rule which prevents you from using this specific tool call.",
            "Tool execution denied by policy.",
            r#"Tool execution for "Shell" denied by policy."#,
            r#"Tool "run_shell_command" is denied by permission rules."#,
            r#"Qwen Code requires permission to use "write_file", but that permission was declined."#,
        ] {
            assert!(refused(text), "{text}");
        }
        for text in ["cat: /etc/shadow: Permission denied", "push was rejected", "access denied"] {
            assert!(!refused(text), "{text}");
        }
    }

    #[test]
    fn work_that_changes_nothing_is_found_by_the_clock() {
        let mut watch = Supervisor::new(BOUNDS);
        assert_eq!(watch.tick(599_000, true), None);
        assert_eq!(watch.tick(600_000, true).unwrap().reason, FailReason::Stalled);
        assert_eq!(watch.tick(600_000, false), None, "who only reads changes nothing");
        watch.changed(500_000);
        assert_eq!(watch.tick(600_000, true), None);
        let off = Supervisor::new(Bounds { no_change_seconds: 0, ..BOUNDS });
        assert_eq!(off.tick(u64::MAX, true), None);
    }
}
