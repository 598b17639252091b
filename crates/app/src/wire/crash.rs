//! Named points at which a test lets the server die as `kill -9` would, or asks it to end, before
//! and after everything that is stored and done. Only in debug builds: a release build holds none
//! of it.

/// Names a point and, after `#`, which time it dies there (the first if not said). Several, apart
/// by blanks, are for one server after the other.
#[cfg(debug_assertions)]
const AT: &str = "MIDWATCH_CRASH_AT";
/// Names the file to which each death is appended: how the next server knows which one it is.
#[cfg(debug_assertions)]
const DEATHS: &str = "MIDWATCH_CRASH_DEATHS";
/// The same, where the server asks itself to end, as a service manager would.
#[cfg(debug_assertions)]
const STOP_AT: &str = "MIDWATCH_STOP_AT";
/// Names a file to which each point that is passed is appended: how a test learns them.
#[cfg(debug_assertions)]
const LEARN: &str = "MIDWATCH_CRASH_LEARN";

/// Passes a point.
#[cfg(debug_assertions)]
pub(super) fn point(place: &str, what: &str) {
    use rustix::process::{Signal, getpid, kill_process};
    use std::io::Write as _;

    let name = format!("{place}:{what}");
    // In one piece: threads pass points at the same time.
    let line = format!("{name}\n");
    let told = |variable| {
        if let Some(file) = std::env::var_os(variable) {
            let told = std::fs::OpenOptions::new().create(true).append(true).open(file);
            // A test that is told nothing fails by itself.
            let _ = told.and_then(|mut file| file.write_all(line.as_bytes()));
        }
    };
    told(LEARN);
    if is_now(STOP_AT, &name) {
        // A test whose server does not end fails by itself.
        let _ = kill_process(getpid(), Signal::TERM);
    }
    if is_now(AT, &name) {
        told(DEATHS);
        // No clean-up of any kind, as kill -9 leaves none.
        std::process::abort();
    }
}

/// Whether this is the passing of a point that a variable names.
#[cfg(debug_assertions)]
fn is_now(variable: &str, name: &str) -> bool {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};
    // One for the process: it is told of one point.
    static PASSED: AtomicU32 = AtomicU32::new(0);
    static BEFORE: OnceLock<usize> = OnceLock::new();

    let before = *BEFORE.get_or_init(|| {
        let deaths = std::env::var_os(DEATHS).and_then(|file| std::fs::read_to_string(file).ok());
        deaths.map_or(0, |deaths| deaths.lines().count())
    });
    let Ok(all) = std::env::var(variable) else { return false };
    let Some(at) = all.split(' ').nth(before) else { return false };
    let (wanted, time) = at.split_once('#').unwrap_or((at, "1"));
    wanted == name && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == time.parse().unwrap_or(1)
}

/// Passes a point; in a release build there is nothing at it.
#[cfg(not(debug_assertions))]
pub(super) const fn point(_place: &str, _what: &str) {}
