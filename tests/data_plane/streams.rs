//! Streams: the honest contract after the first content.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use sluice::{budget::Unit, proxy::Limits};

use crate::{
    fixture::{
        ASK, Gateway, ROLE, STOP, STREAM, USAGE, budget, chunk, eventually, provider, route,
        snapshot,
    },
    upstream::{Gate, Step, Upstream, event, stream, stream_head},
};

fn text(events: &[&str]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

/// Reads until the body has shown this text.
async fn read_until(body: &mut Incoming, wanted: &str) -> String {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(wanted) {
        let frame = body.frame().await.expect("the body ended").unwrap();
        seen.extend_from_slice(&frame.into_data().unwrap_or_default());
    }
    String::from_utf8(seen).unwrap()
}

#[tokio::test]
async fn a_stream_passes_byte_for_byte_and_its_usage_chunk_only_if_asked_for() {
    let hello = chunk("Hello");
    let upstream = Upstream::always(stream([ROLE, &hello, STOP, USAGE, "[DONE]"])).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let reply = gateway.chat(STREAM).await;
    assert_eq!(reply.text(), text(&[ROLE, &hello, STOP, "[DONE]"]));
    assert!(reply.header("content-type").starts_with("text/event-stream"));
    let sent = upstream.received()[0].json();
    assert_eq!(sent["stream_options"]["include_usage"], true);
    let asked = STREAM
        .replace("\"stream\":true", r#""stream":true,"stream_options":{"include_usage":true}"#);
    let reply = gateway.chat(asked).await;
    assert_eq!(reply.text(), text(&[ROLE, &hello, STOP, USAGE, "[DONE]"]));
    assert_eq!(gateway.ended("complete"), 2);
}

#[tokio::test]
async fn chunks_split_at_odd_bytes_arrive_as_they_were() {
    let all = text(&[ROLE, &chunk("Grüße \u{1F600}"), STOP, "[DONE]"]);
    let script = std::iter::once(stream_head())
        .chain(all.as_bytes().chunks(7).map(|piece| Step::Chunk(piece.to_vec())))
        .chain([Step::End])
        .collect();
    let upstream = Upstream::always(script).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    assert_eq!(gateway.chat(STREAM).await.text(), all);
}

#[tokio::test]
async fn a_stream_that_breaks_after_content_ends_with_an_error_event_and_is_charged() {
    for end in [Step::Reset, Step::End, event(r#"{"error":{"message":"boom","code":"boom"}}"#)] {
        let upstream = Upstream::always(vec![stream_head(), event(chunk("0123456789")), end]).await;
        let budget = budget(Unit::Tokens, 1_000_000);
        let mut route = route([provider(&upstream)]);
        route.budgets = vec![budget.clone()];
        let gateway = Gateway::start([route]).await;
        let reply = gateway.chat(STREAM).await;
        assert!(reply.text().contains("0123456789"), "{}", reply.text());
        let last = reply.text().trim_end().rsplit("\n\n").next().unwrap();
        assert!(last.starts_with("data: {\"error\":"), "{last}");
        assert!(!reply.text().contains("[DONE]"));
        assert_eq!(gateway.ended("incomplete"), 1);
        let input = STREAM.len().div_ceil(3) as u64;
        assert_eq!(gateway.used(&budget), (input + 4, 0));
    }
}

#[tokio::test]
async fn a_caller_that_leaves_cancels_the_provider_and_pays_for_what_it_got() {
    let script = vec![stream_head(), event(chunk("0123456789")), Step::Stall];
    let mut upstream = Upstream::always(script).await;
    let budget = budget(Unit::Tokens, 1_000_000);
    let mut route = route([provider(&upstream)]);
    route.budgets = vec![budget.clone()];
    let gateway = Gateway::start([route]).await;
    let mut body = gateway.send("/v1/chat/completions", STREAM).await.into_body();
    read_until(&mut body, "0123456789").await;
    assert!(gateway.used(&budget).1 > 0);
    drop(body);
    upstream.abandoned().await;
    gateway.until_ended("client_gone").await;
    let input = STREAM.len().div_ceil(3) as u64;
    assert_eq!(gateway.used(&budget), (input + 4, 0));
    assert_eq!(gateway.metrics.inflight.get(), 0);
}

#[tokio::test]
async fn a_caller_that_leaves_before_the_answer_cancels_the_provider_too() {
    let mut upstream = Upstream::always(vec![Step::Stall]).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let asking = tokio::time::timeout(Duration::from_millis(100), gateway.chat(STREAM));
    assert!(asking.await.is_err());
    upstream.abandoned().await;
    gateway.until_ended("client_gone").await;
    assert_eq!(gateway.ledger.open_reservations(), 0);
}

#[tokio::test]
async fn a_slow_reader_holds_the_provider_back() {
    let big = chunk(&"x".repeat(100_000));
    let events = std::iter::repeat_n(big, 300).chain([STOP.into(), "[DONE]".into()]);
    let upstream = Upstream::always(stream(events)).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let mut body = gateway.send("/v1/chat/completions", STREAM).await.into_body();
    read_until(&mut body, "xxx").await;
    // 30 MB cannot hide in the sockets' buffers: while nobody reads, the request cannot end.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(gateway.ended("complete"), 0);
    let rest = body.collect().await.unwrap().to_bytes();
    assert!(rest.ends_with(b"data: [DONE]\n\n"));
    assert!(rest.len() > 25_000_000);
    assert_eq!(gateway.ended("complete"), 1);
}

#[tokio::test]
async fn a_silent_provider_gets_comments_and_then_an_error_event() {
    let script = vec![stream_head(), event(chunk("Hello")), Step::Stall];
    let mut upstream = Upstream::always(script).await;
    let mut route = route([provider(&upstream)]);
    route.timeouts.idle = Duration::from_millis(400);
    let limits = Limits { keep_alive_comment: Duration::from_millis(100), ..Limits::default() };
    let gateway = Gateway::start_with([route], limits).await;
    let reply = gateway.chat(STREAM).await;
    assert!(reply.text().matches(": keep-alive\n\n").count() >= 2, "{}", reply.text());
    assert!(reply.text().contains("upstream_timeout"), "{}", reply.text());
    upstream.abandoned().await;
    assert_eq!(gateway.ended("incomplete"), 1);
}

#[tokio::test]
async fn a_stream_that_stays_open_after_its_terminator_is_complete() {
    let mut script = stream([&*chunk("Hello"), STOP, "[DONE]"]);
    script.pop();
    script.push(Step::Stall);
    let upstream = Upstream::always(script).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let reply = gateway.chat(STREAM).await;
    assert!(reply.text().ends_with("data: [DONE]\n\n"));
    assert_eq!(gateway.ended("complete"), 1);
}

#[tokio::test]
async fn a_reload_in_the_middle_keeps_the_stream() {
    let gate = Gate::new();
    let script = vec![
        stream_head(),
        event(chunk("before")),
        Step::Wait(gate.clone()),
        event(chunk("after")),
        event(STOP),
        event("[DONE]"),
        Step::End,
    ];
    let upstream = Upstream::always(script).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let mut body = gateway.send("/v1/chat/completions", STREAM).await.into_body();
    read_until(&mut body, "before").await;
    gateway.published.publish(snapshot([]).into());
    assert_eq!(gateway.chat(STREAM).await.status, 404);
    gate.open();
    let rest = body.collect().await.unwrap().to_bytes();
    assert!(rest.ends_with(b"data: [DONE]\n\n"));
    assert_eq!(gateway.ended("complete"), 1);
}

#[tokio::test]
async fn a_stream_that_outlasts_the_drain_ends_with_an_error_event() {
    let script = vec![stream_head(), event(chunk("Hello")), Step::Stall];
    let upstream = Upstream::always(script).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let mut body = gateway.send("/v1/chat/completions", STREAM).await.into_body();
    read_until(&mut body, "Hello").await;
    gateway.drain.expire();
    let rest = body.collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&rest).contains("gateway_shutting_down"));
    eventually(|| gateway.ended("incomplete") == 1).await;
}

#[tokio::test]
async fn a_request_without_an_answer_at_the_end_of_the_drain_is_told_so() {
    let upstream = Upstream::always(vec![Step::Stall]).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let expire = async {
        eventually(|| !upstream.received().is_empty()).await;
        gateway.drain.expire();
    };
    let (reply, ()) = tokio::join!(gateway.chat(ASK), expire);
    assert_eq!((reply.status.as_u16(), &*reply.code()), (503, "gateway_shutting_down"));
    assert_eq!(gateway.ended("failed"), 1);
}

#[tokio::test]
async fn bursts_arrive_together() {
    let events: Vec<String> = (0..100)
        .map(|number| chunk(&number.to_string()))
        .chain([STOP.into(), "[DONE]".into()])
        .collect();
    let all: Bytes =
        events.iter().map(|event| format!("data: {event}\n\n")).collect::<String>().into();
    let script = vec![stream_head(), Step::Chunk(all.to_vec()), Step::End];
    let upstream = Upstream::always(script).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    assert_eq!(gateway.chat(STREAM).await.body, all);
}
