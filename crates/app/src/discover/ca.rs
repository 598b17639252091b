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

/// The first that is set. One that cannot be read is an error: every tool would fail with it.
pub(crate) fn find(environment: &Environment) -> Result<Option<PathBuf>, Problem> {
    for name in VARIABLES {
        let Some(path) = environment.path(name) else {
            continue;
        };
        let readable = path.is_file() && std::fs::File::open(&path).is_ok();
        return match path.canonicalize() {
            Ok(real) if readable => Ok(Some(real)),
            Ok(_) | Err(_) => Err(Problem::cannot(
                format!("{name} names {}, which cannot be read", path.display()),
                "unset it, or name a readable CA bundle",
            )),
        };
    }
    Ok(None)
}

pub(super) fn finding(path: &Path) -> Finding {
    Finding::new("ca bundle", path.display().to_string())
}
