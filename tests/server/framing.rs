//! Requests whose end two hops could see in two places.

use sluice::proxy::server::ServerLimits;

use crate::fixture::Server;

#[tokio::test]
async fn lengths_that_disagree_or_are_no_number_are_refused() {
    let server = Server::start(ServerLimits::default());
    for lines in [
        "content-length: 5\r\ncontent-length: 6",
        "content-length: 5, 6",
        "content-length: +5",
        "content-length: 0x5",
        "content-length: -1",
        "transfer-encoding: identity",
        "transfer-encoding: chunked, identity",
        "transfer-encoding : chunked",
        "content-length: 5\r\n folded: x",
    ] {
        let mut client = server.client().await;
        let head = format!("POST /x HTTP/1.1\r\nhost: test\r\n{lines}\r\n\r\nhello");
        client.send(head).await;
        let answer = client.rest().await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{lines}: {answer}");
    }
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn two_hosts_or_none_are_refused() {
    let server = Server::start(ServerLimits::default());
    for (lines, status) in [
        ("HTTP/1.1\r\nhost: a.example\r\nhost: b.example", 400),
        ("HTTP/1.1\r\nhost: a.example\r\nhost: a.example", 400),
        ("HTTP/1.1\r\nx-host: a.example", 400),
        ("HTTP/1.0\r\nhost: a.example\r\nhost: b.example", 400),
        ("HTTP/1.1\r\nhost: a.example", 200),
        ("HTTP/1.0\r\nx-host: a.example", 200),
    ] {
        let mut client = server.client().await;
        client.send(format!("GET /x {lines}\r\nconnection: close\r\n\r\n")).await;
        let answer = client.rest().await;
        assert!(answer.contains(&format!(" {status} ")), "{lines}: {answer}");
        assert_eq!(answer.contains("invalid_host"), status == 400, "{answer}");
    }
    assert_eq!(server.calls(), 2);
}

#[tokio::test]
async fn a_length_beside_chunks_cannot_smuggle_a_second_request() {
    let server = Server::start(ServerLimits::default());
    for lines in [
        "content-length: 4\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 4",
    ] {
        let mut client = server.client().await;
        let smuggled = "GET /smuggled HTTP/1.1\r\nhost: test\r\n\r\n";
        client
            .send(format!("POST /x HTTP/1.1\r\nhost: test\r\n{lines}\r\n\r\n0\r\n\r\n{smuggled}"))
            .await;
        let answer = client.rest().await;
        assert!(answer.contains("connection: close"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
    assert_eq!(server.calls(), 2);
}

#[tokio::test]
async fn chunks_of_http_1_0_are_refused() {
    let server = Server::start(ServerLimits::default());
    let mut client = server.client().await;
    client.send("POST /x HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n").await;
    assert!(client.rest().await.contains(" 400 "));
}

#[tokio::test]
async fn half_a_head_from_a_client_that_is_done_writing_reaches_nobody() {
    let server = Server::start(ServerLimits::default());
    let mut client = server.client().await;
    client.send("GET /x HTTP/1.1\r\nhost: te").await;
    tokio::io::AsyncWriteExt::shutdown(&mut client.socket).await.unwrap();
    client.rest().await;
    assert_eq!(server.calls(), 0);
}
