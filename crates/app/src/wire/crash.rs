//! Named points at which a test lets the server die as `kill -9` would, before and after
//! everything that is stored and done. Only in debug builds: a release build holds none of it.

/// Names a point and, after `#`, which time it dies there (the first if not said).
#[cfg(debug_assertions)]
const AT: &str = "MIDWATCH_CRASH_AT";
/// Names a file to which each point that is passed is appended: how a test learns them.
#[cfg(debug_assertions)]
const LEARN: &str = "MIDWATCH_CRASH_LEARN";

/// Passes a point.
#[cfg(debug_assertions)]
pub(super) fn point(place: &str, what: &str) {
    use std::io::Write as _;
    use std::sync::atomic::{AtomicU32, Ordering};
    static PASSED: AtomicU32 = AtomicU32::new(0);

    let name = format!("{place}:{what}");
    if let Some(file) = std::env::var_os(LEARN) {
        let learnt = std::fs::OpenOptions::new().create(true).append(true).open(file);
        // A test that learns nothing fails by itself.
        let _ = learnt.and_then(|mut file| writeln!(file, "{name}"));
    }
    let Ok(at) = std::env::var(AT) else { return };
    let (wanted, time) = at.split_once('#').unwrap_or((&at, "1"));
    if wanted == name && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == time.parse().unwrap_or(1) {
        // No clean-up of any kind, as kill -9 leaves none.
        std::process::abort();
    }
}

/// Passes a point; in a release build there is nothing at it.
#[cfg(not(debug_assertions))]
pub(super) const fn point(_place: &str, _what: &str) {}
