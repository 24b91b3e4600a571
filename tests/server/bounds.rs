//! Bounds on heads, requests, connections and silence.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use sluice::proxy::server::ServerLimits;

use crate::fixture::Server;

fn head_with(size: usize) -> String {
    format!("GET /x HTTP/1.1\r\nhost: test\r\nx-long: {}\r\n\r\n", "a".repeat(size))
}

#[tokio::test]
async fn heads_up_to_the_bound_are_taken_and_larger_ones_refused() {
    let server = Server::start(ServerLimits::default());
    let mut client = server.client().await;
    client.send(head_with(60 << 10)).await;
    assert!(client.until("read 0").await.starts_with("HTTP/1.1 200"));
    let mut client = server.client().await;
    // The server may close before all is written.
    let _ = tokio::io::AsyncWriteExt::write_all(&mut client.socket, head_with(80 << 10).as_bytes())
        .await;
    assert!(client.until("\r\n").await.starts_with("HTTP/1.1 431"));
    assert_eq!(server.calls(), 1);
}

#[tokio::test]
async fn more_than_a_hundred_headers_are_refused() {
    let server = Server::start(ServerLimits::default());
    let mut client = server.client().await;
    let many: String = (0..120).map(|index| format!("x-{index}: a\r\n")).collect();
    client.send(format!("GET /x HTTP/1.1\r\nhost: test\r\n{many}\r\n")).await;
    assert!(client.until("\r\n").await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn a_head_that_does_not_come_closes_the_connection() {
    let limits = ServerLimits { header_timeout: Duration::from_millis(50), ..Default::default() };
    let server = Server::start(limits);
    assert_eq!(server.client().await.rest().await, "");
    let mut slow = server.client().await;
    slow.send("GET /x HTTP/1.1\r\nhost: te").await;
    assert_eq!(slow.rest().await, "");
    // The second head of a connection is bounded just as the first.
    let mut second = server.client().await;
    second.get("/x").await;
    second.until("read 0").await;
    second.send("GET /x HT").await;
    assert_eq!(second.rest().await, "");
    assert_eq!(server.calls(), 1);
}

#[tokio::test]
async fn an_idle_connection_outlives_the_header_time_out() {
    let limits = ServerLimits { header_timeout: Duration::from_millis(50), ..Default::default() };
    let server = Server::start(limits);
    let mut client = server.client().await;
    client.get("/x").await;
    client.until("read 0").await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    client.get("/x").await;
    client.until("read 0").await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time() {
    let limits = ServerLimits { keep_alive: Duration::from_millis(50), ..Default::default() };
    let server = Server::start(limits);
    let mut client = server.client().await;
    client.get("/x").await;
    client.until("read 0").await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_long_stream_is_not_idle() {
    let limits = ServerLimits {
        header_timeout: Duration::from_millis(20),
        keep_alive: Duration::from_millis(20),
        ..Default::default()
    };
    let server = Server::start(limits);
    let stream = server.stream();
    let mut client = server.client().await;
    client.get("/stream").await;
    client.until("\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    stream.send(Bytes::from_static(b"late")).unwrap();
    client.until("late").await;
}

#[tokio::test]
async fn requests_beyond_the_bound_get_503_in_their_dialect_until_one_ends() {
    let limits = ServerLimits { concurrent_requests: 1, ..Default::default() };
    let server = Server::start(limits);
    let stream = server.stream();
    let mut holder = server.client().await;
    holder.get("/stream").await;
    holder.until("\r\n\r\n").await;
    for (path, kind) in [
        ("/v1/messages", r#""type":"overloaded_error""#),
        ("/v1/chat/completions", r#""type":"server_error""#),
    ] {
        let mut client = server.client().await;
        client.get(path).await;
        let answer = client.until(kind).await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
    }
    assert_eq!(server.toy.refused.load(Ordering::SeqCst), 2);
    drop(stream);
    holder.until("0\r\n\r\n").await;
    let mut client = server.client().await;
    client.get("/x").await;
    assert!(client.until("read 0").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_one_to_close() {
    let limits = ServerLimits { connections: 1, ..Default::default() };
    let server = Server::start(limits);
    let mut first = server.client().await;
    first.get("/x").await;
    first.until("read 0").await;
    let mut second = server.client().await;
    second.get("/x").await;
    first.get("/x").await;
    first.until("read 0").await;
    assert_eq!(server.calls(), 2);
    drop(first);
    second.until("read 0").await;
}
