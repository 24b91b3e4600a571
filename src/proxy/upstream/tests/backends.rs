//! Requests to the servers behind a Service.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::{
    llm::{Dialect, Quirks},
    snapshot::{Addressing, KeyHeader, ObjectName, Snapshot},
};

/// A server that answers each request with what it heard as `Host`, until the connection is closed.
struct Server {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, closed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (count, ended) = (Arc::clone(&accepted), Arc::clone(&closed));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let ended = Arc::clone(&ended);
                tokio::spawn(async move {
                    let mut request = [0; 1024];
                    while let Ok(read @ 1..) = stream.read(&mut request).await {
                        let text = String::from_utf8_lossy(&request[..read]).to_lowercase();
                        let host = text.split("host: ").nth(1).unwrap().lines().next().unwrap();
                        let answer = match text.starts_with("post /endless") {
                            true => ENDLESS.to_owned(),
                            false => format!(
                                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{host}",
                                host.len()
                            ),
                        };
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                    ended.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, accepted, closed }
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

fn provider(backends: Vec<Backend>) -> Provider {
    Provider {
        name: ObjectName::new("team", "vllm"),
        uid: "uid".into(),
        kind: "VLLM",
        dialects: &[Dialect::OpenAi],
        quirks: Quirks::NONE,
        addressing: Addressing::Plain,
        key_header: KeyHeader::Bearer,
        identity: None,
        probe: None,
        backends: Some(backends.into()),
        endpoint: Endpoint::Http {
            scheme: Scheme::HTTP,
            authority: "vllm.team.svc:8000".parse().unwrap(),
            base_path: "/v1".into(),
        },
        credentials: Vec::new(),
        headers: Vec::new(),
        models: HashMap::new(),
        prices: Vec::new(),
        limits: Default::default(),
        ejection: Default::default(),
        connect_timeout: Duration::from_secs(5),
    }
}

fn at(address: SocketAddr) -> Backend {
    Backend { address, zone: None, is_near: false }
}

/// An address where nothing listens.
fn nobody() -> SocketAddr {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    // Bound and not listening for as long as the process lives: no other test gets the port.
    std::mem::forget(socket);
    address
}

async fn open(
    upstreams: &Upstreams,
    provider: &Provider,
    path: &str,
) -> Result<UpstreamBody, SendError> {
    let uri = format!("http://vllm.team.svc:8000/{path}");
    let request = Request::post(uri).body(Full::from("{}")).unwrap();
    Ok(upstreams.send(provider, request).await?.into_body())
}

async fn read(upstreams: &Upstreams, provider: &Provider) -> Bytes {
    let mut body = open(upstreams, provider, "").await.unwrap();
    let data = body.data().await.unwrap().unwrap();
    assert!(body.data().await.is_none());
    data
}

#[tokio::test]
async fn a_backend_is_called_at_its_address_by_the_name_of_the_service() {
    let server = Server::start().await;
    let provider = provider(vec![at(server.address)]);
    let upstreams = Upstreams::new(true).unwrap();
    for _ in 0..3 {
        assert_eq!(read(&upstreams, &provider).await, "vllm.team.svc:8000");
    }
    assert_eq!(server.accepted(), 1, "its connection is used again");
}

#[tokio::test]
async fn requests_at_once_are_spread_over_the_least_busy() {
    let servers = [Server::start().await, Server::start().await, Server::start().await];
    let provider = provider(servers.iter().map(|server| at(server.address)).collect());
    let upstreams = Upstreams::new(true).unwrap();
    let mut held = Vec::new();
    for _ in 0..12 {
        held.push(open(&upstreams, &provider, "endless").await.unwrap());
    }
    let busy = || -> Vec<_> { upstreams.backends(&provider).iter().map(|b| b.in_flight).collect() };
    assert_eq!(busy(), [4, 4, 4]);
    drop(held);
    assert_eq!(busy(), [0, 0, 0]);
}

#[tokio::test]
async fn one_that_cannot_be_reached_is_left_for_another_and_then_left_out() {
    let (server, dead) = (Server::start().await, nobody());
    let provider = provider(vec![at(server.address), at(dead)]);
    let upstreams = Upstreams::new(true).unwrap();
    for _ in 0..40 {
        read(&upstreams, &provider).await;
    }
    let states = upstreams.backends(&provider);
    assert_eq!(states[0].out_for, None);
    assert!(states[1].out_for.is_some(), "{states:?}");
}

#[tokio::test]
async fn if_none_can_be_reached_the_request_fails_to_connect() {
    let provider = provider(vec![at(nobody()), at(nobody())]);
    let upstreams = Upstreams::new(true).unwrap();
    for _ in 0..5 {
        let error = open(&upstreams, &provider, "").await.err().unwrap();
        assert!(matches!(error, SendError::Connect(_)), "{error}");
    }
}

#[tokio::test]
async fn without_a_backend_nothing_is_sent() {
    let error = open(&Upstreams::new(true).unwrap(), &provider(Vec::new()), "").await;
    assert!(matches!(error.err().unwrap(), SendError::NoEndpoints));
}

#[tokio::test]
async fn own_machine_is_refused_as_a_backend_too() {
    let server = Server::start().await;
    let refuse = Upstreams::new(false).unwrap();
    let error = open(&refuse, &provider(vec![at(server.address)]), "").await.err().unwrap();
    assert!(error.to_string().contains("own machine"), "{error}");
    assert_eq!(server.accepted(), 0);
}

fn publish(published: &Published, provider: &Provider) {
    let providers = [(provider.name.clone(), Arc::new(provider.clone()))].into();
    published.publish(Arc::new(Snapshot { providers, ..Snapshot::default() }));
}

#[tokio::test]
async fn a_backend_that_is_gone_gets_nothing_new_and_finishes_what_it_has() {
    let (old, new) = (Server::start().await, Server::start().await);
    let before = provider(vec![at(old.address)]);
    let after = provider(vec![at(new.address)]);
    let published = Arc::new(Published::default());
    publish(&published, &before);
    let upstreams = Upstreams::new(true).unwrap().following(Arc::clone(&published));
    read(&upstreams, &before).await;
    let mut stream = open(&upstreams, &before, "endless").await.unwrap();
    let other = open(&upstreams, &before, "endless").await.unwrap();
    drop(other);
    publish(&published, &after);
    // A request that began under the older configuration goes to the new one as well.
    read(&upstreams, &before).await;
    read(&upstreams, &after).await;
    assert_eq!((old.accepted(), new.accepted()), (2, 1));
    assert_eq!(stream.data().await.unwrap().unwrap(), "ok", "the stream goes on");
    assert_eq!(upstreams.backends(&before).len(), 1);
}

#[tokio::test]
async fn idle_connections_to_a_backend_that_is_gone_are_closed_without_a_request() {
    let (old, new) = (Server::start().await, Server::start().await);
    let before = provider(vec![at(old.address), at(new.address)]);
    let published = Arc::new(Published::default());
    publish(&published, &before);
    let upstreams = Upstreams::new(true).unwrap().following(Arc::clone(&published));
    while old.accepted() == 0 {
        read(&upstreams, &before).await;
    }
    publish(&published, &provider(vec![at(new.address)]));
    upstreams.pools.sweep(Instant::now());
    let closed = async {
        while old.closed.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), closed).await.unwrap();
}

#[tokio::test]
async fn tls_asks_a_backend_for_the_name_of_the_service() {
    let (address, upstreams) = server(&["h2"]).await;
    let mut provider = provider(vec![at(address)]);
    provider.endpoint = Endpoint::Http {
        scheme: Scheme::HTTPS,
        // Nothing listens on this port of it; the certificate is for this name.
        authority: "localhost:1".parse().unwrap(),
        base_path: String::new(),
    };
    let request = Request::post("https://localhost:1/authority").body(Full::default()).unwrap();
    let body = upstreams.send(&provider, request).await.unwrap().into_body().data().await;
    assert_eq!(body.unwrap().unwrap(), "localhost:1");
}
