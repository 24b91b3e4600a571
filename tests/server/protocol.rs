//! HTTP/1.1 and h2 on one plain port.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sluice::proxy::server::ServerLimits;
use tokio::net::TcpStream;

use crate::fixture::Server;

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let server = Server::start(ServerLimits::default());
    let mut client = server.client().await;
    for _ in 0..3 {
        client.send("POST /x HTTP/1.1\r\nhost: test\r\ncontent-length: 5\r\n\r\nhello").await;
        assert!(client.until("read 5").await.starts_with("HTTP/1.1 200 OK"));
    }
    assert_eq!(server.calls(), 3);
}

#[tokio::test]
async fn h2_is_spoken_to_clients_that_begin_with_it() {
    let server = Server::start(ServerLimits::default());
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = |body: &'static str| {
        let body = Full::new(Bytes::from_static(body.as_bytes()));
        Request::post("http://test/x").body(body).unwrap()
    };
    let (one, two) =
        tokio::join!(client.clone().send_request(request("a")), client.send_request(request("bc")));
    for (answer, expected) in [(one.unwrap(), "read 1"), (two.unwrap(), "read 2")] {
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), expected);
    }
}

#[tokio::test]
async fn a_preface_in_small_pieces_is_still_h2() {
    let server = Server::start(ServerLimits::default());
    let mut client = server.client().await;
    client.socket.set_nodelay(true).unwrap();
    for piece in ["PR", "I", " * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        client.send(piece).await;
        tokio::task::yield_now().await;
    }
    // An empty SETTINGS frame; the server answers with its own, which is no text of HTTP/1.1.
    client.send([0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
    let mut first = [0; 9];
    tokio::io::AsyncReadExt::read_exact(&mut client.socket, &mut first).await.unwrap();
    assert_eq!(first[3], 4, "not a SETTINGS frame: {first:?}");
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_stream() {
    let mut server = Server::start(ServerLimits::default());
    let stream = server.stream();
    let mut client = server.client().await;
    client.get("/stream").await;
    stream.send(Bytes::from_static(b"first")).unwrap();
    client.until("first").await;
    assert_eq!(server.context.permits.used(), 1);
    drop(client);
    server.dropped.recv().await.unwrap();
    while server.context.permits.used() > 0 {
        tokio::task::yield_now().await;
    }
}

/// A frame of h2 (RFC 9113 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0, 0, u8::try_from(payload.len()).unwrap(), kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

#[tokio::test]
async fn a_client_that_opens_and_resets_streams_is_cut_off() {
    let server = Server::start(ServerLimits::default());
    let mut client = server.client().await;
    let mut burst = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    burst.extend(frame(4, 0, 0, &[]));
    for index in 0..1000 {
        let stream = index * 2 + 1;
        // GET, http, /, and the authority "test" (HPACK, RFC 7541).
        burst.extend(frame(1, 5, stream, &[0x82, 0x86, 0x84, 0x41, 4, b't', b'e', b's', b't']));
        burst.extend(frame(3, 0, stream, &8u32.to_be_bytes()));
    }
    client.send(&burst).await;
    let mut answer = Vec::new();
    // Ends with the connection, or with a reset because not all was read.
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut client.socket, &mut answer).await;
    assert!(server.calls() < 500, "{} requests reached the handler", server.calls());
}
