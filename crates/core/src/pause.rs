//! Pauses that grow and are spread: the same task and try always pause alike, two tasks hardly
//! ever do, so that what failed together does not come back together.

use crate::id::TaskName;
use crate::reason::Pause;
use crate::sha256;

/// The jitter is at most one part of so many of the pause.
const JITTER_PART: i64 = 4;

/// Milliseconds before the next try; `tries` counts those that failed before this one.
pub fn millis(task: &TaskName, tries: u32, pause: Pause) -> i64 {
    // 2^20 times the first pause is above every cap.
    let grown = pause.first.saturating_mul(1 << tries.min(20)).min(pause.most);
    grown * 1000 + jitter(task, tries, grown * 1000 / JITTER_PART)
}

/// 0 to `most`, told by the name and the count alone.
fn jitter(task: &TaskName, tries: u32, most: i64) -> i64 {
    let seed = [task.as_str().as_bytes(), &[0], &tries.to_le_bytes()].concat();
    let drawn = i64::from_str_radix(&sha256::hex(&seed)[..8], 16).unwrap_or(0);
    if most > 0 { drawn % (most + 1) } else { 0 }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const PAUSE: Pause = Pause { first: 5, most: 300 };

    fn task(n: u32) -> TaskName {
        TaskName::parse(&format!("t-{n}")).unwrap()
    }

    #[test]
    fn pauses_grow_to_their_cap_and_stay_the_same_for_the_same_try() {
        for tries in 0..40 {
            let plain = (5_000_i64 << tries.min(20)).min(300_000);
            let paused = millis(&task(1), tries, PAUSE);
            assert!((plain..=plain + plain / 4).contains(&paused), "{tries}: {paused}");
            assert_eq!(paused, millis(&task(1), tries, PAUSE));
        }
    }

    /// How many of these come within the same half second, at most.
    fn at_once(pauses: &[i64]) -> usize {
        let from = |first: &i64| pauses.iter().filter(|p| (0..500).contains(&(*p - first))).count();
        pauses.iter().map(from).max().unwrap()
    }

    #[test]
    fn fifty_tasks_do_not_come_back_together() {
        let pauses: Vec<i64> = (0..50).map(|n| millis(&task(n), 3, PAUSE)).collect();
        let apart: BTreeSet<i64> = pauses.iter().copied().collect();
        assert!(apart.len() > 45, "{apart:?}");
        let (first, last) = (apart.first().unwrap(), apart.last().unwrap());
        assert!(last - first > 5_000, "{first} to {last}");
        assert!(at_once(&pauses) < 10, "{pauses:?}");
        // The control: told by the try alone, all fifty come at one moment.
        let alike: Vec<i64> = (0..50).map(|_| millis(&task(0), 3, PAUSE)).collect();
        assert_eq!(at_once(&alike), 50);
    }
}
