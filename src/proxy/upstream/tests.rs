//! Addresses that are refused, and what is negotiated with those that are not.

use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::server::conn::auto;
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::net::TcpListener;

use super::*;

#[tokio::test]
async fn names_are_checked_after_resolution() {
    let refuse = Upstreams::new(false).unwrap();
    for host in ["localhost", "127.0.0.1"] {
        let request = Request::post(format!("http://{host}:9/")).body(Full::default()).unwrap();
        let error = refuse.send(Duration::from_secs(5), request).await.err().unwrap();
        assert!(error.to_string().contains("own machine"), "{error}");
    }
}

/// A TLS server for `localhost` that answers with the version it was asked in; its certificate is
/// the only one that the client trusts.
async fn server(protocols: &[&str]) -> (SocketAddr, Upstreams) {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(pair.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![pair.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let answer = service_fn(async |request: Request<Incoming>| {
                let version = format!("{:?}", request.version());
                Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::from(version)))
            });
            let connection = auto::Builder::new(TokioExecutor::new());
            let _ = connection.serve_connection(TokioIo::new(stream), answer).await;
        }
    });
    let mut upstreams = Upstreams::new(true).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(pair.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    upstreams.tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (address, upstreams)
}

async fn ask(upstreams: &Upstreams, uri: String) -> Result<Bytes, SendError> {
    let request = Request::post(uri).body(Full::default()).unwrap();
    let response = upstreams.send(Duration::from_secs(5), request).await?;
    Ok(response.into_body().data().await.unwrap().unwrap())
}

#[tokio::test]
async fn http2_is_used_where_tls_negotiates_it() {
    let (address, upstreams) = server(&["h2", "http/1.1"]).await;
    let uri = format!("https://localhost:{}/", address.port());
    assert_eq!(ask(&upstreams, uri).await.unwrap(), "HTTP/2.0");
    let (address, upstreams) = server(&["http/1.1"]).await;
    let uri = format!("https://localhost:{}/", address.port());
    assert_eq!(ask(&upstreams, uri).await.unwrap(), "HTTP/1.1");
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_a_connect_error() {
    let (address, _) = server(&["h2"]).await;
    let strict = Upstreams::new(true).unwrap();
    let error = ask(&strict, format!("https://localhost:{}/", address.port())).await.unwrap_err();
    assert!(matches!(&error, SendError::Connect(text) if text.contains("certificate")), "{error}");
}

#[tokio::test]
async fn a_handshake_that_hangs_ends_with_the_connect_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("https://localhost:{}/", silent.local_addr().unwrap().port());
    let request = Request::post(uri).body(Full::default()).unwrap();
    let upstreams = Upstreams::new(true).unwrap();
    let error = upstreams.send(Duration::from_millis(50), request).await.err().unwrap();
    assert!(error.to_string().contains("in time"), "{error}");
}
