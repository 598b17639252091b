//! Evidence: what checks said about one commit id, and what follows from comparing it with
//! what they said about the base.

use std::collections::BTreeMap;

use crate::id::CommitId;
use crate::reason::FailReason;

/// What one run of one check command comes to. Only `Pass` proceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckOutcome {
    /// Exit 0, and at least one test where the runner is known.
    Pass,
    /// Any other exit of its own, or a signal of its own.
    Fail,
    /// 126, 127, our limits, a lost status, no test executed.
    CouldNotRun,
}

impl CheckOutcome {
    /// The name on every wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "Pass",
            Self::Fail => "Fail",
            Self::CouldNotRun => "CouldNotRun",
        }
    }
}

/// How a check's command ended, seen from outside its sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It ended by itself; 128 + signal when a signal of its own ended it.
    Code(i32),
    /// We ended it, or its status was lost: the reason is none of its own.
    NotItsOwn(NotItsOwn),
}

/// Why a command did not end by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotItsOwn {
    /// Our wall-clock limit, or no output for the idle limit.
    Deadline,
    /// The memory limit.
    OutOfMemory,
    /// The limit on processes, disk or output.
    Limit,
    /// The workspace could not be prepared, or the sandbox not built.
    Prepare,
    /// The status was lost.
    Lost,
}

/// Counts of tests, from the output of a known test runner.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TestCounts {
    /// Passed and failed, not skipped.
    pub executed: u64,
    /// Failed.
    pub failed: u64,
    /// Names of the failing ones, sorted.
    pub failing: Vec<String>,
    /// Whether `failing` is whole.
    pub named: bool,
}

/// What one check command said about one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckResult {
    /// The commit it ran on.
    pub commit: CommitId,
    /// The command.
    pub command: String,
    /// How it ended.
    pub exit: Exit,
    /// Milliseconds.
    pub duration_ms: u64,
    /// Counts, where the runner is known.
    pub tests: Option<TestCounts>,
    /// The last lines of the log, escaped.
    pub tail: Vec<String>,
    /// Layers of the sandbox that were missing and accepted.
    pub accepted_missing: Vec<String>,
}

impl CheckResult {
    /// What the result comes to by itself, without the base.
    pub fn outcome(&self) -> CheckOutcome {
        match self.exit {
            Exit::NotItsOwn(_) | Exit::Code(126 | 127) => CheckOutcome::CouldNotRun,
            Exit::Code(_)
                if self.tests.as_ref().is_some_and(|t| t.executed == 0 && t.failed == 0) =>
            {
                CheckOutcome::CouldNotRun
            }
            Exit::Code(0) => CheckOutcome::Pass,
            Exit::Code(_) => CheckOutcome::Fail,
        }
    }

    /// Why it could not run, in a sentence; none when it could.
    pub fn could_not_run_because(&self) -> Option<&'static str> {
        if self.outcome() != CheckOutcome::CouldNotRun {
            return None;
        }
        Some(match self.exit {
            Exit::Code(126) => "the command is not executable (126)",
            Exit::Code(127) => "the command was not found (127)",
            Exit::Code(_) => "no test was executed: add tests, or name another check",
            Exit::NotItsOwn(NotItsOwn::Deadline) => "it ran into the time limit",
            Exit::NotItsOwn(NotItsOwn::OutOfMemory) => "it ran out of memory",
            Exit::NotItsOwn(NotItsOwn::Limit) => "it ran into the process, disk or output limit",
            Exit::NotItsOwn(NotItsOwn::Prepare) => "its workspace could not be prepared",
            Exit::NotItsOwn(NotItsOwn::Lost) => "its exit status was lost",
        })
    }
}

/// Results of every check command for one commit, keyed by the command's index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    commit: CommitId,
    results: BTreeMap<usize, CheckResult>,
}

impl Evidence {
    /// No result yet.
    pub fn new(commit: CommitId) -> Self {
        Self { commit, results: BTreeMap::new() }
    }

    /// The commit that all results belong to.
    pub fn commit(&self) -> &CommitId {
        &self.commit
    }

    /// Adds a result; one that belongs to another commit is not taken.
    #[must_use = "false: the result belongs to another commit and was not taken"]
    pub fn add(&mut self, index: usize, result: CheckResult) -> bool {
        let ours = result.commit == self.commit;
        if ours {
            self.results.insert(index, result);
        }
        ours
    }

    /// The result of a command.
    pub fn get(&self, index: usize) -> Option<&CheckResult> {
        self.results.get(&index)
    }

    /// Every result in the commands' order.
    pub fn results(&self) -> impl Iterator<Item = &CheckResult> {
        self.results.values()
    }

    /// Whether each of the first `count` commands has its result.
    pub fn is_complete(&self, count: usize) -> bool {
        (0..count).all(|index| self.results.contains_key(&index))
    }
}

/// What evidence about a commit comes to beside the base's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// Every command passed (or failed exactly as the base did, where that was accepted).
    Green {
        /// Commands, by index, that executed fewer tests than on the base.
        fewer_tests: Vec<usize>,
    },
    /// Back to the implementing step.
    Repair {
        /// When no repair is left.
        otherwise: FailReason,
    },
}

