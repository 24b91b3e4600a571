//! The listener's certificate: read from files, and read again when they change.

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use zeroize::Zeroizing;

/// Where a listener's certificate is; PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and its chain, leaf first.
    pub cert_file: PathBuf,
    /// The private key: PKCS #8, PKCS #1 or SEC 1.
    pub key_file: PathBuf,
    /// If set, clients must show a certificate that one of these signed.
    pub client_ca_file: Option<PathBuf>,
}

/// Why a certificate cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is not the PEM that it should be.
    #[error("{path} has no usable {wanted}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// "certificate" or "private key".
        wanted: &'static str,
    },
    /// Certificate and key do not work, or not together.
    #[error("certificate and key cannot be used")]
    Pair(#[source] rustls::Error),
    /// The client CA does not work.
    #[error("the client CA cannot be used: {0}")]
    ClientCa(String),
}

/// A certificate that follows its files. Connections that are open keep what they began with.
pub struct Tls {
    files: TlsFiles,
    config: ArcSwap<ServerConfig>,
    /// Of the files' bytes as last looked at, usable or not, so that a bad pair is told once.
    seen: Mutex<[u8; 32]>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`] if they cannot be read or do not work together.
    pub fn load(files: TlsFiles) -> Result<Arc<Self>, TlsError> {
        let material = Material::read(&files)?;
        let config = ArcSwap::from_pointee(material.config(&files)?);
        let seen = Mutex::new(material.digest());
        Ok(Arc::new(Self { files, config, seen }))
    }

    /// Reads the files again and uses them for new connections; `false` if they are as before.
    ///
    /// # Errors
    /// [`TlsError`]; the certificate in use stays.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let material = Material::read(&self.files)?;
        let digest = material.digest();
        if std::mem::replace(&mut *self.seen.lock(), digest) == digest {
            return Ok(false);
        }
        self.config.store(Arc::new(material.config(&self.files)?));
        Ok(true)
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.load_full())
    }

    /// Looks at the files again and again. Polled, because a mounted Secret is swapped by symbolic
    /// links and network file systems send no notice.
    pub(super) fn watch(
        self: &Arc<Self>,
        every: Duration,
        shutdown: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        let tls = Arc::clone(self);
        async move {
            while shutdown.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
                let tls = Arc::clone(&tls);
                // Only fails if the runtime is ending.
                _ = tokio::task::spawn_blocking(move || tls.reload_and_tell()).await;
            }
        }
    }

    fn reload_and_tell(&self) {
        let certificate = self.files.cert_file.display();
        match self.reload() {
            Ok(false) => {}
            Ok(true) => info!(%certificate, "certificate reloaded"),
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                warn!(%certificate, %error, cause, "certificate not reloaded: the old one stays");
            }
        }
    }
}

/// The files' bytes.
struct Material {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    client_ca: Option<Vec<u8>>,
}

impl Material {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        Ok(Self {
            certificate: read(&files.cert_file)?,
            key: Zeroizing::new(read(&files.key_file)?),
            client_ca: files.client_ca_file.as_deref().map(read).transpose()?,
        })
    }

    fn digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for part in [Some(&self.certificate), Some(&*self.key), self.client_ca.as_ref()] {
            hasher.update(Sha256::digest(part.map_or(&[][..], Vec::as_slice)));
        }
        hasher.finalize().into()
    }

    fn config(&self, files: &TlsFiles) -> Result<ServerConfig, TlsError> {
        let chain = certificates(&self.certificate, &files.cert_file)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| TlsError::Pem { path: files.key_file.clone(), wanted: "private key" })?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Pair)?;
        let builder = match self.client_verifier(files, provider)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(TlsError::Pair)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    fn client_verifier(
        &self,
        files: &TlsFiles,
        provider: Arc<rustls::crypto::CryptoProvider>,
    ) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
        let (Some(pem), Some(path)) = (&self.client_ca, &files.client_ca_file) else {
            return Ok(None);
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(pem, path)? {
            roots.add(certificate).map_err(|error| TlsError::ClientCa(error.to_string()))?;
        }
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map(Some)
            .map_err(|error| TlsError::ClientCa(error.to_string()))
    }
}

fn read(path: impl AsRef<Path>) -> Result<Vec<u8>, TlsError> {
    let path = path.as_ref();
    std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unusable = || TlsError::Pem { path: path.to_owned(), wanted: "certificate" };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(unusable)
}
