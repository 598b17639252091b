//! The operator's CA bundle, where the environment names one.

use std::path::{Path, PathBuf};

use midwatch_broker::{CaBundle, TlsError};

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
        let unfit = |rule: String| {
            let text = format!("{name} names {}, which {rule}", path.display());
            Problem::cannot(text, "unset it, or name a readable CA bundle")
        };
        fit(&path).map_err(unfit)?;
        let whole = path.canonicalize();
        return whole.map(Some).map_err(|error| unfit(format!("cannot be read: {error}")));
    }
    Ok(None)
}

/// What is wrong with a bundle, in the eyes of whoever dials with it.
pub(crate) fn fit(path: &Path) -> Result<(), String> {
    // Nothing is read of what may have no end.
    if path.exists() && !path.is_file() {
        return Err("is no file".to_owned());
    }
    CaBundle::File(path.to_owned()).check().map_err(|error| match error {
        TlsError::Read { path: _, error } => format!("cannot be read: {error}"),
        TlsError::Empty(_) | TlsError::NoSystemBundle => {
            "holds no certificate that can be used (PEM, `BEGIN CERTIFICATE`)".to_owned()
        }
        TlsError::Settings(error) => format!("cannot be used: {error}"),
    })
}

pub(super) fn finding(path: &Path) -> Finding {
    Finding::new("ca bundle", path.display().to_string())
}
