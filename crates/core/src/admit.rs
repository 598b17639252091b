//! Who may begin: all tasks at once, slots, branches, priority. Total and pure, like `decide`.

use crate::id::{BranchName, TaskName};
use crate::reason::HoldReason;
use crate::time::Time;

/// A task gains one point of priority for each of these many seconds that it waits, so that
/// nothing starves.
const AGING_SECONDS: i64 = 600;

/// What the queue knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Tasks that may run at once.
    pub slots: usize,
    /// Running tasks, and queued ones.
    pub entries: Vec<Entry>,
}

/// One task in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The task.
    pub name: TaskName,
    /// The repository's key.
    pub repository: String,
    /// The branch that it writes.
    pub branch: BranchName,
    /// Higher goes first.
    pub priority: i32,
    /// Since when it waits.
    pub since: Time,
    /// It has a slot already.
    pub running: bool,
}

/// What the queue says of a waiting task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// It may begin.
    Admit(TaskName),
    /// It waits.
    Wait {
        /// The task.
        name: TaskName,
        /// Why.
        reason: HoldReason,
        /// Counted from 1.
        position: usize,
    },
}

/// Grants slots: highest priority first, with aging; then oldest; then by name.
pub fn admit(queue: &Queue, now: Time) -> Vec<Grant> {
    let mut taken: Vec<&Entry> = queue.entries.iter().filter(|e| e.running).collect();
    let mut waiting: Vec<&Entry> = queue.entries.iter().filter(|e| !e.running).collect();
    waiting.sort_by_key(|entry| (-rank(entry, now), entry.since, entry.name.clone()));
    let mut grants = Vec::new();
    let mut position = 0;
    for entry in waiting {
        let busy = taken
            .iter()
            .any(|other| other.repository == entry.repository && other.branch == entry.branch);
        let reason = if busy {
            HoldReason::BranchBusy
        } else if taken.len() >= queue.slots {
            HoldReason::Concurrency
        } else {
            taken.push(entry);
            grants.push(Grant::Admit(entry.name.clone()));
            continue;
        };
        position += 1;
        grants.push(Grant::Wait { name: entry.name.clone(), reason, position });
    }
    grants
}

fn rank(entry: &Entry, now: Time) -> i64 {
    let waited = now.0.saturating_sub(entry.since.0).max(0) / 1000;
    i64::from(entry.priority).saturating_add(waited / AGING_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, branch: &str, priority: i32, since: i64, running: bool) -> Entry {
        Entry {
            name: TaskName::parse(name).unwrap(),
            repository: "r".into(),
            branch: BranchName::parse(branch).unwrap(),
            priority,
            since: Time(since),
            running,
        }
    }

    fn admitted(queue: &Queue, now: i64) -> Vec<String> {
        let grants = admit(queue, Time(now)).into_iter();
        grants
            .filter_map(|grant| match grant {
                Grant::Admit(name) => Some(name.to_string()),
                Grant::Wait { .. } => None,
            })
            .collect()
    }

    #[test]
    fn one_writer_per_branch_and_no_more_than_the_slots() {
        let entries = vec![
            entry("a", "x", 0, 0, true),
            entry("b", "x", 9, 0, false),
            entry("c", "y", 0, 5, false),
            entry("d", "z", 0, 1, false),
        ];
        let queue = Queue { slots: 2, entries };
        assert_eq!(admitted(&queue, 10), ["d"]);
        assert!(admit(&queue, Time(10)).contains(&Grant::Wait {
            name: TaskName::parse("b").unwrap(),
            reason: HoldReason::BranchBusy,
            position: 1,
        }));
    }

    #[test]
    fn priority_first_but_nothing_starves() {
        let old = entry("old", "x", 0, 0, false);
        let urgent = |since| entry("urgent", "y", 5, since, false);
        let queue = |since| Queue { slots: 1, entries: vec![old.clone(), urgent(since)] };
        assert_eq!(admitted(&queue(1), 2), ["urgent"]);
        let later = 7 * AGING_SECONDS * 1000;
        assert_eq!(admitted(&queue(later), later), ["old"]);
    }
}
