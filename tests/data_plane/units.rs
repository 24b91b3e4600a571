//! Budgets of input tokens, of output tokens, and of requests at a time.

use std::{sync::Arc, time::Duration};

use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use sluice::{
    budget::{Limit, Mode, Unit, Window},
    snapshot::{Budget, Direct, DirectBudget, Hedge},
};

use crate::{
    direct,
    fixture::{
        ASK, Gateway, STOP, STREAM, USAGE, WHOLE, budget, chunk, eventually, provider, route,
    },
    upstream::{Gate, Script, Step, Upstream, event, json, stream_head, whole},
};

const COUNT: &str =
    r#"{"model":"chat","max_tokens":5,"messages":[{"role":"user","content":"Hi"}]}"#;

/// A budget of so many requests at a time.
fn places(amount: u64, mode: Mode) -> Arc<Budget> {
    let mut budget = (*budget(Unit::Requests, 1)).clone();
    let mut plan = (*budget.plan).clone();
    let (name, window) = ("parallel".into(), Window::Present);
    plan.limits = vec![Limit { name, unit: Unit::Concurrent, amount, window }];
    plan.mode = mode;
    budget.plan = Arc::new(plan);
    Arc::new(budget)
}

/// A gateway with one target that does this, and a budget of so many requests at a time.
async fn gateway(script: Script, amount: u64) -> (Gateway, Upstream, Arc<Budget>) {
    let upstream = Upstream::always(script).await;
    let budget = places(amount, Mode::Enforce);
    let mut route = route([provider(&upstream)]);
    route.budgets = vec![budget.clone()];
    (Gateway::start([route]).await, upstream, budget)
}

/// A stream that stops within until the gate is opened.
fn held(gate: &Gate) -> Script {
    let (rest, end) = ([event(STOP), event(USAGE), event("[DONE]")], [Step::End]);
    let begun = vec![stream_head(), event(chunk("Hello")), Step::Wait(gate.clone())];
    [begun, rest.into(), end.into()].concat()
}

/// Begins a stream, up to its first content.
async fn begin(gateway: &Gateway) -> Incoming {
    let response = gateway.send("/v1/chat/completions", STREAM).await;
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body();
    assert!(body.frame().await.unwrap().is_ok());
    body
}

async fn is_full(gateway: &Gateway) {
    let refused = gateway.chat(ASK).await;
    assert_eq!((refused.status.as_u16(), &*refused.code()), (429, "budget_exceeded"));
    assert_eq!(refused.header("retry-after"), "1");
    assert!(refused.text().contains("team/small: limit parallel"), "{}", refused.text());
}

#[tokio::test]
async fn a_stream_holds_its_place_to_its_end() {
    let gate = Gate::new();
    let (gateway, upstream, budget) = gateway(held(&gate), 2).await;
    let (first, second) = (begin(&gateway).await, begin(&gateway).await);
    assert_eq!(gateway.used(&budget), (2, 0));
    is_full(&gateway).await;
    assert_eq!(upstream.received().len(), 2, "refused before any call");
    gate.open();
    gate.open();
    for body in [first, second] {
        assert!(body.collect().await.unwrap().to_bytes().ends_with(b"[DONE]\n\n"));
    }
    eventually(|| gateway.used(&budget) == (0, 0)).await;
    assert_eq!(gateway.ended("complete"), 2);
    assert_eq!(gateway.counted("sluice_budget_refusals_total", ("limit", "parallel")), 1);
}

#[tokio::test]
async fn a_caller_that_leaves_gives_its_place_back() {
    let (gateway, _upstream, budget) = gateway(held(&Gate::new()), 1).await;
    for _ in 0..2 {
        let body = begin(&gateway).await;
        is_full(&gateway).await;
        drop(body);
        eventually(|| gateway.used(&budget) == (0, 0)).await;
    }
}

