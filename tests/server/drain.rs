//! Shutdown with requests under way.

use std::time::Duration;

use bytes::Bytes;
use sluice::proxy::server::ServerLimits;
use tokio::net::TcpStream;

use crate::fixture::Server;

#[tokio::test]
async fn a_running_stream_ends_in_its_own_time_and_nothing_new_begins() {
    let server = Server::start(ServerLimits::default());
    let stream = server.stream();
    let mut running = server.client().await;
    running.get("/stream").await;
    running.until("\r\n\r\n").await;
    let mut idle = server.client().await;
    idle.get("/x").await;
    idle.until("read 0").await;
    let fresh = server.client().await;

    server.context.shutdown.cancel();
    assert_eq!(idle.rest().await, "");
    assert_eq!(fresh.rest().await, "");
    assert!(TcpStream::connect(server.address).await.is_err());
    assert!(!server.done.is_finished());

    stream.send(Bytes::from_static(b"the end")).unwrap();
    drop(stream);
    let rest = running.rest().await;
    assert!(rest.contains("the end") && rest.ends_with("0\r\n\r\n"), "{rest}");
    server.done.await.unwrap();
}

#[tokio::test]
async fn a_stream_that_does_not_end_in_time_sends_its_last_words() {
    let limits = ServerLimits { drain: Duration::from_millis(50), ..Default::default() };
    let server = Server::start(limits);
    let _stream = server.stream();
    let mut running = server.client().await;
    running.get("/stream").await;
    running.until("\r\n\r\n").await;
    server.context.shutdown.cancel();
    let rest = running.rest().await;
    assert!(rest.contains("last words") && rest.ends_with("0\r\n\r\n"), "{rest}");
    server.done.await.unwrap();
    assert!(server.context.drain.is_expired());
}

#[tokio::test]
async fn a_client_that_does_not_read_cannot_hold_the_shutdown() {
    let limits = ServerLimits { drain: Duration::from_millis(50), ..Default::default() };
    let server = Server::start(limits);
    let stream = server.stream();
    let mut deaf = server.client().await;
    deaf.get("/stream").await;
    for _ in 0..64 {
        stream.send(Bytes::from(vec![b'x'; 1 << 20])).unwrap();
    }
    server.context.shutdown.cancel();
    server.done.await.unwrap();
}
