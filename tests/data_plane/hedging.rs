//! A second try beside one that is slow: who wins, what becomes of the other, and what it costs.

use std::time::Duration;

use http::StatusCode;
use sluice::{
    budget::Unit,
    llm::Dialect,
    snapshot::{Fallback, Hedge, Provider, Route},
};

use crate::{
    fixture::{
        ASK, Gateway, Reply, STOP, STREAM, WHOLE, budget, chunk, eventually, provider, provider_at,
        route,
    },
    upstream::{Gate, Script, Step, Upstream, json, stream, whole},
};

/// A route that hedges soon.
fn hedging(providers: impl IntoIterator<Item = Provider>) -> Route {
    let mut route = route(providers);
    route.hedge = Some(Hedge { delay: Duration::from_millis(20) });
    route
}

/// Answers as soon as the gate is open.
fn after(gate: &Gate, answer: Script) -> Script {
    [vec![Step::Wait(gate.clone())], answer].concat()
}

fn hello() -> Script {
    stream([chunk("Hello"), STOP.into(), "[DONE]".into()])
}

fn hedges(gateway: &Gateway, outcome: &str) -> u64 {
    gateway.counted("sluice_hedges_total", ("outcome", outcome))
}

#[tokio::test]
async fn the_faster_answer_is_used_and_the_other_try_is_broken_off() {
    for (ask, answer) in [(ASK, json(WHOLE)), (STREAM, hello())] {
        let mut slow = Upstream::always(vec![Step::Stall]).await;
        let fast = Upstream::always(answer).await;
        let gateway = Gateway::start([hedging([provider(&slow), provider(&fast)])]).await;
        let reply = gateway.chat(ask).await;
        assert_eq!(reply.status, StatusCode::OK);
        assert!(reply.text().contains("Hello"), "{}", reply.text());
        assert_eq!(reply.header("x-sluice-target"), "target-1");
        assert_eq!(reply.header("x-sluice-attempts"), "2");
        slow.abandoned().await;
        let record = gateway.record().await;
        assert_eq!(record["hedged"], true);
        let attempts = record["attempts"].as_str().unwrap();
        assert!(attempts.starts_with("target-1 ok "), "{attempts}");
        assert!(attempts.contains(", target-0 hedge_lost "), "{attempts}");
        assert_eq!((hedges(&gateway, "won"), gateway.ended("complete")), (1, 1));
    }
}

#[tokio::test]
async fn the_first_try_may_still_win() {
    let gate = Gate::new();
    let first = Upstream::always(after(&gate, json(WHOLE))).await;
    let mut second = Upstream::always(vec![Step::Stall]).await;
    let gateway = Gateway::start([hedging([provider(&first), provider(&second)])]).await;
    let (reply, ()) = tokio::join!(gateway.chat(ASK), async {
        eventually(|| !second.received().is_empty()).await;
        gate.open();
    });
    assert_eq!((reply.text(), reply.header("x-sluice-target")), (WHOLE, "target-0"));
    second.abandoned().await;
    assert_eq!(hedges(&gateway, "lost"), 1);
}

#[tokio::test]
async fn a_quick_answer_starts_no_second_try() {
    let (first, second) =
        (Upstream::always(json(WHOLE)).await, Upstream::always(json(WHOLE)).await);
    let mut route = hedging([provider(&first), provider(&second)]);
    route.hedge = Some(Hedge { delay: Duration::from_secs(60) });
    let gateway = Gateway::start([route]).await;
    assert_eq!(gateway.chat(ASK).await.header("x-sluice-attempts"), "1");
    assert!(second.received().is_empty());
    assert!(gateway.record().await.get("hedged").is_none());
}

#[tokio::test]
async fn the_only_target_is_asked_over_another_connection() {
    let answers = [vec![Step::Stall], json(WHOLE)];
    let mut upstream = Upstream::scripted(answers).await;
    let gateway = Gateway::start([hedging([provider(&upstream)])]).await;
    assert_eq!(gateway.chat(ASK).await.text(), WHOLE);
    upstream.abandoned().await;
    let received = upstream.received();
    assert_eq!(received.len(), 2);
    assert_ne!(received[0].connection, received[1].connection);
}