#[tokio::test]
async fn a_caller_that_leaves_before_the_answer_gives_its_place_back() {
    let (gateway, mut upstream, budget) = gateway(vec![Step::Stall], 1).await;
    let asking = async {
        eventually(|| gateway.used(&budget) == (1, 0)).await;
        is_full(&gateway).await;
        eventually(|| !upstream.received().is_empty()).await;
    };
    tokio::select! {
        reply = gateway.chat(ASK) => panic!("{reply:?}"),
        () = asking => {}
    }
    upstream.abandoned().await;
    eventually(|| gateway.used(&budget) == (0, 0)).await;
}

#[tokio::test]
async fn whole_answers_errors_and_broken_streams_give_their_place_back() {
    let broken = vec![stream_head(), event(chunk("Hello")), Step::Reset];
    for (script, ask, status) in [
        (json(WHOLE), ASK, 200),
        (whole(400, &[], "no"), ASK, 400),
        (whole(503, &[], "busy"), ASK, 502),
        (broken, STREAM, 200),
    ] {
        let (gateway, _upstream, budget) = gateway(script, 1).await;
        for _ in 0..2 {
            let response = gateway.send("/v1/chat/completions", ask).await;
            let got = response.status().as_u16();
            assert!(got == status || (status == 502 && got >= 500), "{got} instead of {status}");
            // A broken stream ends in an error.
            let _ = response.into_body().collect().await;
            eventually(|| gateway.used(&budget) == (0, 0)).await;
        }
    }
}

#[tokio::test]
async fn a_fallback_takes_no_second_place_and_a_shutdown_gives_it_back() {
    let gate = Gate::new();
    let (bad, good) =
        (Upstream::always(whole(503, &[], "busy")).await, Upstream::always(held(&gate)).await);
    let budget = places(1, Mode::Enforce);
    let mut route = route([provider(&bad), provider(&good)]);
    route.budgets = vec![budget.clone()];
    let gateway = Gateway::start([route]).await;
    let body = begin(&gateway).await;
    assert_eq!((bad.received().len(), gateway.used(&budget)), (1, (1, 0)));
    gateway.drain.expire();
    let rest = body.collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&rest).contains("gateway_shutting_down"));
    eventually(|| gateway.used(&budget) == (0, 0)).await;
}

