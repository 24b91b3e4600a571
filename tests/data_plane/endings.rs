//! How streams end: in time though their provider never pauses, and at their terminator.

use std::time::Duration;

use http_body_util::BodyExt as _;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    fixture::{Gateway, STOP, STREAM, chunk, eventually, provider, route},
    upstream::{Script, Step, Upstream, event, stream, stream_head},
};

/// A stream whose provider always has something ready.
fn endless() -> Script {
    let piece = format!("data: {}\n\n", chunk(&"x".repeat(4000)));
    vec![stream_head(), Step::Endless(piece.into_bytes())]
}

#[tokio::test]
async fn a_stream_without_a_pause_ends_when_the_request_must_have_ended() {
    let upstream = Upstream::always(endless()).await;
    let mut route = route([provider(&upstream)]);
    route.timeouts.total = Duration::from_millis(300);
    let gateway = Gateway::start([route]).await;
    let reply = gateway.chat(STREAM).await;
    let end = &reply.text()[reply.text().len() - 300..];
    assert!(end.contains("upstream_timeout"), "{end}");
    assert_eq!(gateway.record().await["outcome"], "incomplete");
}

#[tokio::test]
async fn who_reads_nothing_holds_no_place_beyond_the_time_of_the_request() {
    let upstream = Upstream::always(endless()).await;
    let mut route = route([provider(&upstream)]);
    route.timeouts.total = Duration::from_millis(300);
    let gateway = Gateway::start([route]).await;
    let mut caller = TcpStream::connect(gateway.address).await.unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer sk-test\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{STREAM}",
        STREAM.len()
    );
    caller.write_all(head.as_bytes()).await.unwrap();
    gateway.until_ended("incomplete").await;
    assert_eq!(gateway.record().await["error"], "upstream_timeout");
    eventually(|| gateway.permits.used() == 0).await;
}

#[tokio::test]
async fn a_stream_without_a_pause_is_told_of_a_shutdown() {
    let upstream = Upstream::always(endless()).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let mut body = gateway.send("/v1/chat/completions", STREAM).await.into_body();
    assert!(body.frame().await.unwrap().is_ok());
    gateway.drain.expire();
    let rest = body.collect().await.unwrap().to_bytes();
    let end = String::from_utf8_lossy(&rest[rest.len() - 300..]).into_owned();
    assert!(end.contains("gateway_shutting_down"), "{end}");
    assert_eq!(gateway.record().await["error"], "gateway_shutting_down");
}

#[tokio::test]
async fn what_follows_the_end_of_a_stream_is_neither_forwarded_nor_an_error() {
    let after = r#"{"error":{"message":"too late","type":"server_error"}}"#;
    let hello = chunk("Hello");
    let apart = stream([&*hello, STOP, "[DONE]", &hello, after]);
    let pieces = [&*hello, STOP, "[DONE]", &hello, after].map(|data| format!("data: {data}\n\n"));
    let at_once = vec![stream_head(), Step::Chunk(pieces.concat().into_bytes()), Step::End];
    for script in [apart, at_once] {
        let upstream = Upstream::always(script).await;
        let gateway = Gateway::start([route([provider(&upstream)])]).await;
        let reply = gateway.chat(STREAM).await;
        assert_eq!(reply.text(), pieces[..3].concat());
        assert_eq!(gateway.record().await["outcome"], "complete");
    }
}

#[tokio::test]
async fn who_leaves_at_the_end_of_a_stream_has_had_all_of_it() {
    let events = [event(chunk("Hello")), event(STOP), event("[DONE]"), Step::Stall];
    let script = [vec![stream_head()], events.to_vec()].concat();
    let upstream = Upstream::always(script).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let mut body = gateway.send("/v1/chat/completions", STREAM).await.into_body();
    let mut seen = Vec::new();
    while !seen.ends_with(b"data: [DONE]\n\n") {
        seen.extend_from_slice(&body.frame().await.unwrap().unwrap().into_data().unwrap());
    }
    drop(body);
    assert_eq!(gateway.record().await["outcome"], "complete");
}
