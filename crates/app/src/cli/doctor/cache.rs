//! Logins that worked within the last hour, so that doctor can be asked often.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use midwatch_local::folder::{StateFolder, key_of, write_private};

use crate::discover::credential::Login;

/// How long an answer counts.
const KEPT: Duration = Duration::from_hours(1);

/// Digest of a login: when it worked, in seconds since 1970.
type Kept = BTreeMap<String, u64>;

fn path(folder: &StateFolder) -> std::path::PathBuf {
    folder.root().join("logins.json")
}

/// Tells one login from another, and from itself after a new login. Not the login itself: a
/// digest cut to 64 bit.
fn key(login: &Login) -> String {
    let secret = login.secret.as_ref().map(secrecy::ExposeSecret::expose_secret);
    let written = std::fs::metadata(&login.from).and_then(|metadata| metadata.modified()).ok();
    let upstream = login.upstream.as_deref().unwrap_or_default();
    key_of(&format!("{}\0{}\0{upstream}\0{written:?}\0{secret:?}", login.kind.as_str(), login.from))
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn read(folder: &StateFolder) -> Kept {
    let bytes = std::fs::read(path(folder)).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// Minutes since the login worked, when that is recent.
pub(super) fn recent(folder: &StateFolder, login: &Login) -> Option<u64> {
    let at = *read(folder).get(&key(login))?;
    let age = now().checked_sub(at)?;
    (age < KEPT.as_secs()).then_some(age / 60)
}

/// Remembers that it works now.
pub(super) fn remember(folder: &StateFolder, login: &Login) {
    let mut kept = read(folder);
    let oldest = now().saturating_sub(KEPT.as_secs());
    kept.retain(|_, at| *at >= oldest);
    kept.insert(key(login), now());
    if let Ok(bytes) = serde_json::to_vec(&kept) {
        // Only a shortcut.
        let _ = write_private(&path(folder), &bytes);
    }
}
