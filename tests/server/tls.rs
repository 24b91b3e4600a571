//! The TLS listener: protocols, reload, client certificates.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sluice::proxy::server::{ServerLimits, Tls, TlsError, TlsFiles};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::fixture::Server;

/// A folder with a certificate, its key and a client CA, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sluice-tls-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn files(&self) -> TlsFiles {
        TlsFiles {
            cert_file: self.0.join("tls.crt"),
            key_file: self.0.join("tls.key"),
            client_ca_file: None,
        }
    }

    fn write(&self, pair: &Pair) {
        fs::write(self.0.join("tls.crt"), pair.cert.pem()).unwrap();
        fs::write(self.0.join("tls.key"), pair.signing_key.serialize_pem()).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

type Pair = CertifiedKey<rcgen::KeyPair>;

fn pair() -> Pair {
    generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap()
}

/// A client that trusts some certificates and shows its own, if it has one.
fn client(trusted: &[&Pair], protocol: &[u8], own: Option<&Pair>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    for pair in trusted {
        roots.add(pair.cert.der().clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
            builder.with_client_auth_cert(vec![own.cert.der().clone()], key).unwrap()
        }
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    TlsConnector::from(Arc::new(config))
}

async fn connect(server: &Server, client: &TlsConnector) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(server.address).await.unwrap();
    client.connect(ServerName::try_from("localhost").unwrap(), stream).await
}

fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

async fn ask(stream: &mut TlsStream<TcpStream>) -> std::io::Result<String> {
    stream.write_all(b"GET /x HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer).await;
    if answer.is_empty() {
        read?;
    }
    Ok(String::from_utf8(answer).unwrap())
}

#[tokio::test]
async fn both_protocols_are_offered() {
    let (folder, pair) = (Folder::new("alpn"), pair());
    folder.write(&pair);
    let tls = Tls::load(folder.files()).unwrap();
    let server = Server::start_tls(ServerLimits::default(), Some(tls));
    let mut stream = connect(&server, &client(&[&pair], b"http/1.1", None)).await.unwrap();
    assert!(ask(&mut stream).await.unwrap().starts_with("HTTP/1.1 200"));
    let stream = connect(&server, &client(&[&pair], b"h2", None)).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("https://localhost/x");
    let request = request.body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_new_certificate_is_used_and_a_broken_one_is_not() {
    let (folder, old, new) = (Folder::new("reload"), pair(), pair());
    folder.write(&old);
    let tls = Tls::load(folder.files()).unwrap();
    let server = Server::start_tls(ServerLimits::default(), Some(Arc::clone(&tls)));
    let trusting = client(&[&old, &new], b"http/1.1", None);
    let mut open = connect(&server, &trusting).await.unwrap();
    assert_eq!(shown(&open), *old.cert.der());
    assert!(!tls.reload().unwrap());

    folder.write(&new);
    assert!(tls.reload().unwrap());
    assert_eq!(shown(&connect(&server, &trusting).await.unwrap()), *new.cert.der());
    assert!(ask(&mut open).await.unwrap().starts_with("HTTP/1.1 200"));

    fs::write(folder.files().key_file, pair().signing_key.serialize_pem()).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Pair(_))));
    fs::write(folder.files().cert_file, "half of a cert").unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Pem { wanted: "certificate", .. })));
    fs::remove_file(folder.files().key_file).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Read { .. })));
    assert_eq!(shown(&connect(&server, &trusting).await.unwrap()), *new.cert.der());
}

#[tokio::test]
async fn with_a_client_ca_only_its_clients_are_served() {
    let (folder, pair, known, stranger) = (Folder::new("mtls"), pair(), self::pair(), self::pair());
    folder.write(&pair);
    let ca = folder.0.join("ca.crt");
    fs::write(&ca, known.cert.pem()).unwrap();
    let tls = Tls::load(TlsFiles { client_ca_file: Some(ca), ..folder.files() }).unwrap();
    let server = Server::start_tls(ServerLimits::default(), Some(tls));
    let served = async |own| match connect(&server, &client(&[&pair], b"http/1.1", own)).await {
        Ok(mut stream) => ask(&mut stream).await.is_ok_and(|answer| answer.contains(" 200 ")),
        Err(_) => false,
    };
    assert!(served(Some(&known)).await);
    assert!(!served(Some(&stranger)).await);
    assert!(!served(None).await);
}