#[tokio::test]
async fn a_hedge_holds_no_place_of_its_own() {
    let (slow, fast) =
        (Upstream::always(vec![Step::Stall]).await, Upstream::always(json(WHOLE)).await);
    let budget = places(1, Mode::Enforce);
    let mut route = route([provider(&slow), provider(&fast)]);
    route.hedge = Some(Hedge { delay: Duration::from_millis(20) });
    route.budgets = vec![budget.clone()];
    let gateway = Gateway::start([route]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!((reply.status.as_u16(), reply.header("x-sluice-target")), (200, "target-1"));
    assert_eq!(gateway.counted("sluice_hedges_total", ("outcome", "won")), 1);
    eventually(|| gateway.used(&budget) == (0, 0)).await;
}

#[tokio::test]
async fn counting_tokens_takes_a_place_too() {
    let (gateway, _upstream, budget) = gateway(held(&Gate::new()), 1).await;
    let path = "/v1/messages/count_tokens";
    assert_eq!(gateway.ask(path, COUNT).await.status, StatusCode::OK);
    let body = begin(&gateway).await;
    assert_eq!(gateway.ask(path, COUNT).await.status, StatusCode::TOO_MANY_REQUESTS);
    drop(body);
    eventually(|| gateway.used(&budget) == (0, 0)).await;
    assert_eq!(gateway.ask(path, COUNT).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_shadow_limit_counts_and_lets_pass() {
    let gate = Gate::new();
    let upstream = Upstream::always(held(&gate)).await;
    let budget = places(1, Mode::Shadow);
    let mut route = route([provider(&upstream)]);
    route.budgets = vec![budget.clone()];
    let gateway = Gateway::start([route]).await;
    let bodies = [begin(&gateway).await, begin(&gateway).await];
    assert_eq!(gateway.used(&budget), (2, 0));
    assert_eq!(gateway.ledger.views(&budget.plan)[0].shadow_refusals, 1);
    drop(bodies);
    eventually(|| gateway.used(&budget) == (0, 0)).await;
}

#[tokio::test]
async fn a_direct_call_holds_a_place_to_its_end_and_needs_no_meter() {
    let gate = Gate::new();
    let script = vec![stream_head(), event("{}"), Step::Wait(gate.clone()), Step::End];
    let upstream = Upstream::always(script).await;
    let budget = places(1, Mode::Enforce);
    let counting = DirectBudget { everywhere: false, budget: budget.clone() };
    let granted = Direct { budgets: vec![counting], ..direct::grant(provider(&upstream)) };
    let gateway = direct::gateway(granted).await;
    let path = "/providers/team/openai/batches";
    // Work that no answer prices: a limit of requests at a time can count it all the same.
    let mut body = gateway.send(path, "{}").await.into_body();
    assert!(body.frame().await.unwrap().is_ok());
    assert_eq!(gateway.used(&budget), (1, 0));
    let refused = gateway.call(Method::GET, path).await;
    assert_eq!((refused.status.as_u16(), &*refused.code()), (429, "budget_exceeded"));
    gate.open();
    body.collect().await.unwrap();
    eventually(|| gateway.used(&budget) == (0, 0)).await;
}

#[tokio::test]
async fn a_direct_call_whose_tokens_cannot_be_counted_is_refused_by_limits_of_either_side() {
    for unit in [Unit::InputTokens, Unit::OutputTokens] {
        let upstream = Upstream::always(json(WHOLE)).await;
        let counting = DirectBudget { everywhere: false, budget: budget(unit, 1_000_000) };
        let granted = Direct { budgets: vec![counting], ..direct::grant(provider(&upstream)) };
        let gateway = direct::gateway(granted).await;
        let refused = gateway.call(Method::POST, "/providers/team/openai/batches").await;
        assert_eq!((refused.status.as_u16(), &*refused.code()), (403, "direct_use_unmetered"));
    }
}

#[tokio::test]
async fn input_and_output_are_settled_by_what_the_provider_reports() {
    let upstream = Upstream::always(json(WHOLE)).await;
    for (unit, used) in [(Unit::InputTokens, 10), (Unit::OutputTokens, 20), (Unit::Tokens, 30)] {
        let budget = budget(unit, 100_000);
        let mut route = route([provider(&upstream)]);
        route.budgets = vec![budget.clone()];
        let gateway = Gateway::start([route]).await;
        assert_eq!(gateway.chat(ASK).await.status, StatusCode::OK);
        assert_eq!(gateway.used(&budget), (used, 0), "{unit:?}");
    }
}

#[tokio::test]
async fn the_estimate_of_the_input_and_the_bound_of_the_output_must_fit_apart() {
    let upstream = Upstream::always(json(WHOLE)).await;
    let bounded = r#"{"model":"chat","max_tokens":31,"messages":[{"role":"user","content":"Hi"}]}"#;
    let read = (bounded.len() as u64).div_ceil(3);
    for (unit, amount, status) in [
        (Unit::InputTokens, read - 1, 429),
        (Unit::InputTokens, read, 200),
        (Unit::OutputTokens, 30, 429),
        (Unit::OutputTokens, 31, 200),
    ] {
        let mut route = route([provider(&upstream)]);
        route.budgets = vec![budget(unit, amount)];
        let gateway = Gateway::start([route]).await;
        let reply = gateway.chat(bounded).await;
        assert_eq!(reply.status.as_u16(), status, "{unit:?} {amount}: {}", reply.text());
        assert_eq!(reply.text().contains("can never fit"), status == 429, "{}", reply.text());
    }
}
