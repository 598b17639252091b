//! The report: facts that were seen from outside, and claims, marked as such.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::SystemTime;

use midwatch_api::order::{ORDER_VERSION, Order, Work};
use midwatch_api::report::{
    AgentReport, BundleClaim, Ending, LimitsMode, Report, STDERR_FILE, STDOUT_FILE, TestCounts,
};
use midwatch_core::id::CommitId;

use super::conversation::Conversation;
use super::left::LeftError;
use super::orders::Addressee;
use super::run::Facts;
use super::{escape, left as leftover, left_out, outputs};
use crate::inside_order::left;

/// Bytes of a claim.
const CLAIM_BYTES: u64 = 1 << 20;
/// Bytes of the list of ignored files.
const IGNORED_BYTES: u64 = 1 << 20;
/// Names in a report's list.
const NAMES: usize = 200;
/// Characters of a name.
const NAME_CHARACTERS: usize = 500;
/// Bytes of each log that are read for test counts. Summaries stand at the end of a log, and
/// a log of this size has its head cut and its tail kept anyway.
const LOG_BYTES: u64 = 16 << 20;

/// The report of an order that was never begun.
pub(super) fn of_refusal(addressee: Addressee, why: String) -> Report {
    Report {
        version: ORDER_VERSION,
        run: addressee.run,
        epoch: addressee.epoch,
        ending: Ending::SandboxUnavailable { detail: why },
        duration_ms: 0,
        peak_memory_bytes: 0,
        limits: LimitsMode::Polled,
        accepted_missing: Vec::new(),
        dropped_bytes: 0,
        tail: Vec::new(),
        tests: None,
        agent: None,
        claim: None,
        ignored_files: Vec::new(),
        left_out: Vec::new(),
    }
}

/// The report of a run.
pub(super) fn of_run(
    order: &Order,
    ending: Ending,
    facts: Facts,
    (dropped_bytes, tail): (u64, Vec<String>),
    conversation: Option<Conversation>,
    out: &Path,
) -> Report {
    let agent = conversation.map(|conversation| of_agent(conversation, &ending, &facts, out));
    let claim = claim(out, is_owed(order, &ending));
    let claimed = claim.as_ref().map_or(&[][..], |claim| &claim.left_out);
    Report {
        version: ORDER_VERSION,
        run: order.run.clone(),
        epoch: order.epoch,
        duration_ms: u64::try_from(facts.duration.as_millis()).unwrap_or(u64::MAX),
        peak_memory_bytes: facts.peak_memory,
        limits: facts.limits,
        accepted_missing: facts.accepted_missing,
        dropped_bytes,
        tail,
        tests: None,
        agent,
        left_out: left_out::seen(&facts.written, claimed),
        claim: claim.map(escaped),
        ignored_files: ignored(out),
        ending,
    }
}

/// Test counts of a check's logs, for a runner that is known.
pub(super) fn tests(order: &Order, logs: [Option<File>; 2]) -> Option<TestCounts> {
    match order.work {
        Work::Check { .. } => {}
        Work::Checkout { .. } | Work::Setup { .. } | Work::Agent { .. } | Work::Rescue { .. } => {
            return None;
        }
    }
    let mut text = String::new();
    for log in logs.into_iter().flatten() {
        let mut bytes = Vec::new();
        let _ = log.take(LOG_BYTES).read_to_end(&mut bytes);
        text.push_str(&String::from_utf8_lossy(&bytes));
        text.push('\n');
    }
    let found = midwatch_core::test_output::parse(&text)?;
    Some(TestCounts {
        executed: found.executed,
        failed: found.failed,
        failing: found
            .failing
            .iter()
            .map(|name| escape::line(name.as_bytes(), NAME_CHARACTERS))
            .collect(),
        named: found.named,
    })
}

/// The two logs' names, in the order in which they are read.
pub(super) const LOGS: [&str; 2] = [STDOUT_FILE, STDERR_FILE];

fn of_agent(conversation: Conversation, ending: &Ending, facts: &Facts, out: &Path) -> AgentReport {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or(0);
    let stalled = matches!(ending, Ending::Idle | Ending::Deadline);
    let mut agent = conversation.report(facts.code, facts.stopped_by_us, stalled, now);
    match outputs::read(out) {
        Ok(outputs) => agent.outputs = outputs,
        Err(why) => agent.outputs_refused = Some(why),
    }
    agent
}

/// Whether the inside has to say what became of the work: it came to its end.
fn is_owed(order: &Order, ending: &Ending) -> bool {
    let saves = match &order.work {
        Work::Agent { agent, .. } => !agent.read_only,
        Work::Rescue { .. } => true,
        Work::Checkout { .. } | Work::Setup { .. } | Work::Check { .. } => false,
    };
    saves && matches!(ending, Ending::Exited { .. })
}

/// What the inside says of the work. One that cannot be read, or is owed and not there, says that
/// nothing is saved: taken for none, it would let the work be removed.
fn claim(out: &Path, owed: bool) -> Option<BundleClaim> {
    let said = match leftover::read_text(out, left::CLAIM, CLAIM_BYTES) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| error.to_string()),
        Err(LeftError::Missing) if !owed => return None,
        Err(error) => Err(error.to_string()),
    };
    Some(said.unwrap_or_else(|why| BundleClaim {
        head: None,
        set_aside: Vec::new(),
        notes: Vec::new(),
        left_out: Vec::new(),
        beside: Vec::new(),
        error: Some(format!("what was saved is not known: {}: {why}", left::CLAIM)),
    }))
}

fn escaped(claim: BundleClaim) -> BundleClaim {
    let BundleClaim { head, set_aside, notes, left_out, beside, error } = claim;
    let line = |text: &str| escape::line(text.as_bytes(), NAME_CHARACTERS);
    let lines = |texts: &[String]| texts.iter().take(NAMES).map(|text| line(text)).collect();
    BundleClaim {
        head: head.filter(|head| CommitId::parse(head).is_ok()),
        set_aside: lines(&set_aside),
        notes: lines(&notes),
        left_out: lines(&left_out),
        beside: lines(&beside),
        error: error.as_deref().map(line),
    }
}

fn ignored(out: &Path) -> Vec<String> {
    let text = leftover::read_text(out, left::IGNORED, IGNORED_BYTES).unwrap_or_default();
    let names = text.lines().filter_map(|line| serde_json::from_str::<String>(line).ok());
    names.take(NAMES).map(|name| escape::line(name.as_bytes(), NAME_CHARACTERS)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn claims_are_bounded_and_escaped() {
        let out = tempfile::tempdir().unwrap();
        assert!(claim(out.path(), false).is_none());
        assert!(claim(out.path(), true).unwrap().error.unwrap().contains("no such file"));
        let text = "{\"head\":\"--evil\",\"setAside\":[\"a\\u001b[2Jb\"],\"error\":null}";
        fs::write(out.path().join(left::CLAIM), text).unwrap();
        let found = escaped(claim(out.path(), true).unwrap());
        assert_eq!((found.head, found.set_aside), (None, vec!["a\\u{1b}[2Jb".to_owned()]));
        for unread in ["{\"head\":", &" ".repeat(2 << 20)] {
            fs::write(out.path().join(left::CLAIM), unread).unwrap();
            assert!(claim(out.path(), false).unwrap().error.is_some());
        }
        fs::write(out.path().join(left::IGNORED), "\"x\\ny\"\nrubbish\n".repeat(300)).unwrap();
        let names = ignored(out.path());
        assert_eq!((names.len(), names[0].as_str()), (NAMES, "x\\ny"));
    }
}
