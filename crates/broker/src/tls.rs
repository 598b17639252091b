//! Verified TLS to providers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Where distributions keep the certificates of the authorities they trust, first match wins:
/// Debian and Arch, Fedora, openSUSE, Alpine.
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Whom to trust. The client finds the operator's bundle and hands it over; the broker reads no
/// variable.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CaBundle {
    /// The machine's own bundle.
    #[default]
    System,
    /// A PEM file, in the place of the machine's.
    File(PathBuf),
    /// PEM text, in the place of the machine's.
    Pem(Vec<u8>),
}

/// Why no TLS can be had.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// None of the usual places holds a bundle.
    #[error("no CA bundle found; install ca-certificates, or name one")]
    NoSystemBundle,
    /// The bundle cannot be read.
    #[error("CA bundle {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The bundle holds no certificate that can be used.
    #[error("CA bundle {0}: no certificate in it")]
    Empty(String),
    /// The TLS library refused its settings.
    #[error("TLS: {0}")]
    Settings(#[from] rustls::Error),
}

/// Settings for dialling providers: ring, TLS 1.2 and 1.3, certificates always verified.
pub(crate) fn client_config(bundle: &CaBundle) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(bundle)?)
        .with_no_client_auth())
}

impl CaBundle {
    /// Whether providers can be dialled with it.
    ///
    /// # Errors
    ///
    /// It cannot be read, or holds no certificate in PEM.
    pub fn check(&self) -> Result<(), TlsError> {
        roots(self).map(drop)
    }
}

fn roots(bundle: &CaBundle) -> Result<RootCertStore, TlsError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| TlsError::Read { path: path.to_owned(), error })
    };
    let (name, pem) = match bundle {
        CaBundle::System => {
            let path = SYSTEM_BUNDLES.map(Path::new).into_iter().find(|path| path.is_file());
            let path = path.ok_or(TlsError::NoSystemBundle)?;
            (path.display().to_string(), read(path)?)
        }
        CaBundle::File(path) => (path.display().to_string(), read(path)?),
        CaBundle::Pem(pem) => ("given as text".to_owned(), pem.clone()),
    };
    let mut roots = RootCertStore::empty();
    // One odd certificate must not cost the whole bundle, as every other TLS client has it.
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
    if roots.is_empty() { Err(TlsError::Empty(name)) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundles_without_certificates_are_refused() {
        assert!(matches!(roots(&CaBundle::Pem(b"x".to_vec())), Err(TlsError::Empty(_))));
        let missing = CaBundle::File("/nonexistent/ca.pem".into());
        assert!(matches!(roots(&missing), Err(TlsError::Read { .. })));
    }
}
