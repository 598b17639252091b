//! Reads a login file that another program owns and replaces at will.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::CredentialError;

/// A login file is under 10 KiB; more than this is something else.
const SIZE_MAX: u64 = 1 << 20;

/// Reads a login file as JSON. `login` says how to log in.
pub(super) fn read_json<T: DeserializeOwned>(
    path: &Path,
    login: &'static str,
) -> Result<T, CredentialError> {
    let odd = |why| CredentialError::NotUnderstood { path: path.to_owned(), why, login };
    let unreadable = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => CredentialError::Missing { path: path.to_owned(), login },
        _ => CredentialError::Unreadable { path: path.to_owned(), error: error.to_string() },
    };
    // Looked at before it is opened, because opening a pipe would wait.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(odd("it is not a file"));
    }
    let file = File::open(path).map_err(unreadable)?;
    let mut text = Zeroizing::new(Vec::new());
    file.take(SIZE_MAX + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() as u64 > SIZE_MAX {
        return Err(odd("it is over 1 MiB"));
    }
    serde_json::from_slice(&text).map_err(|_| odd("it is not the JSON that the CLI writes"))
}

/// Seconds since 1970.
pub(super) fn seconds(now: SystemTime) -> i64 {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    i64::try_from(seconds).unwrap_or(i64::MAX)
}
