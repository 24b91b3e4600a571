//! How long a stream without content is held back: up to a bound it can still be made good by
//! another target, beyond it the caller gets what there is.

use http::StatusCode;
use http_body_util::BodyExt as _;

use crate::{
    fixture::{Gateway, ROLE, STOP, STREAM, chunk, provider, route},
    upstream::{Gate, Script, Step, Upstream, event, stream, stream_head},
};

/// Frames and bytes without content that are held at most, as the gateway has them.
const FRAMES: usize = 64;
const BYTES: usize = 256 << 10;

/// A gateway whose first target does this; its second one says "Hello".
async fn gateway(first: Script) -> (Gateway, [Upstream; 2]) {
    let good = stream([chunk("Hello"), STOP.into(), "[DONE]".into()]);
    let upstreams = [Upstream::always(first).await, Upstream::always(good).await];
    let gateway = Gateway::start([route(upstreams.each_ref().map(provider))]).await;
    (gateway, upstreams)
}

/// A frame of so many bytes that says nothing.
fn empty_frame(bytes: usize) -> String {
    let frame = |pad: &str| format!(r#"{{"model":"m","choices":[],"pad":"{pad}"}}"#);
    let around = frame("").len() + "data: \n\n".len();
    frame(&"x".repeat(bytes - around))
}

async fn is_held(frames: Vec<String>) {
    let frames = frames.into_iter().map(event);
    let script = std::iter::once(stream_head()).chain(frames).chain([Step::End]).collect();
    let (gateway, _upstreams) = gateway(script).await;
    let reply = gateway.chat(STREAM).await;
    assert_eq!(reply.header("x-sluice-target"), "target-1", "{}", reply.text());
    assert!(!reply.text().contains("pad") && !reply.text().contains("role"), "{}", reply.text());
}

async fn is_let_go(frames: Vec<String>) {
    let sent: String = frames.iter().map(|frame| format!("data: {frame}\n\n")).collect();
    let gate = Gate::new();
    let script = std::iter::once(stream_head())
        .chain(frames.into_iter().map(event))
        .chain([Step::Wait(gate.clone()), event(chunk("late")), event(STOP), event("[DONE]")])
        .chain([Step::End])
        .collect();
    let (gateway, upstreams) = gateway(script).await;
    // The head comes while the provider has not said anything yet.
    let response = gateway.send("/v1/chat/completions", STREAM).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["x-sluice-target"], "target-0");
    gate.open();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(sent.as_bytes()), "what was held comes first, and whole");
    assert!(body.ends_with(b"data: [DONE]\n\n"));
    assert!(upstreams[1].received().is_empty());
}

#[tokio::test]
async fn as_many_empty_frames_as_the_bound_can_still_be_made_good() {
    is_held(vec![ROLE.to_owned(); FRAMES]).await;
}

#[tokio::test]
async fn one_empty_frame_more_is_sent() {
    is_let_go(vec![ROLE.to_owned(); FRAMES + 1]).await;
}

#[tokio::test]
async fn as_many_empty_bytes_as_the_bound_can_still_be_made_good() {
    is_held(vec![empty_frame(BYTES / 8); 8]).await;
}

#[tokio::test]
async fn empty_bytes_beyond_the_bound_are_sent() {
    is_let_go(vec![empty_frame(BYTES / 8 + 1); 8]).await;
}

#[tokio::test]
async fn a_fault_behind_the_bound_is_told_in_the_stream() {
    let frames = vec![event(ROLE); FRAMES + 1];
    let gate = Gate::new();
    let script = std::iter::once(stream_head())
        .chain(frames)
        .chain([Step::Wait(gate.clone()), Step::Reset])
        .collect();
    let (gateway, upstreams) = gateway(script).await;
    let response = gateway.send("/v1/chat/completions", STREAM).await;
    gate.open();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("data: {\"error\":"));
    assert!(upstreams[1].received().is_empty());
    assert_eq!(gateway.ended("incomplete"), 1);
}
