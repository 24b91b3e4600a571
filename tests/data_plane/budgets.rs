//! Budgets: refused before any call, never passed, settled whatever happens.

use std::sync::Arc;

use futures_util::future::join_all;
use http::StatusCode;
use sluice::budget::Unit;

use crate::{
    fixture::{ASK, Gateway, Reply, STREAM, WHOLE, budget, provider, route},
    upstream::{Upstream, json, whole},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_requests_never_pass_a_small_budget() {
    let upstream = Upstream::always(json(WHOLE)).await;
    // 30 tokens each at one dollar a million; the worst case is some 130 times that.
    let budget = budget(Unit::Usd, 20_000_000);
    let mut route = route([provider(&upstream)]);
    route.budgets = vec![budget.clone()];
    let gateway = Arc::new(Gateway::start([route]).await);
    let ask = || {
        let gateway = gateway.clone();
        tokio::spawn(async move { gateway.chat(ASK).await })
    };
    let mut served = 0;
    for _ in 0..5 {
        for reply in join_all((0..200).map(|_| ask())).await {
            let reply = reply.unwrap();
            match reply.status {
                StatusCode::OK => served += 1,
                StatusCode::TOO_MANY_REQUESTS => {
                    assert_eq!(reply.code(), "budget_exceeded");
                    assert!(reply.text().contains("team/small"), "{}", reply.text());
                    assert!(reply.header("retry-after").parse::<u64>().unwrap() >= 1);
                }
                status => panic!("{status}: {}", reply.text()),
            }
        }
    }
    let (used, reserved) = gateway.used(&budget);
    assert!(used <= 20_000_000, "{used}");
    assert_eq!((used, reserved), (served * 30_000, 0));
    assert_eq!(upstream.received().len() as u64, served);
}

#[tokio::test]
async fn a_refusal_speaks_the_callers_dialect_and_makes_no_call() {
    let upstream = Upstream::always(json(WHOLE)).await;
    let mut route = route([provider(&upstream)]);
    route.budgets = vec![budget(Unit::Requests, 0)];
    let gateway = Gateway::start([route]).await;
    let reply = gateway.chat(STREAM).await;
    assert_eq!((reply.status.as_u16(), &*reply.code()), (429, "budget_exceeded"));
    let body = r#"{"model":"chat","max_tokens":5,"messages":[]}"#;
    let reply =
        Reply::read(gateway.send_with("/v1/messages", &[("x-api-key", "sk-test")], body).await)
            .await;
    assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(reply.json()["error"]["type"], "rate_limit_error");
    assert!(upstream.received().is_empty());
    assert_eq!(gateway.ended("refused"), 2);
}

#[tokio::test]
async fn a_request_that_nobody_answered_costs_nothing() {
    let upstream = Upstream::always(whole(400, &[], "no")).await;
    let budget = budget(Unit::Requests, 10);
    let mut route = route([provider(&upstream)]);
    route.budgets = vec![budget.clone()];
    let gateway = Gateway::start([route]).await;
    assert_eq!(gateway.chat(ASK).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(gateway.used(&budget), (0, 0));
}

#[tokio::test]
async fn the_target_that_served_is_charged_after_a_fallback() {
    let (bad, good) =
        (Upstream::always(whole(503, &[], "busy")).await, Upstream::always(json(WHOLE)).await);
    let (first, second) = (provider(&bad), provider(&good));
    let mut only_first = (*budget(Unit::Tokens, 1_000_000)).clone();
    only_first.providers = vec![first.name.clone()];
    let mut only_second = only_first.clone();
    only_second.providers = vec![second.name.clone()];
    let mut plan = (*only_second.plan).clone();
    plan.uid = "second".into();
    only_second.plan = plan.into();
    let mut route = route([first, second]);
    route.budgets = vec![only_first.clone().into(), only_second.clone().into()];
    let gateway = Gateway::start([route]).await;
    assert_eq!(gateway.chat(ASK).await.status, StatusCode::OK);
    assert_eq!(gateway.used(&only_first), (0, 0));
    assert_eq!(gateway.used(&only_second), (30, 0));
}