#[tokio::test]
async fn what_lost_is_charged_as_far_as_it_has_read() {
    let slow = Upstream::always(vec![Step::Stall]).await;
    let fast = Upstream::always(json(WHOLE)).await;
    let tokens = budget(Unit::Tokens, 1_000_000);
    let mut route = hedging([provider(&slow), provider(&fast)]);
    route.budgets = vec![tokens.clone()];
    let gateway = Gateway::start([route]).await;
    assert_eq!(gateway.chat(ASK).await.text(), WHOLE);
    let read = (ASK.len() as u64).div_ceil(3);
    let (used, reserved) = gateway.used(&tokens);
    assert_eq!((used, reserved), (30 + read, 0));
    let record = gateway.record().await;
    // A dollar a million tokens.
    let cost = |name: &str| record[name].as_str().unwrap().parse::<f64>().unwrap() * 1e6;
    assert_eq!(cost("hedge_cost_usd").round() as u64, read);
    assert_eq!(cost("cost_usd").round() as u64, 30 + read);
    assert_eq!(record["input_tokens"], 10);
}

#[tokio::test]
async fn both_tries_are_reserved_for_while_they_run() {
    let gate = Gate::new();
    let slow = Upstream::always(vec![Step::Stall]).await;
    let fast = Upstream::always(after(&gate, json(WHOLE))).await;
    let tokens = budget(Unit::Tokens, 1_000_000);
    let mut route = hedging([provider(&slow), provider(&fast)]);
    route.budgets = vec![tokens.clone()];
    let gateway = Gateway::start([route]).await;
    let ((), reply) = tokio::join!(
        async {
            eventually(|| !slow.received().is_empty()).await;
            let alone = gateway.used(&tokens).1;
            eventually(|| !fast.received().is_empty()).await;
            let both = gateway.used(&tokens).1;
            assert!(both > alone, "{both} {alone}");
            gate.open();
        },
        gateway.chat(ASK)
    );
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(gateway.used(&tokens).1, 0);
}

#[tokio::test]
async fn a_budget_without_room_for_both_lets_the_first_try_go_on() {
    let gate = Gate::new();
    let slow = Upstream::always(after(&gate, json(WHOLE))).await;
    let fast = Upstream::always(json(WHOLE)).await;
    // The worst case is the input and 4,096 tokens of output.
    let room = 4096 + (ASK.len() as u64).div_ceil(3);
    let tokens = budget(Unit::Tokens, room);
    let mut route = hedging([provider(&slow), provider(&fast)]);
    route.budgets = vec![tokens.clone()];
    let gateway = Gateway::start([route]).await;
    let (reply, ()) = tokio::join!(gateway.chat(ASK), async {
        eventually(|| hedges(&gateway, "budget") == 1).await;
        gate.open();
    });
    assert_eq!((reply.text(), reply.header("x-sluice-target")), (WHOLE, "target-0"));
    assert!(fast.received().is_empty());
    assert_eq!(gateway.used(&tokens), (30, 0));
}

#[tokio::test]
async fn a_caller_who_leaves_ends_both_tries_and_pays_for_both_inputs() {
    let mut slow = Upstream::always(vec![Step::Stall]).await;
    let mut second = Upstream::always(vec![Step::Stall]).await;
    let tokens = budget(Unit::Tokens, 1_000_000);
    let mut route = hedging([provider(&slow), provider(&second)]);
    route.budgets = vec![tokens.clone()];
    let gateway = Gateway::start([route]).await;
    tokio::select! {
        _ = gateway.chat(ASK) => panic!("nobody answers"),
        () = eventually(|| !second.received().is_empty()) => {}
    }
    slow.abandoned().await;
    second.abandoned().await;
    gateway.until_ended("client_gone").await;
    let read = (ASK.len() as u64).div_ceil(3);
    eventually(|| gateway.used(&tokens) == (2 * read, 0)).await;
    assert_eq!(hedges(&gateway, "left"), 1);
}

