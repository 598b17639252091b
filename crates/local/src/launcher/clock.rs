//! The machine's clock as the engine sees it: it never goes back while a server lives, nor
//! behind what its log says. A clock that is set back by a day would make negative times, and a
//! pause of seconds would last that day.

use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use midwatch_core::ports::Clock;
use midwatch_core::time::Time;
use rustix::time::{ClockId, clock_gettime};

/// Behind by less than this, the told time goes at half speed until the clock is level again;
/// by more, it goes on by itself, so that pauses keep their length.
const NEAR: i64 = 60_000;
/// A log that is farther ahead than this was written under a clock that was wrong altogether,
/// and is not followed.
const FARTHEST: i64 = 48 * 60 * 60 * 1000;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// What was told last, and when by a clock that nobody sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    time: i64,
    since_boot: i64,
}

/// One for the process: all who ask are told the same time.
static LAST: Mutex<Option<Told>> = Mutex::new(None);

impl Clock for SystemClock {
    fn now(&self) -> Time {
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        let told = next(*last, wall(), since_boot());
        *last = Some(told);
        Time(told.time)
    }
}

impl SystemClock {
    /// Never tells a time before this one, which a log holds; unless it cannot be true.
    pub fn not_before(self, time: Time) {
        let wall = wall();
        if time.0 <= wall || time.0 > wall.saturating_add(FARTHEST) {
            return;
        }
        tracing::warn!(behind_ms = time.0 - wall, "clock.behind: it was set back");
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        let told = last.map_or(time.0, |told| told.time.max(time.0));
        *last = Some(Told { time: told, since_boot: since_boot() });
    }
}

fn next(last: Option<Told>, wall: i64, since_boot: i64) -> Told {
    let time = match last {
        Some(last) if wall < last.time => {
            let passed = since_boot.saturating_sub(last.since_boot).max(0);
            let near = last.time.saturating_sub(wall) < NEAR;
            // Half a millisecond must not be lost for ever.
            if near && passed < 2 {
                return last;
            }
            last.time.saturating_add(if near { passed / 2 } else { passed })
        }
        Some(_) | None => wall,
    };
    Told { time: time.max(wall), since_boot }
}

/// Milliseconds since 1970.
fn wall() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    millis.saturating_add(moved().0)
}

/// Milliseconds since the machine was started, those in which it slept counted.
fn since_boot() -> i64 {
    let time = clock_gettime(ClockId::Boottime);
    let millis = time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000);
    millis.saturating_add(moved().1)
}

/// By how many milliseconds a test has moved the two clocks, in a file that it names. Only in
/// debug builds: a release build holds none of it.
#[cfg(debug_assertions)]
fn moved() -> (i64, i64) {
    let read = || {
        let text = std::fs::read_to_string(std::env::var_os("MIDWATCH_CLOCK_MOVED")?).ok()?;
        let (wall, since_boot) = text.trim().split_once(' ')?;
        Some((wall.parse().ok()?, since_boot.parse().ok()?))
    };
    read().unwrap_or_default()
}

/// Nobody moves the clocks.
#[cfg(not(debug_assertions))]
const fn moved() -> (i64, i64) {
    (0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    /// What is told along a list of (wall, since boot).
    fn told(clocks: &[(i64, i64)]) -> Vec<i64> {
        let mut last = None;
        let tell = |(wall, boot): &(i64, i64)| {
            let told = next(last, *wall, *boot);
            last = Some(told);
            told.time
        };
        clocks.iter().map(tell).collect()
    }

    #[test]
    fn a_clock_that_nobody_sets_is_told_as_it_is() {
        assert_eq!(told(&[(DAY, 0), (DAY + 5, 5), (DAY + 9, 9)]), [DAY, DAY + 5, DAY + 9]);
    }

    #[test]
    fn a_day_back_keeps_the_length_of_pauses() {
        let times = told(&[(3 * DAY, 0), (2 * DAY + 10, 10), (2 * DAY + 5000, 5000)]);
        assert_eq!(times, [3 * DAY, 3 * DAY + 10, 3 * DAY + 5000]);
    }

    #[test]
    fn a_second_back_is_made_up_for() {
        let mut clocks = vec![(DAY, 0)];
        clocks.extend((1..400).map(|n| (DAY - 1000 + 10 * n, 10 * n)));
        let times = told(&clocks);
        assert!(times.is_sorted(), "it went back");
        assert_eq!(times.last(), Some(&(DAY - 1000 + 3990)), "it is level again");
        // Asked so often that half of nothing passes each time.
        let mut clocks = vec![(DAY, 0)];
        clocks.extend((1..4000).map(|n| (DAY - 1000 + n, n)));
        assert_eq!(told(&clocks).last(), Some(&(DAY - 1000 + 3999)));
    }

    #[test]
    fn a_day_ahead_and_a_night_of_sleep_are_followed() {
        assert_eq!(told(&[(DAY, 0), (2 * DAY, 10)]), [DAY, 2 * DAY]);
        // Asleep, both clocks go on.
        assert_eq!(told(&[(DAY, 0), (DAY + 28_800_000, 28_800_000)]), [DAY, DAY + 28_800_000]);
    }
}
