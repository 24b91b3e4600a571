//! Direct calls and budgets: what is counted, what is refused, and that nothing stays reserved.

use std::sync::Arc;

use http::Method;
use http_body_util::BodyExt as _;
use sluice::{
    budget::Unit,
    snapshot::{Budget, Direct, DirectBudget, Pattern, Unpriced},
};

use crate::{
    direct::{gateway, grant},
    fixture::{Gateway, STOP, USAGE, WHOLE, budget, eventually, provider},
    upstream::{Gate, Script, Step, Upstream, event, json, stream, stream_head, whole},
};

const FILES: &str = "/providers/team/openai/files";
const BATCHES: &str = "/providers/team/openai/batches";
const RUNS: &str = "/providers/team/openai/threads/t/runs";

fn counted(upstream: &Upstream, budget: &Arc<Budget>) -> Direct {
    let counting = DirectBudget { everywhere: false, budget: Arc::clone(budget) };
    Direct { budgets: vec![counting], ..grant(provider(upstream)) }
}

/// A budget that lets calls pass whose use is not known beforehand.
fn open(unit: Unit, amount: u64) -> Arc<Budget> {
    Arc::new(Budget { unpriced: Unpriced::Allow, ..(*budget(unit, amount)).clone() })
}

async fn answering(script: Script, budget: &Arc<Budget>) -> (Gateway, Upstream) {
    let upstream = Upstream::always(script).await;
    (gateway(counted(&upstream, budget)).await, upstream)
}

#[tokio::test]
async fn requests_are_counted_exactly_and_refused_beyond() {
    let budget = budget(Unit::Requests, 2);
    let (gateway, upstream) = answering(whole(404, &[], "{}"), &budget).await;
    for status in [404, 404, 429] {
        assert_eq!(gateway.call(Method::GET, FILES).await.status, status);
    }
    assert_eq!(gateway.used(&budget), (2, 0));
    assert_eq!(upstream.received().len(), 2);
}

#[tokio::test]
async fn work_that_cannot_be_counted_is_refused_by_a_budget_of_money_or_tokens() {
    for unit in [Unit::Usd, Unit::Tokens] {
        let budget = budget(unit, 1_000_000);
        let (gateway, upstream) = answering(json("{}"), &budget).await;
        let refused = gateway.call(Method::POST, BATCHES).await;
        assert_eq!((refused.status.as_u16(), &*refused.code()), (403, "direct_use_unmetered"));
        assert!(refused.text().contains("team/small"), "{}", refused.text());
        // What only looks and stores goes on.
        assert_eq!(gateway.call(Method::GET, BATCHES).await.status, 200);
        assert_eq!(gateway.call(Method::POST, FILES).await.status, 200);
        assert_eq!(gateway.call(Method::POST, &format!("{BATCHES}/b/cancel")).await.status, 200);
        assert_eq!(upstream.received().len(), 3);
        assert_eq!(gateway.used(&budget), (0, 0));
    }
}

#[tokio::test]
async fn what_an_answer_reports_is_charged_at_its_models_price() {
    // 30 tokens at one dollar a million.
    for (unit, used) in [(Unit::Tokens, 30), (Unit::Usd, 30_000)] {
        let budget = open(unit, 1_000_000);
        let (gateway, _upstream) = answering(json(WHOLE), &budget).await;
        assert_eq!(gateway.call(Method::POST, RUNS).await.status, 200);
        assert_eq!(gateway.used(&budget), (used, 0));
    }
}

#[tokio::test]
async fn a_streams_usage_is_charged() {
    let budget = open(Unit::Tokens, 1_000_000);
    let (gateway, _upstream) = answering(stream([STOP, USAGE, "[DONE]"]), &budget).await;
    let reply = gateway.call(Method::POST, RUNS).await;
    assert_eq!(reply.text(), format!("data: {STOP}\n\ndata: {USAGE}\n\ndata: [DONE]\n\n"));
    gateway.until_ended("complete").await;
    assert_eq!(gateway.used(&budget), (30, 0));
}

#[tokio::test]
async fn what_is_read_again_is_not_charged_again() {
    let budget = open(Unit::Tokens, 1_000_000);
    let (gateway, _upstream) = answering(json(WHOLE), &budget).await;
    for _ in 0..3 {
        assert_eq!(gateway.call(Method::GET, RUNS).await.status, 200);
    }
    assert_eq!(gateway.used(&budget), (0, 0));
}

#[tokio::test]
async fn a_budget_with_nothing_left_refuses_work_and_not_looking() {
    let budget = open(Unit::Tokens, 30);
    let (gateway, _upstream) = answering(json(WHOLE), &budget).await;
    assert_eq!(gateway.call(Method::POST, RUNS).await.status, 200);
    let refused = gateway.call(Method::POST, RUNS).await;
    assert_eq!((refused.status.as_u16(), &*refused.code()), (429, "budget_exceeded"));
    assert_eq!(gateway.call(Method::GET, RUNS).await.status, 200);
}

#[tokio::test]
async fn a_budget_of_other_models_is_charged_nothing() {
    let mut other = (*open(Unit::Tokens, 1_000_000)).clone();
    other.models = vec![Pattern::Prefix("gpt-".into())];
    let other = Arc::new(other);
    let (gateway, _upstream) = answering(json(WHOLE), &other).await;
    assert_eq!(gateway.call(Method::POST, RUNS).await.status, 200);
    assert_eq!(gateway.used(&other), (0, 0));
}

#[tokio::test]
async fn budgets_of_other_namespaces_count_only_where_they_count_everything() {
    let upstream = Upstream::always(json(WHOLE)).await;
    let mut foreign = (*budget(Unit::Requests, 0)).clone();
    foreign.name.namespace = "elsewhere".into();
    let foreign = Arc::new(foreign);
    let mut direct = counted(&upstream, &foreign);
    assert_eq!(gateway(direct.clone()).await.call(Method::GET, FILES).await.status, 200);
    direct.budgets[0].everywhere = true;
    assert_eq!(gateway(direct).await.call(Method::GET, FILES).await.status, 429);
}

#[tokio::test]
async fn a_caller_that_leaves_is_charged_what_was_reported() {
    let budget = open(Unit::Tokens, 1_000_000);
    let gate = Gate::new();
    let script = vec![stream_head(), event(USAGE), Step::Wait(gate.clone()), Step::Stall];
    let (gateway, mut upstream) = answering(script, &budget).await;
    let mut body = gateway.send(RUNS, "{}").await.into_body();
    assert!(body.frame().await.unwrap().is_ok());
    gate.open();
    drop(body);
    upstream.abandoned().await;
    gateway.until_ended("client_gone").await;
    assert_eq!(gateway.used(&budget), (30, 0));
}

#[tokio::test]
async fn a_call_that_nobody_answered_costs_nothing() {
    let budget = budget(Unit::Requests, 1);
    let (gateway, _upstream) = answering(vec![Step::Reset], &budget).await;
    for _ in 0..2 {
        assert_eq!(gateway.call(Method::DELETE, FILES).await.status, 502);
    }
    eventually(|| gateway.used(&budget) == (0, 0)).await;
}
