//! Faults before the first content: other keys, other targets, and what the caller is told.

use std::time::Duration;

use http::StatusCode;
use sluice::{llm::Dialect, snapshot::Provider};

use crate::{
    fixture::{
        ASK, Gateway, ROLE, STOP, STREAM, WHOLE, chunk, credential, provider, provider_at, route,
    },
    upstream::{Script, Step, Upstream, closed_address, event, json, stream, stream_head, whole},
};

async fn good() -> Upstream {
    let events = stream([chunk("Hello"), STOP.into(), "[DONE]".into()]);
    Upstream::answering(move |request| match request.json()["stream"].as_bool() {
        Some(true) => events.clone(),
        _ => json(WHOLE),
    })
    .await
}

/// Streams through a first target that does this, and a second one that is good.
async fn falls_back(first: Script) -> Gateway {
    let (bad, good) = (Upstream::always(first).await, good().await);
    check(provider(&bad), &good).await
}

async fn check(first: Provider, good: &Upstream) -> Gateway {
    let mut route = route([first, provider(good)]);
    route.timeouts.first_token = Duration::from_millis(300);
    let gateway = Gateway::start([route]).await;
    let reply = gateway.chat(STREAM).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    assert!(reply.text().contains("Hello") && reply.text().ends_with("data: [DONE]\n\n"));
    assert!(!reply.text().contains("partial"), "{}", reply.text());
    assert_eq!(reply.header("x-sluice-target"), "target-1");
    assert_eq!(reply.header("x-sluice-attempts"), "2");
    assert_eq!(gateway.ended("complete"), 1);
    gateway
}

#[tokio::test]
async fn a_refused_connection_falls_back() {
    let closed = provider_at(closed_address(), Dialect::OpenAi);
    check(closed, &good().await).await;
}

#[tokio::test]
async fn transient_statuses_fall_back() {
    for status in [408, 429, 500, 503, 529] {
        falls_back(whole(status, &[], "busy")).await;
    }
}

#[tokio::test]
async fn a_first_token_that_does_not_come_falls_back() {
    falls_back(vec![Step::Stall]).await;
    falls_back(vec![stream_head(), event(ROLE), Step::Stall]).await;
}

#[tokio::test]
async fn an_error_event_in_a_200_falls_back() {
    let error = r#"{"error":{"message":"overloaded","type":"server_error"}}"#;
    falls_back(stream([ROLE, error])).await;
    falls_back(json(error)).await;
}

#[tokio::test]
async fn an_empty_200_falls_back() {
    falls_back(stream([ROLE, "[DONE]"])).await;
    falls_back(whole(200, &[("content-type", "text/event-stream")], "")).await;
}

#[tokio::test]
async fn a_whole_answer_that_ends_too_early_falls_back() {
    let (bad, good) = (Upstream::always(json(&WHOLE[..WHOLE.len() / 2])).await, good().await);
    let gateway = Gateway::start([route([provider(&bad), provider(&good)])]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!((reply.text(), reply.header("x-sluice-attempts")), (WHOLE, "2"));
    let alone = Gateway::start([route([provider(&bad)])]).await.chat(ASK).await;
    assert_eq!((alone.status, &*alone.code()), (StatusCode::BAD_GATEWAY, "upstream_malformed"));
}

#[tokio::test]
async fn an_early_close_falls_back() {
    falls_back(vec![stream_head(), event(ROLE), Step::Reset]).await;
    falls_back(vec![stream_head(), event(ROLE), Step::End]).await;
    falls_back(vec![Step::Close]).await;
}

#[tokio::test]
async fn all_failed_tells_the_first_targets_error() {
    let first = Upstream::always(whole(
        429,
        &[("retry-after", "7")],
        r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#,
    ))
    .await;
    let second = Upstream::always(whole(503, &[], "down")).await;
    let mut route = route([provider(&first), provider(&second)]);
    route.retry.attempts = 1;
    let gateway = Gateway::start([route]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (429, "7"));
    assert!(reply.text().contains("slow down"), "{}", reply.text());
    assert_eq!(reply.header("x-sluice-attempts"), "2");
    assert_eq!(gateway.ended("failed"), 1);
}

#[tokio::test]
async fn the_only_target_gets_one_more_chance() {
    let upstream = Upstream::scripted([whole(503, &[], "busy"), json(WHOLE)]).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!((reply.text(), reply.header("x-sluice-attempts")), (WHOLE, "2"));
}

#[tokio::test]
async fn an_upstreams_401_never_reaches_the_caller_as_one() {
    let refusal =
        r#"{"error":{"message":"Incorrect API key: sk-upst***","code":"invalid_api_key"}}"#;
    let upstream = Upstream::always(whole(401, &[], refusal)).await;
    let mut provider = provider(&upstream);
    provider.credentials = vec![credential("sk-a"), credential("sk-b")];
    let gateway = Gateway::start([route([provider])]).await;
    for _ in 0..2 {
        let reply = gateway.chat(ASK).await;
        assert_eq!(reply.status, StatusCode::BAD_GATEWAY);
        assert_eq!(reply.code(), "upstream_credentials_exhausted");
        assert!(!reply.text().contains("sk-"), "{}", reply.text());
    }
    // Both keys were tried once, and rest since.
    assert_eq!(upstream.received().len(), 2);
}

#[tokio::test]
async fn a_key_or_an_address_that_a_provider_quotes_is_not_repeated() {
    let quoting =
        r#"{"error":{"message":"bad request by sk-upstream at http://vllm.models.svc:8000/v1"}}"#;
    let upstream = Upstream::always(whole(400, &[], quoting)).await;
    let mut provider = provider(&upstream);
    provider.credentials = vec![credential("sk-upstream")];
    let gateway = Gateway::start([route([provider])]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!(reply.json()["error"]["message"], "bad request by [key] at [address]");
}

#[tokio::test]
async fn what_is_wrong_with_the_gateways_account_is_told_without_its_key() {
    let quoting = r#"{"error":{"message":"no credits are left for sk-upstream"}}"#;
    let upstream = Upstream::always(whole(402, &[], quoting)).await;
    let mut provider = provider(&upstream);
    provider.credentials = vec![credential("sk-upstream")];
    let gateway = Gateway::start([route([provider])]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!(reply.status, StatusCode::BAD_GATEWAY);
    assert_eq!(reply.code(), "upstream_credential_refused");
    let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.ends_with("(HTTP 402): no credits are left for [key]"), "{message}");
}

#[tokio::test]
async fn the_deadline_spans_all_attempts() {
    let stalled = Upstream::always(vec![Step::Stall]).await;
    let good = good().await;
    let mut route = route([provider(&stalled), provider(&good)]);
    route.timeouts.total = Duration::from_millis(200);
    let gateway = Gateway::start([route]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!((reply.status.as_u16(), &*reply.code()), (504, "upstream_timeout"));
    assert!(good.received().is_empty());
}
