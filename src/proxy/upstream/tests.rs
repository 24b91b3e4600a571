//! Addresses that are refused, what is negotiated with those that are not, and when a connection is
//! used again.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

mod backends;

impl From<Duration> for Way<'_> {
    fn from(connect_timeout: Duration) -> Self {
        Self { connect_timeout, provider: None }
    }
}

#[tokio::test]
async fn names_are_checked_after_resolution() {
    let refuse = Upstreams::new(false).unwrap();
    for host in ["localhost", "127.0.0.1"] {
        let request = Request::post(format!("http://{host}:9/")).body(Full::default()).unwrap();
        let error = refuse.send(Duration::from_secs(5), request).await.err().unwrap();
        assert!(error.to_string().contains("own machine"), "{error}");
    }
}

/// Streams that the TLS server allows at once.
const STREAMS: u32 = 8;

/// A TLS server for `localhost` that answers with the version it was asked in; its certificate is
/// the only one that the client trusts.
async fn server(protocols: &[&str]) -> (SocketAddr, Upstreams) {
    let (address, upstreams, _) = counting_server(protocols).await;
    (address, upstreams)
}

/// The same, and how many connections it has taken.
async fn counting_server(protocols: &[&str]) -> (SocketAddr, Upstreams, Arc<AtomicUsize>) {
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
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
            count.fetch_add(1, Ordering::SeqCst);
            let answer = service_fn(async |request: Request<Incoming>| {
                let version = format!("{:?}", request.version());
                let endless = futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>();
                Ok::<_, Infallible>(Response::new(match request.uri().path() {
                    "/authority" => {
                        Full::from(request.uri().authority().unwrap().to_string()).boxed_unsync()
                    }
                    "/endless" => StreamBody::new(endless).boxed_unsync(),
                    _ => Full::<Bytes>::from(version).boxed_unsync(),
                }))
            });
            tokio::spawn(async move {
                let mut connection = auto::Builder::new(TokioExecutor::new());
                connection.http2().max_concurrent_streams(STREAMS);
                let _ = connection.serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    let mut roots = RootCertStore::empty();
    roots.add(pair.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (address, Upstreams::with_tls(tls, true), accepted)
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

/// A provider that gives each request this answer, and then closes the connection if it is told to.
/// How many connections it has taken.
async fn provider(answer: &'static str, closes: bool) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/", listener.local_addr().unwrap());
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut request = [0; 1024];
                while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    if closes {
                        return;
                    }
                }
            });
        }
    });
    (uri, accepted)
}

const WHOLE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
const ENDLESS: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n";

async fn read_all(upstreams: &Upstreams, uri: &str) -> Vec<u8> {
    let request = Request::post(uri).body(Full::from("{}")).unwrap();
    let response = upstreams.send(Duration::from_secs(5), request).await.unwrap();
    let (mut body, mut bytes) = (response.into_body(), Vec::new());
    while let Some(data) = body.data().await {
        bytes.extend_from_slice(&data.unwrap());
    }
    bytes
}

#[tokio::test]
async fn a_connection_is_used_again_when_its_answer_has_been_read() {
    for answer in [WHOLE, CHUNKED] {
        let (uri, accepted) = provider(answer, false).await;
        let upstreams = Upstreams::new(true).unwrap();
        for _ in 0..3 {
            assert_eq!(read_all(&upstreams, &uri).await, b"ok");
        }
        assert_eq!(accepted.load(Ordering::SeqCst), 1, "{answer}");
    }
}

