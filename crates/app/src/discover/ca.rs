//! The operator's CA bundle, where the environment names one.

use std::path::{Path, PathBuf};

use super::Finding;
use crate::environment::Environment;
use crate::problem::Problem;

/// Variables that name a whole bundle, the most general first. `NODE_EXTRA_CA_CERTS` is none of
/// them: it names what comes on top of a bundle.
const VARIABLES: [&str; 6] = [
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "PIP_CERT",
    "CARGO_HTTP_CAINFO",
];

const UNREADABLE: &str = "cannot be read";

/// The first that is set. One that cannot be read is an error: every tool would fail with it.
pub(crate) fn find(environment: &Environment) -> Result<Option<PathBuf>, Problem> {
    for name in VARIABLES {
        let Some(path) = environment.path(name) else {
            continue;
        };
        let unfit = |rule: &str| {
            let text = format!("{name} names {}, which {rule}", path.display());
            Problem::cannot(text, "unset it, or name a readable CA bundle")
        };
        fit(&path).map_err(unfit)?;
        return path.canonicalize().map(Some).map_err(|_| unfit(UNREADABLE));
    }
    Ok(None)
}

/// What is wrong with a bundle.
pub(crate) fn fit(path: &Path) -> Result<(), &'static str> {
    // Nothing is read of what may have no end.
    let text = if path.is_file() { std::fs::read(path).ok() } else { None };
    let text = text.ok_or(UNREADABLE)?;
    let begins = |line: &[u8]| {
        line.starts_with(b"-----BEGIN CERTIFICATE-----")
            || line.starts_with(b"-----BEGIN TRUSTED CERTIFICATE-----")
    };
    let holds = text.split(|byte| *byte == b'\n').any(begins);
    if holds { Ok(()) } else { Err("holds no certificate in PEM") }
}

pub(super) fn finding(path: &Path) -> Finding {
    Finding::new("ca bundle", path.display().to_string())
}
