//! What a request costs whose model has no price in its AIProvider: read from the answer, charged by
//! the table, through the socket.

use std::sync::Arc;

use http::StatusCode;
use serde_json::json;
use sluice::{
    budget::{NanoUsd, Price, Rate, Rates, Unit},
    price::{PriceBook, builtin},
    snapshot::{Budget, Model, Provider, Route, Target, TargetModel},
};

use crate::{
    fixture::{ASK, Gateway, STOP, STREAM, budget, chunk, provider, route, targets_of},
    upstream::{Upstream, json, stream},
};

const MODEL: &str = "gpt-5-mini-2025-08-07";
/// A thousand dollars.
const MUCH: u64 = 1_000_000_000_000;

/// A route to an OpenAI provider without a catalogue, and a budget in USD that counts it.
fn unlisted(upstream: &Upstream) -> (Route, Arc<Budget>) {
    let mut provider = provider(upstream);
    provider.kind = "OpenAI";
    provider.models.clear();
    provider.prices = PriceBook::new(true).lists("OpenAI", "team/provider");
    let mut route = route([provider]);
    let target = Target {
        model: TargetModel::Fixed(MODEL.into()),
        ..Target::clone(&route.rules[0].targets[0])
    };
    *targets_of(&mut route) = vec![Arc::new(target)];
    let budget = budget(Unit::Usd, MUCH);
    route.budgets = vec![budget.clone()];
    (route, budget)
}

/// The table's prices of the plain model.
fn rates() -> Rates {
    let entry = builtin().list("OpenAI").unwrap().find("gpt-5-mini").unwrap();
    entry.price.as_ref().unwrap().rates
}

#[tokio::test]
async fn a_model_without_a_price_of_its_own_is_charged_by_the_builtin_table() {
    let answer = json!({
        "id": "c1", "object": "chat.completion", "created": 1, "model": MODEL,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 1000, "completion_tokens": 300, "total_tokens": 1300,
            "prompt_tokens_details": {"cached_tokens": 400},
            "completion_tokens_details": {"reasoning_tokens": 200},
        },
    });
    let upstream = Upstream::always(json(answer.to_string())).await;
    let (route, budget) = unlisted(&upstream);
    let gateway = Gateway::start([route]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let rates = rates();
    let pico = 600 * rates.input.0 + 400 * rates.cached_input.unwrap().0 + 300 * rates.output.0;
    let cost = NanoUsd(pico.div_ceil(1000));
    assert_eq!(reply.header("x-sluice-cost-usd"), cost.to_string());
    assert_eq!(gateway.used(&budget), (cost.0, 0));
}

#[tokio::test]
async fn a_stream_is_charged_by_the_tier_that_its_provider_says_it_used() {
    let usage = json!({
        "id": "c1", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": [],
        "service_tier": "priority",
        "usage": {"prompt_tokens": 1000, "completion_tokens": 300, "total_tokens": 1300},
    });
    let events = [chunk("Hi"), STOP.to_owned(), usage.to_string(), "[DONE]".to_owned()];
    let upstream = Upstream::always(stream(events)).await;
    let (route, budget) = unlisted(&upstream);
    let gateway = Gateway::start([route]).await;
    let body = STREAM.replacen('{', r#"{"service_tier":"priority","#, 1);
    let reply = gateway.chat(body).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    gateway.until_ended("complete").await;
    let (used, reserved) = gateway.used(&budget);
    let rates = rates();
    let usual = (1000 * rates.input.0 + 300 * rates.output.0).div_ceil(1000);
    assert!(used > usual, "{used} is not more than {usual}");
    assert_eq!(reserved, 0);
}

#[tokio::test]
async fn an_unpriced_model_is_refused_where_a_budget_in_usd_counts_it() {
    let upstream = Upstream::always(json("{}")).await;
    let (mut route, _) = unlisted(&upstream);
    let model = TargetModel::Fixed("nobody-knows-it".into());
    *targets_of(&mut route) =
        vec![Arc::new(Target { model, ..Target::clone(&route.rules[0].targets[0]) })];
    let gateway = Gateway::start([route]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!((reply.status.as_u16(), &*reply.code()), (403, "model_unpriced"));
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn pictures_that_are_billed_by_piece_are_charged_by_how_many_were_asked_for() {
    let upstream =
        Upstream::always(json(r#"{"created":1,"data":[{"url":"https://x.test/1"}]}"#)).await;
    let (mut route, budget) = unlisted(&upstream);
    let image = Some(Rate::from_usd("0.04").unwrap());
    let price = Price::flat(Rates { image, ..Rates::default() });
    let mut provider = Provider::clone(&route.rules[0].targets[0].provider);
    let model = Model { price: Some(price.into()), ..Model::default() };
    provider.models.insert(MODEL.to_owned(), model);
    let target =
        Target { provider: Arc::new(provider), ..Target::clone(&route.rules[0].targets[0]) };
    *targets_of(&mut route) = vec![Arc::new(target)];
    let gateway = Gateway::start([route]).await;
    let body = r#"{"model":"chat","prompt":"a cat","n":3}"#;
    let reply = gateway.ask("/v1/images/generations", body).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    gateway.until_ended("complete").await;
    assert_eq!(gateway.used(&budget), (120_000_000, 0));
}