#[tokio::test]
async fn a_connection_whose_answer_is_left_early_is_not_used_again() {
    let (uri, accepted) = provider(ENDLESS, false).await;
    let upstreams = Upstreams::new(true).unwrap();
    for _ in 0..2 {
        assert_eq!(ask(&upstreams, uri.clone()).await.unwrap(), "ok");
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn requests_at_once_have_a_connection_each() {
    let (uri, accepted) = provider(WHOLE, false).await;
    let upstreams = Upstreams::new(true).unwrap();
    let first = Request::post(&uri).body(Full::<Bytes>::default()).unwrap();
    let held = upstreams.send(Duration::from_secs(5), first).await.unwrap();
    assert_eq!(read_all(&upstreams, &uri).await, b"ok");
    assert_eq!(accepted.load(Ordering::SeqCst), 2);
    drop(held);
}

#[tokio::test]
async fn a_request_is_sent_again_if_an_idle_connection_was_found_closed() {
    let (uri, accepted) = provider(WHOLE, true).await;
    let upstreams = Upstreams::new(true).unwrap();
    for requests in 1..=3 {
        assert_eq!(read_all(&upstreams, &uri).await, b"ok");
        assert_eq!(accepted.load(Ordering::SeqCst), requests);
    }
}

#[tokio::test]
async fn a_provider_that_closes_without_an_answer_is_an_error() {
    let (uri, accepted) = provider("", true).await;
    let error = ask(&Upstreams::new(true).unwrap(), uri).await.unwrap_err();
    assert!(matches!(error, SendError::Closed(_)), "{error}");
    assert_eq!(accepted.load(Ordering::SeqCst), 1, "what was sent is not sent again");
}

#[tokio::test]
async fn first_requests_at_once_share_one_http2_connection() {
    let (address, upstreams, accepted) = counting_server(&["h2", "http/1.1"]).await;
    let uri = format!("https://localhost:{}/", address.port());
    let answers = (0..8).map(|_| ask(&upstreams, uri.clone()));
    for answer in futures_util::future::join_all(answers).await {
        assert_eq!(answer.unwrap(), "HTTP/2.0");
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn idle_connections_are_closed_in_time_and_their_address_is_forgotten() {
    let (uri, _) = provider(WHOLE, false).await;
    let upstreams = Upstreams::new(true).unwrap();
    assert_eq!(read_all(&upstreams, &uri).await, b"ok");
    let held = upstreams.host(key(&uri.parse().unwrap()).unwrap()).unwrap();
    let now = Instant::now();
    assert!(held.sweep(now), "it has just been used");
    assert!(!held.sweep(now + Duration::from_secs(90)), "it was idle for too long");
    upstreams.pools.sweep(now);
    assert_eq!(upstreams.pools.hosts.read().len(), 1, "somebody still has it");
    drop(held);
    upstreams.pools.sweep(now);
    assert!(upstreams.pools.hosts.read().is_empty());
}

#[tokio::test]
async fn an_idle_connection_that_the_provider_closes_is_let_go() {
    let (uri, _) = provider(WHOLE, true).await;
    let upstreams = Upstreams::new(true).unwrap();
    assert_eq!(read_all(&upstreams, &uri).await, b"ok");
    let host = upstreams.host(key(&uri.parse().unwrap()).unwrap()).unwrap();
    let gone = async {
        while host.sweep(Instant::now()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap();
}

#[tokio::test]
async fn requests_beyond_the_streams_of_an_http2_connection_have_another_one() {
    let (address, upstreams, accepted) = counting_server(&["h2"]).await;
    let uri = format!("https://localhost:{}/", address.port());
    // With its answer comes how many streams there may be.
    ask(&upstreams, uri.clone()).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..STREAMS {
        let request = Request::post(format!("{uri}endless")).body(Full::default()).unwrap();
        held.push(upstreams.send(Duration::from_secs(5), request).await.unwrap());
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
    let more = tokio::time::timeout(Duration::from_secs(10), ask(&upstreams, uri.clone())).await;
    assert_eq!(more.expect("it waits for a stream").unwrap(), "HTTP/2.0");
    assert_eq!(accepted.load(Ordering::SeqCst), 2);
    held.pop();
    ask(&upstreams, uri).await.unwrap();
    assert_eq!(accepted.load(Ordering::SeqCst), 2, "room is used again");
}

#[tokio::test]
async fn idle_http2_connections_are_closed_in_time_and_used_ones_are_not() {
    let (address, upstreams, _) = counting_server(&["h2"]).await;
    let uri = format!("https://localhost:{}/", address.port());
    let request = Request::post(format!("{uri}endless")).body(Full::default()).unwrap();
    let held = upstreams.send(Duration::from_secs(5), request).await.unwrap();
    let host = upstreams.host(key(&uri.parse().unwrap()).unwrap()).unwrap();
    let (now, later) = (Instant::now(), Instant::now() + Duration::from_secs(90));
    assert!(host.sweep(later), "its stream is still there");
    drop(held);
    assert!(host.sweep(now), "it has just been used");
    assert!(!host.sweep(later), "it was idle for too long");
}

#[tokio::test]
async fn a_connection_that_hangs_while_it_is_made_does_not_hold_up_other_requests() {
    let (address, upstreams, _) = counting_server(&["h2"]).await;
    let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("https://localhost:{}/", front.local_addr().unwrap().port());
    let (stuck, is_stuck) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let _first = front.accept().await.unwrap();
        stuck.send(()).unwrap();
        while let Ok((mut stream, _)) = front.accept().await {
            let mut behind = tokio::net::TcpStream::connect(address).await.unwrap();
            tokio::spawn(
                async move { tokio::io::copy_bidirectional(&mut stream, &mut behind).await },
            );
        }
    });
    let request = Request::post(&uri).body(Full::<Bytes>::default()).unwrap();
    let first = upstreams.send(Duration::from_secs(60), request);
    let second = async {
        is_stuck.await.unwrap();
        ask(&upstreams, uri.clone()).await
    };
    tokio::select! {
        _ = first => panic!("nobody answers it"),
        second = second => assert_eq!(second.unwrap(), "HTTP/2.0"),
    }
}

#[tokio::test]
async fn the_provider_is_told_the_authority_without_a_user() {
    let (address, upstreams) = server(&["h2"]).await;
    let authority = format!("localhost:{}", address.port());
    let told = ask(&upstreams, format!("https://me:secret@{authority}/authority")).await.unwrap();
    assert_eq!(told, authority);
    for (named, sent) in
        [("api.example.com:443", "api.example.com"), ("[2001:db8::1]:443", "[2001:db8::1]")]
    {
        assert_eq!(host::host_header(&Scheme::HTTPS, &named.parse().unwrap()), sent);
    }
}

/// A provider of HTTP/1.1 that answers on the first connection, and on the others when there are so
/// many of them.
#[tokio::test]
async fn first_requests_at_once_connect_at_once_where_nothing_can_be_shared() {
    let (address, upstreams) = server(&["http/1.1"]).await;
    let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("https://localhost:{}/", front.local_addr().unwrap().port());
    let all = Arc::new(tokio::sync::Barrier::new(7));
    tokio::spawn(async move {
        for connections in 0.. {
            let (mut stream, _) = front.accept().await.unwrap();
            let mut behind = tokio::net::TcpStream::connect(address).await.unwrap();
            let all = Arc::clone(&all);
            tokio::spawn(async move {
                if connections > 0 {
                    all.wait().await;
                }
                tokio::io::copy_bidirectional(&mut stream, &mut behind).await
            });
        }
    });
    let request = || Request::post(format!("{uri}endless")).body(Full::<Bytes>::default()).unwrap();
    let answers = (0..8).map(|_| upstreams.send(Duration::from_secs(5), request()));
    for answer in futures_util::future::join_all(answers).await {
        assert_eq!(answer.unwrap().version(), http::Version::HTTP_11);
    }
}

#[tokio::test]
async fn only_connections_with_nothing_left_to_come_are_used_again() {
    const EARLY: &str = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n\
                         HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    const TRAILERS: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
                            2\r\nok\r\n0\r\nx-checksum: 1\r\n\r\n";
    const CLOSE: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";
    const OLD: &str = "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok";
    const LONGER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok?";
    const TWO: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n\
                       HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nothers";
    for (answer, connections) in
        [(EARLY, 1), (TRAILERS, 1), (CLOSE, 3), (OLD, 3), (LONGER, 3), (TWO, 3)]
    {
        let (uri, accepted) = provider(answer, false).await;
        let upstreams = Upstreams::new(true).unwrap();
        for _ in 0..3 {
            assert_eq!(read_all(&upstreams, &uri).await, b"ok", "{answer}");
        }
        assert_eq!(accepted.load(Ordering::SeqCst), connections, "{answer}");
    }
}

#[tokio::test]
async fn an_answer_that_comes_before_the_request_has_ended_leaves_nothing_behind() {
    let (uri, accepted) = provider(WHOLE, false).await;
    let upstreams = Upstreams::new(true).unwrap();
    for requests in 1..=2 {
        let begun = futures_util::stream::iter([Ok(Frame::data(Bytes::from_static(b"{")))]);
        let endless = futures_util::stream::pending::<Result<_, BoxError>>();
        let body = StreamBody::new(futures_util::StreamExt::chain(begun, endless));
        let request = Request::post(&uri).body(Outgoing::stream(body)).unwrap();
        let response = upstreams.send(Duration::from_secs(5), request).await.unwrap();
        let mut body = response.into_body();
        assert_eq!(body.data().await.unwrap().unwrap(), "ok");
        assert!(body.data().await.is_none());
        drop(body);
        assert_eq!(accepted.load(Ordering::SeqCst), requests);
    }
}

#[tokio::test]
async fn an_upload_goes_on_while_nobody_reads_the_answer() {
    const PIECE: usize = 64 << 10;
    const PIECES: usize = 128;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/", listener.local_addr().unwrap());
    let provider = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut bytes, mut all) = (vec![0; PIECE], stream.read(&mut [0; 64]).await.unwrap());
        stream.write_all(ENDLESS.as_bytes()).await.unwrap();
        while all < PIECE * PIECES {
            all += stream.read(&mut bytes).await.unwrap();
        }
    });
    let pieces = (0..PIECES).map(|_| Ok::<_, BoxError>(Frame::data(Bytes::from(vec![0; PIECE]))));
    let body = Outgoing::stream(StreamBody::new(futures_util::stream::iter(pieces)));
    let upstreams = Upstreams::new(true).unwrap();
    let request = Request::post(uri).body(body).unwrap();
    let unread = upstreams.send(Duration::from_secs(5), request).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), provider).await.unwrap().unwrap();
    drop(unread);
}