#[tokio::test]
async fn a_hedge_that_a_refusal_made_needless_is_charged_and_counted() {
    let gate = Gate::new();
    let first = Upstream::always(after(&gate, whole(400, &[], "no"))).await;
    let mut second = Upstream::always(vec![Step::Stall]).await;
    let tokens = budget(Unit::Tokens, 1_000_000);
    let mut route = hedging([provider(&first), provider(&second)]);
    route.budgets = vec![tokens.clone()];
    let gateway = Gateway::start([route]).await;
    let (reply, ()) = tokio::join!(gateway.chat(ASK), async {
        eventually(|| !second.received().is_empty()).await;
        gate.open();
    });
    assert_eq!((reply.status.as_u16(), reply.header("x-sluice-target")), (400, "target-0"));
    second.abandoned().await;
    let read = (ASK.len() as u64).div_ceil(3);
    eventually(|| gateway.used(&tokens) == (read, 0)).await;
    assert_eq!(hedges(&gateway, "lost"), 1);
    let record = gateway.record().await;
    assert!(record["attempts"].as_str().unwrap().contains("target-1 hedge_lost"), "{record}");
    assert_eq!(record["hedge_cost_usd"], record["cost_usd"]);
}

#[tokio::test]
async fn a_route_that_falls_back_on_nothing_hedges_at_its_target() {
    let first = Upstream::scripted([vec![Step::Stall], json(WHOLE)]).await;
    let second = Upstream::always(json(WHOLE)).await;
    let mut route = hedging([provider(&first), provider(&second)]);
    route.fallback = Fallback { on: [].into_iter().collect() };
    let gateway = Gateway::start([route]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!((reply.text(), reply.header("x-sluice-target")), (WHOLE, "target-0"));
    assert!(second.received().is_empty());
}

#[tokio::test]
async fn if_one_try_fails_the_other_goes_on() {
    let gate = Gate::new();
    for first_fails in [true, false] {
        let good = Upstream::always(after(&gate, json(WHOLE))).await;
        let bad = Upstream::always(after(&gate, whole(503, &[], "busy"))).await;
        let providers = match first_fails {
            true => [provider(&bad), provider(&good)],
            false => [provider(&good), provider(&bad)],
        };
        let gateway = Gateway::start([hedging(providers)]).await;
        let tried = async {
            eventually(|| !good.received().is_empty() && !bad.received().is_empty()).await;
            gate.open();
            eventually(|| gateway.counted("sluice_attempts_total", ("reason", "http_503")) == 1)
                .await;
            gate.open();
        };
        // Whichever passes the gate first, both have passed it in the end.
        let (reply, ()) = tokio::join!(gateway.chat(ASK), async {
            tokio::select! {
                () = tried => {}
                () = gateway.until_ended("complete") => {}
            }
        });
        assert_eq!(reply.text(), WHOLE);
        let name = if first_fails { "target-1" } else { "target-0" };
        assert_eq!(reply.header("x-sluice-target"), name);
    }
}

#[tokio::test]
async fn two_failures_tell_the_first_targets_error_and_cost_nothing() {
    let gate = Gate::new();
    let first = Upstream::always(after(&gate, whole(503, &[], "first"))).await;
    let second = Upstream::always(whole(500, &[], "second")).await;
    let tokens = budget(Unit::Tokens, 1_000_000);
    let mut route = hedging([provider(&first), provider(&second)]);
    route.retry.attempts = 1;
    route.budgets = vec![tokens.clone()];
    let gateway = Gateway::start([route]).await;
    let (reply, ()) = tokio::join!(gateway.chat(ASK), async {
        eventually(|| hedges(&gateway, "failed") == 1).await;
        gate.open();
    });
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(reply.text().contains("first"), "{}", reply.text());
    assert_eq!(gateway.used(&tokens), (0, 0));
}

#[tokio::test]
async fn what_a_provider_keeps_or_runs_is_asked_once() {
    let gate = Gate::new();
    let given = r#"{"id":"resp_1","object":"response","status":"completed","model":"m","output":[{"type":"message","content":[{"type":"output_text","text":"Hello"}]}],"usage":{"input_tokens":10,"output_tokens":20}}"#;
    let first = Upstream::always(after(&gate, json(given))).await;
    let second = Upstream::always(json(given)).await;
    let at = |upstream: &Upstream| provider_at(upstream.address(), Dialect::Responses);
    let mut route = hedging([at(&first), at(&second)]);
    route.hedge = Some(Hedge { delay: Duration::from_millis(10) });
    let gateway = Gateway::start([route]).await;
    let ask = r#"{"model":"chat","input":"Hi","conversation":"conv_1"}"#;
    let (reply, ()) = tokio::join!(gateway.ask("/v1/responses", ask), async {
        eventually(|| hedges(&gateway, "unrepeatable") == 1).await;
        gate.open();
    });
    assert_eq!(reply.text(), given);
    assert!(second.received().is_empty());
}

#[tokio::test]
async fn hedges_are_bounded_by_the_retry_budget() {
    let slow = Upstream::always(vec![Step::Stall]).await;
    let second = Upstream::always(vec![Step::Stall]).await;
    let mut route = hedging([provider(&slow), provider(&second)]);
    route.timeouts.total = Duration::from_millis(500);
    let gateway = Gateway::start([route]).await;
    let asked = futures_util::future::join_all((0..20).map(|_| gateway.chat(ASK)));
    let replies: Vec<Reply> = asked.await;
    assert!(replies.iter().all(|reply| reply.status == StatusCode::GATEWAY_TIMEOUT));
    // Three in a second or a fifth; the requests came within two seconds at most.
    assert!((3..=7).contains(&second.received().len()), "{}", second.received().len());
    assert!(hedges(&gateway, "retry_budget") >= 13);
}

#[tokio::test]
async fn a_target_that_is_left_out_is_no_help() {
    let gate = Gate::new();
    let scripts = [after(&gate, json(WHOLE)), vec![Step::Stall], json(WHOLE)];
    let slow = Upstream::scripted(scripts).await;
    let bad = Upstream::always(whole(503, &[], "busy")).await;
    let mut left_out = provider(&bad);
    left_out.ejection.consecutive_failures = 1;
    let gateway = Gateway::start([hedging([provider(&slow), left_out])]).await;
    let (reply, ()) = tokio::join!(gateway.chat(ASK), async {
        eventually(|| hedges(&gateway, "failed") == 1).await;
        gate.open();
    });
    assert_eq!(reply.text(), WHOLE);
    let reply = gateway.chat(ASK).await;
    assert_eq!((reply.text(), reply.header("x-sluice-target")), (WHOLE, "target-0"));
    assert_eq!((slow.received().len(), bad.received().len()), (3, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_hedges_never_pass_a_small_budget() {
    let slow = Upstream::always(vec![Step::Stall]).await;
    let fast = Upstream::always(json(WHOLE)).await;
    let amount = 3 * (4096 + 100);
    let tokens = budget(Unit::Tokens, amount);
    let mut route = hedging([provider(&slow), provider(&fast)]);
    route.timeouts.total = Duration::from_millis(300);
    route.budgets = vec![tokens.clone()];
    let gateway = Gateway::start([route]).await;
    let mut served = 0;
    for _ in 0..5 {
        for reply in futures_util::future::join_all((0..40).map(|_| gateway.chat(ASK))).await {
            let (used, reserved) = gateway.used(&tokens);
            assert!(used + reserved <= amount, "{used} {reserved}");
            served += u64::from(reply.status == StatusCode::OK);
        }
    }
    let read = (ASK.len() as u64).div_ceil(3);
    assert!(served >= 3, "{served}");
    assert_eq!(gateway.used(&tokens), (served * (30 + read), 0));
}
