//! Limits of a provider's account: kept before the provider has to refuse.

use http::{Method, StatusCode};
use sluice::{
    llm::Dialect,
    snapshot::{AccountLimits, Provider},
};

use crate::{
    direct,
    fixture::{
        ASK, Gateway, Reply, STOP, STREAM, WHOLE, chunk, eventually, eventually_asked, provider,
        provider_at, route,
    },
    realtime,
    realtime_provider::Realtime,
    upstream::{Gate, Step, Upstream, event, json, stream_head},
};

fn limited(upstream: &Upstream, limits: AccountLimits) -> Provider {
    Provider { limits, ..provider(upstream) }
}

async fn target(gateway: &Gateway) -> (String, String) {
    let reply = gateway.chat(ASK).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    (reply.header("x-sluice-target").to_owned(), reply.header("x-sluice-attempts").to_owned())
}

#[tokio::test]
async fn a_target_at_its_limit_is_passed_over_without_a_try() {
    let upstreams = [Upstream::always(json(WHOLE)).await, Upstream::always(json(WHOLE)).await];
    let limits = AccountLimits { requests_per_minute: Some(2), ..AccountLimits::default() };
    let providers = [limited(&upstreams[0], limits), provider(&upstreams[1])];
    let gateway = Gateway::start([route(providers)]).await;
    let mut asked = Vec::new();
    for _ in 0..4 {
        let (target, attempts) = target(&gateway).await;
        assert_eq!(attempts, "1");
        asked.push(target);
    }
    assert_eq!(asked, ["target-0", "target-0", "target-1", "target-1"]);
    assert_eq!(upstreams[0].received().len(), 2);
}

#[tokio::test]
async fn without_another_target_the_caller_is_told_when_to_ask_again() {
    let upstream = Upstream::always(json(WHOLE)).await;
    let limits = AccountLimits { requests_per_minute: Some(1), ..AccountLimits::default() };
    let gateway = Gateway::start([route([limited(&upstream, limits)])]).await;
    target(&gateway).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!((reply.status, &*reply.code()), (StatusCode::TOO_MANY_REQUESTS, "provider_limit"));
    let wait: u64 = reply.header("retry-after").parse().unwrap();
    assert!((50..=61).contains(&wait), "{wait}");
    let body = r#"{"model":"chat","max_tokens":5,"messages":[]}"#;
    let key = [("x-api-key", "sk-test")];
    let reply = Reply::read(gateway.send_with("/v1/messages", &key, body).await).await;
    assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(reply.json()["error"]["type"], "rate_limit_error");
    assert_eq!(upstream.received().len(), 1);
    assert_eq!(gateway.ended("refused"), 2);
}

#[tokio::test]
async fn a_stream_holds_its_place_until_its_end() {
    let gate = Gate::new();
    let head = vec![stream_head(), event(chunk("Hel")), Step::Wait(gate.clone())];
    let script = [head, vec![event(STOP), event("[DONE]"), Step::End]].concat();
    let upstreams = [
        Upstream::answering(move |request| match request.json()["stream"].as_bool() {
            Some(true) => script.clone(),
            _ => json(WHOLE),
        })
        .await,
        Upstream::always(json(WHOLE)).await,
    ];
    let limits = AccountLimits { concurrent_requests: Some(1), ..AccountLimits::default() };
    let providers = [limited(&upstreams[0], limits), provider(&upstreams[1])];
    let gateway = Gateway::start([route(providers)]).await;
    let response = gateway.send("/v1/chat/completions", STREAM).await;
    assert_eq!(response.headers()["x-sluice-target"], "target-0");
    assert_eq!(target(&gateway).await.0, "target-1");
    gate.open();
    Reply::read(response).await;
    gateway.until_ended("complete").await;
    assert_eq!(target(&gateway).await.0, "target-0");
}

#[tokio::test]
async fn tokens_are_held_by_the_worst_case_and_given_back_at_the_end() {
    let gate = Gate::new();
    let head = vec![stream_head(), event(chunk("Hel")), Step::Wait(gate.clone())];
    let script = [head, vec![event(STOP), event("[DONE]"), Step::End]].concat();
    let upstream = Upstream::answering(move |request| match request.json()["stream"].as_bool() {
        Some(true) => script.clone(),
        _ => json(WHOLE),
    })
    .await;
    let limits = AccountLimits { tokens_per_minute: Some(5000), ..AccountLimits::default() };
    let gateway = Gateway::start([route([limited(&upstream, limits)])]).await;
    let ask = |stream: bool| {
        format!(r#"{{"model":"chat","messages":[],"max_tokens":4000,"stream":{stream}}}"#)
    };
    for _ in 0..3 {
        // Each uses 30.
        assert_eq!(gateway.chat(ask(false)).await.status, 200);
    }
    let response = gateway.send("/v1/chat/completions", ask(true)).await;
    assert_eq!(response.status(), 200);
    assert_eq!(gateway.chat(ask(false)).await.code(), "provider_limit");
    gate.open();
    Reply::read(response).await;
    eventually(|| gateway.ended("complete") == 4).await;
    assert_eq!(gateway.chat(ask(false)).await.status, 200);
}

#[tokio::test]
async fn direct_calls_have_their_place_in_the_account() {
    let upstream = Upstream::always(json("{}")).await;
    let limits = AccountLimits { requests_per_minute: Some(2), ..AccountLimits::default() };
    let gateway = direct::gateway(direct::grant(limited(&upstream, limits))).await;
    for _ in 0..2 {
        let reply = gateway.call(Method::GET, "/providers/team/openai/files").await;
        assert_eq!(reply.status, StatusCode::OK);
    }
    let reply = gateway.call(Method::GET, "/providers/team/openai/files").await;
    assert_eq!((reply.status, &*reply.code()), (StatusCode::TOO_MANY_REQUESTS, "provider_limit"));
    assert_eq!(upstream.received().len(), 2);
}

#[tokio::test]
async fn a_realtime_session_holds_its_place_until_its_end() {
    let provider = Realtime::start().await;
    let limits = AccountLimits { concurrent_requests: Some(1), ..AccountLimits::default() };
    let limited = Provider { limits, ..provider_at(provider.address, Dialect::OpenAi) };
    let gateway = Gateway::start([route([limited])]).await;
    let key = [("authorization", "Bearer sk-test")];
    let open = || realtime::open(&gateway, "?model=chat", &key);
    let session = open().await.unwrap();
    assert_eq!(open().await.unwrap_err(), 429);
    drop(session);
    eventually_asked(async || open().await.is_ok()).await;
}
