//! What a route refuses rather than lose, where it answers, and how tokens are counted.

use http::StatusCode;
use sluice::{
    budget::Unit,
    llm::{Dialect, Endpoint},
    snapshot::Fidelity,
};

use crate::{
    fixture::{ASK, Gateway, WHOLE, budget, provider, provider_at, route},
    upstream::{Upstream, json},
};

const SEEDED: &str = r#"{"model":"chat","seed":1,"messages":[{"role":"user","content":"Hi"}]}"#;
const COUNT: &str = r#"{"model":"chat","messages":[{"role":"user","content":"hello world"}]}"#;

#[tokio::test]
async fn a_strict_route_refuses_what_its_targets_would_lose() {
    let upstream = Upstream::always(json("{}")).await;
    let mut route = route([provider_at(upstream.address(), Dialect::Anthropic)]);
    route.fidelity = Fidelity::Strict;
    let gateway = Gateway::start([route]).await;
    let reply = gateway.ask("/v1/chat/completions", SEEDED).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.text());
    assert_eq!(reply.code(), "unsupported_parameters");
    assert!(reply.text().contains("seed"), "{}", reply.text());
    assert!(upstream.received().is_empty(), "it must not be asked");
    gateway.until_ended("refused").await;
}

#[tokio::test]
async fn a_strict_route_goes_on_to_a_target_that_loses_nothing() {
    let claude = Upstream::always(json("{}")).await;
    let gpt = Upstream::always(json(WHOLE)).await;
    let mut route = route([provider_at(claude.address(), Dialect::Anthropic), provider(&gpt)]);
    route.fidelity = Fidelity::Strict;
    let gateway = Gateway::start([route]).await;
    let reply = gateway.ask("/v1/chat/completions", SEEDED).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    assert_eq!((claude.received().len(), gpt.received().len()), (0, 1));
}

#[tokio::test]
async fn what_one_target_cannot_take_another_is_asked() {
    let heard = r#"{"model":"chat","messages":[{"role":"user","content":[
        {"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}]}]}"#;
    let claude = Upstream::always(json("{}")).await;
    let gpt = Upstream::always(json(WHOLE)).await;
    let targets = [provider_at(claude.address(), Dialect::Anthropic), provider(&gpt)];
    let gateway = Gateway::start([route(targets)]).await;
    for _ in 0..2 {
        let reply = gateway.ask("/v1/chat/completions", heard).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    }
    assert_eq!((claude.received().len(), gpt.received().len()), (0, 2));
    let gateway =
        Gateway::start([route([provider_at(claude.address(), Dialect::Anthropic)])]).await;
    let reply = gateway.ask("/v1/chat/completions", heard).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.text());
    assert!(claude.received().is_empty(), "it must not be asked");
}

#[tokio::test]
async fn a_route_is_not_there_for_endpoints_that_it_does_not_name() {
    let upstream = Upstream::always(json(WHOLE)).await;
    let mut route = route([provider(&upstream)]);
    route.endpoints = vec![Endpoint::ChatCompletions];
    let gateway = Gateway::start([route]).await;
    assert_eq!(gateway.ask("/v1/chat/completions", ASK).await.status, StatusCode::OK);
    let reply = gateway.ask("/v1/embeddings", r#"{"model":"chat","input":"a"}"#).await;
    assert_eq!((reply.status, reply.code()), (StatusCode::NOT_FOUND, "model_not_found".to_owned()));
}

#[tokio::test]
async fn anthropic_counts_tokens_itself_and_nothing_is_charged() {
    let upstream = Upstream::always(json(r#"{"input_tokens":14}"#)).await;
    let (budget, mut route) =
        (budget(Unit::Tokens, 10), route([provider_at(upstream.address(), Dialect::Anthropic)]));
    route.budgets = vec![budget.clone()];
    let gateway = Gateway::start([route]).await;
    let reply = gateway.ask("/v1/messages/count_tokens", COUNT).await;
    assert_eq!((reply.status, reply.text()), (StatusCode::OK, r#"{"input_tokens":14}"#));
    assert_eq!(reply.header("x-sluice-estimated"), "");
    let sent = &upstream.received()[0];
    assert_eq!(
        (sent.path.as_str(), sent.body.as_slice()),
        ("/v1/messages/count_tokens", COUNT.replace("chat", "m").as_bytes())
    );
    gateway.until_ended("complete").await;
    assert_eq!(gateway.used(&budget), (0, 0));
}

#[tokio::test]
async fn tokens_that_a_provider_cannot_count_are_estimated_and_marked() {
    let upstream = Upstream::always(json("{}")).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let reply = gateway.ask("/v1/messages/count_tokens", COUNT).await;
    assert_eq!((reply.status, reply.text()), (StatusCode::OK, r#"{"input_tokens":10}"#));
    assert_eq!(reply.header("x-sluice-estimated"), "true");
    assert!(upstream.received().is_empty());
    let wrong = gateway.ask("/v1/messages/count_tokens", r#"{"model":"chat","messages":7}"#).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert_eq!(wrong.json()["type"], "error", "in Anthropic's dialect");
}
