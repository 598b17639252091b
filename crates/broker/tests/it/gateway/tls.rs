//! The provider's certificate is verified, by the operator's bundle.

use std::sync::Arc;

use midwatch_broker::{BrokerConfig, CaBundle, Egress, Limits};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::world::{Provider, World, key, model, whole};

/// An authority of our own.
pub(crate) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Its certificate.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// A client that trusts this authority and no other.
    pub(crate) fn connector(&self) -> TlsConnector {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        TlsConnector::from(Arc::new(config))
    }

    pub(crate) fn acceptor(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

async fn ask_with(ca: CaBundle, tls: TlsAcceptor) -> (u16, String, usize) {
    let steps = vec![whole("200 OK", "", "{}")];
    let provider = Provider::start_tls(Arc::new(move |_, _| steps.clone()), tls).await;
    let url = format!("https://localhost:{}", provider.port);
    let config = BrokerConfig { ca, ..BrokerConfig::new(key()) };
    let world = World::with(config, Some(model(&url)), Egress::None, Limits::default());
    let reply = world.ask("POST", "/v1/messages", "{}").await;
    (reply.status, reply.body, provider.heads().len())
}

#[tokio::test]
async fn the_bundle_decides_whom_the_credential_is_sent_to() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, &authority.pem).unwrap();
    let localhost = || authority.acceptor("localhost");
    let pem = CaBundle::Pem(authority.pem.clone().into_bytes());
    assert_eq!(ask_with(pem.clone(), localhost()).await, (200, "{}".into(), 1));
    assert_eq!(ask_with(CaBundle::File(path), localhost()).await, (200, "{}".into(), 1));
    let (status, body, reached) = ask_with(CaBundle::System, localhost()).await;
    assert_eq!((status, reached), (502, 0), "{body}");
    assert!(body.contains("UnknownIssuer"), "{body}");
    let (status, body, reached) = ask_with(pem, authority.acceptor("other.example")).await;
    assert_eq!((status, reached), (502, 0), "{body}");
    assert!(body.contains("not valid for name"), "{body}");
}
