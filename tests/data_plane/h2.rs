//! Callers that speak HTTP/2 from the first byte.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http2::SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::{
    fixture::{ASK, Gateway, ROLE, STOP, STREAM, WHOLE, chunk, provider, route},
    upstream::{Gate, Step, Upstream, event, json, stream_head},
};

/// One connection to the gateway.
struct Caller {
    sender: SendRequest<Full<Bytes>>,
    url: String,
}

impl Caller {
    async fn connect(gateway: &Gateway) -> Self {
        let stream = TcpStream::connect(gateway.address).await.unwrap();
        let (executor, io) = (TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) =
            hyper::client::conn::http2::handshake(executor, io).await.unwrap();
        tokio::spawn(connection);
        Self { sender, url: format!("http://{}/v1/chat/completions", gateway.address) }
    }

    async fn chat(&self, key: &str, body: &'static str) -> Response<Incoming> {
        let request = Request::post(&self.url)
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from_static(body.as_bytes())));
        self.sender.clone().send_request(request.unwrap()).await.unwrap()
    }
}

async fn text(response: Response<Incoming>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// An upstream that streams "before", and the rest when the gate opens.
async fn gated(gate: &Gate) -> Upstream {
    let events = [event(chunk("after")), event(STOP), event("[DONE]"), Step::End];
    let script: Vec<Step> =
        [stream_head(), event(ROLE), event(chunk("before")), Step::Wait(gate.clone())]
            .into_iter()
            .chain(events)
            .collect();
    Upstream::answering(move |request| match request.json()["stream"].as_bool() {
        Some(true) => script.clone(),
        _ => json(WHOLE),
    })
    .await
}

#[tokio::test]
async fn one_connection_carries_a_stream_and_whole_answers_at_the_same_time() {
    let gate = Gate::new();
    let upstream = gated(&gate).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let caller = Caller::connect(&gateway).await;
    let streaming = caller.chat("sk-test", STREAM).await;
    assert_eq!(streaming.status(), StatusCode::OK);
    assert_eq!(streaming.headers()["x-sluice-target"], "target-0");
    let whole = caller.chat("sk-test", ASK).await;
    assert!(!whole.headers().contains_key("connection"));
    assert_eq!(text(whole).await, WHOLE);
    gate.open();
    let streamed = text(streaming).await;
    assert!(streamed.contains("before") && streamed.contains("after"), "{streamed}");
    assert!(streamed.ends_with("data: [DONE]\n\n"));
    assert_eq!(gateway.ended("complete"), 2);
}

#[tokio::test]
async fn a_caller_that_cancels_its_stream_cancels_the_provider_and_keeps_the_connection() {
    let mut upstream = gated(&Gate::new()).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let caller = Caller::connect(&gateway).await;
    let streaming = caller.chat("sk-test", STREAM).await;
    drop(streaming);
    upstream.abandoned().await;
    gateway.until_ended("client_gone").await;
    assert_eq!(text(caller.chat("sk-test", ASK).await).await, WHOLE);
}

#[tokio::test]
async fn a_refusal_leaves_the_connection_usable() {
    let upstream = Upstream::always(json(WHOLE)).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let caller = Caller::connect(&gateway).await;
    assert_eq!(caller.chat("sk-wrong", ASK).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(text(caller.chat("sk-test", ASK).await).await, WHOLE);
}
