//! Certificates that providers show: one that the gateway trusts, and such as it must not.

use std::sync::{Arc, LazyLock};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tokio_rustls::TlsAcceptor;

/// What is right or wrong with a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Certificate {
    /// For this address, of an authority that the gateway trusts.
    Good,
    /// Of the same authority, for somebody else.
    WrongName,
    /// Of the same authority, from the past.
    Expired,
    /// Signed by itself.
    SelfSigned,
}

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// The authority that the gateways of this suite trust.
static AUTHORITY: LazyLock<Issuer> = LazyLock::new(|| {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
});

/// What gateways trust.
pub fn roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(AUTHORITY.der().clone()).unwrap();
    roots
}

/// Accepts TLS with such a certificate and these protocols.
pub fn acceptor(certificate: Certificate, protocols: &[&str]) -> TlsAcceptor {
    let (chain, key) = issue(certificate);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

fn issue(certificate: Certificate) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let name = if certificate == Certificate::WrongName { "other.example" } else { "127.0.0.1" };
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    if certificate == Certificate::Expired {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let issued = match certificate {
        Certificate::SelfSigned => params.self_signed(&key),
        _ => params.signed_by(&key, &AUTHORITY),
    };
    (issued.unwrap().der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}
