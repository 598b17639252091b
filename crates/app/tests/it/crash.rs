//! `kill -9` of server and runner, at every point that a recording run learns and in every phase
//! of a run: what a task comes to is what it comes to when nothing dies.
//!
//! ```text
//! recording run ─► points ─► for each: a new place, die there, a server without the crash
//!                            │           └─► the world afterwards == the recorded one
//!                            └─► the same, and the next server dies there too, as it recovers
//! ```
//!
//! The points are the server's own (`wire/crash.rs`); a release build has none. The last passing of
//! each is tried by one death, the first by two; with `make crash` every passing is. What people
//! order (`orders.rs`), and an agent that asks the model (`gateway.rs`), pass points of their own.

#![expect(clippy::unwrap_used, reason = "a test ends where it is wrong")]

mod asking;
mod gateway;
mod leaks;
mod order_facts;
mod order_stories;
mod orders;
mod place;
mod runner;
mod server;
mod story;
mod upgrade;
mod world;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How many places live at the same time: more than the processors of a small machine, because
/// most of a case is waiting.
const AT_ONCE: usize = 3;
/// The longest that anything here may take; machines under load take long.
const PATIENCE: Duration = Duration::from_mins(2);

/// Whether everything is wanted, however long it takes.
fn soak() -> bool {
    std::env::var_os("MIDWATCH_SOAK").is_some()
}

/// Says a figure.
#[expect(clippy::print_stderr, reason = "a figure is for whoever runs the tests")]
fn tell(text: &str) {
    eprintln!("{text}");
}

/// Waits for a condition, looking often: what is waited for may be there for a moment only.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        // polls: another process, with a deadline
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Does all cases, a few at once, and answers what was wrong in each that went wrong.
fn each<C: Sync>(cases: &[C], attempt: impl Fn(&C) -> Result<(), String> + Sync) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut wrong = Vec::new();
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
            if let Err(what) = attempt(case) {
                tell(&what);
                wrong.push(what);
            }
        }
        wrong
    };
    std::thread::scope(|scope| {
        let hands: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        hands.into_iter().flat_map(|hand| hand.join().unwrap()).collect()
    })
}