/// Judges complete evidence. `known_failures` accepts exactly the base's failing set.
pub fn judge(
    base: &Evidence,
    commit: &Evidence,
    commands: usize,
    known_failures: bool,
) -> Judgement {
    let mut fewer_tests = Vec::new();
    let mut broke = false;
    let mut red_before = false;
    for index in 0..commands {
        let (Some(before), Some(now)) = (base.get(index), commit.get(index)) else {
            broke = true;
            continue;
        };
        match now.outcome() {
            CheckOutcome::Pass => {}
            CheckOutcome::Fail if known_failures && same_failures(before, now) => {}
            CheckOutcome::Fail => match before.outcome() {
                CheckOutcome::Fail if only_old_failures(before, now) => red_before = true,
                CheckOutcome::Fail | CheckOutcome::Pass | CheckOutcome::CouldNotRun => broke = true,
            },
            CheckOutcome::CouldNotRun => broke = true,
        }
        // Tests that are no longer reported count as not executed.
        let executed = |result: &CheckResult| result.tests.as_ref().map_or(0, |t| t.executed);
        if executed(now) < executed(before) {
            fewer_tests.push(index);
        }
    }
    if broke {
        Judgement::Repair { otherwise: FailReason::VerificationFailed }
    } else if red_before {
        Judgement::Repair { otherwise: FailReason::AlreadyRedOnBase }
    } else {
        Judgement::Green { fewer_tests }
    }
}

/// Both failing sets are known whole and equal.
fn same_failures(before: &CheckResult, now: &CheckResult) -> bool {
    match (&before.tests, &now.tests) {
        (Some(was), Some(is)) => {
            was.named && is.named && !is.failing.is_empty() && was.failing == is.failing
        }
        (None | Some(_), None) | (None, Some(_)) => false,
    }
}

/// What fails now failed before: by name where names are known, else by the exit alone.
fn only_old_failures(before: &CheckResult, now: &CheckResult) -> bool {
    match (&before.tests, &now.tests) {
        (Some(was), Some(is)) if was.named && is.named => {
            is.failing.iter().all(|name| was.failing.contains(name))
        }
        (None | Some(_), None | Some(_)) => before.exit == now.exit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(commit: char, code: i32, tests: Option<(u64, &[&str])>) -> CheckResult {
        CheckResult {
            commit: CommitId::parse(&commit.to_string().repeat(40)).unwrap(),
            command: "make test".into(),
            exit: Exit::Code(code),
            duration_ms: 1,
            tests: tests.map(|(executed, failing)| TestCounts {
                executed,
                failed: failing.len() as u64,
                failing: failing.iter().map(ToString::to_string).collect(),
                named: true,
            }),
            tail: vec![],
            accepted_missing: vec![],
        }
    }

    fn evidence(result: CheckResult) -> Evidence {
        let mut evidence = Evidence::new(result.commit.clone());
        assert!(evidence.add(0, result));
        evidence
    }

    fn judged(before: CheckResult, now: CheckResult, known: bool) -> Judgement {
        judge(&evidence(before), &evidence(now), 1, known)
    }

    #[test]
    fn evidence_of_another_commit_is_not_taken() {
        let mut evidence = Evidence::new(CommitId::parse(&"a".repeat(40)).unwrap());
        assert!(!evidence.add(0, result('b', 0, None)));
        assert!(!evidence.is_complete(1));
    }

    #[test]
    fn outcomes() {
        let outcome = |code, tests| result('b', code, tests).outcome();
        assert_eq!(outcome(0, None), CheckOutcome::Pass);
        assert_eq!(outcome(1, None), CheckOutcome::Fail);
        assert_eq!(outcome(139, None), CheckOutcome::Fail, "a signal of its own");
        assert_eq!(outcome(127, None), CheckOutcome::CouldNotRun);
        assert_eq!(outcome(0, Some((0, &[]))), CheckOutcome::CouldNotRun, "no tests");
        let mut lost = result('b', 0, None);
        lost.exit = Exit::NotItsOwn(NotItsOwn::OutOfMemory);
        assert_eq!(lost.outcome(), CheckOutcome::CouldNotRun);
    }

    #[test]
    fn a_break_of_ours_is_another_reason_than_a_red_base() {
        let repair = |otherwise| Judgement::Repair { otherwise };
        let red = result('a', 1, Some((5, &["old"])));
        let green = result('a', 0, Some((5, &[])));
        assert_eq!(
            judged(red.clone(), result('b', 1, Some((5, &["old"]))), false),
            repair(FailReason::AlreadyRedOnBase)
        );
        assert_eq!(
            judged(red.clone(), result('b', 1, Some((5, &["new"]))), false),
            repair(FailReason::VerificationFailed)
        );
        assert_eq!(
            judged(green.clone(), result('b', 1, Some((5, &["new"]))), false),
            repair(FailReason::VerificationFailed)
        );
        assert_eq!(
            judged(green.clone(), result('b', 127, None), false),
            repair(FailReason::VerificationFailed)
        );
        assert_eq!(
            judged(red, result('b', 0, Some((5, &[]))), false),
            Judgement::Green { fewer_tests: vec![] }
        );
        assert_eq!(
            judged(green, result('b', 0, Some((4, &[]))), false),
            Judgement::Green { fewer_tests: vec![0] }
        );
    }

    #[test]
    fn known_failures_are_exactly_the_bases() {
        let red = || result('a', 1, Some((5, &["old"])));
        let green = Judgement::Green { fewer_tests: vec![] };
        assert_eq!(judged(red(), result('b', 1, Some((5, &["old"]))), true), green);
        assert_ne!(judged(red(), result('b', 1, Some((5, &["new"]))), true), green);
        assert_ne!(judged(red(), result('b', 1, None), true), green, "names unknown");
        assert_ne!(judged(result('a', 1, None), result('b', 1, None), true), green);
    }
}
