//! Further tries of one target, and the failures that lead to another sort of target.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use http::StatusCode;
use sluice::{
    llm::Dialect,
    snapshot::{FailureClass, Fallback, Provider, Retry, Route},
};

use crate::{
    fixture::{ASK, Gateway, ROLE, STOP, STREAM, WHOLE, chunk, provider, provider_at, route},
    upstream::{Script, Step, Upstream, event, json, stream, stream_head, whole},
};

/// A route that tries again quickly.
fn patient(attempts: u32, providers: impl IntoIterator<Item = Provider>) -> Route {
    let mut route = route(providers);
    let base = Duration::from_millis(5);
    route.retry = Retry { attempts, base, max: base, ..route.retry };
    route
}

fn falling_back(on: &[FailureClass], providers: impl IntoIterator<Item = Provider>) -> Route {
    let mut route = route(providers);
    route.fallback = Fallback { on: on.iter().copied().collect() };
    route
}

fn busy() -> Script {
    whole(503, &[], "busy")
}

#[tokio::test]
async fn a_target_is_tried_as_often_as_the_route_says() {
    for attempts in 1..=3 {
        let upstream = Upstream::always(busy()).await;
        let gateway = Gateway::start([patient(attempts, [provider(&upstream)])]).await;
        let reply = gateway.chat(ASK).await;
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(reply.header("x-sluice-attempts"), attempts.to_string());
        assert_eq!(upstream.received().len(), attempts as usize);
    }
}

#[tokio::test]
async fn every_target_has_its_turn_before_the_first_is_tried_again() {
    let first = Upstream::scripted([busy(), json(WHOLE)]).await;
    let second = Upstream::always(busy()).await;
    let gateway = Gateway::start([patient(2, [provider(&first), provider(&second)])]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!((reply.text(), reply.header("x-sluice-target")), (WHOLE, "target-0"));
    let attempts = gateway.record().await["attempts"].as_str().unwrap().to_owned();
    let told: Vec<_> = attempts.split(", ").map(|it| it.rsplit_once(' ').unwrap().0).collect();
    let [first, second, third] = told[..] else { panic!("{attempts}") };
    assert!(first.starts_with("target-0 http_503"), "{attempts}");
    assert!(second.starts_with("target-1 http_503"), "{attempts}");
    assert_eq!(third, "target-0 ok");
}

#[tokio::test]
async fn what_the_route_does_not_retry_is_told_at_once() {
    let upstream = Upstream::always(busy()).await;
    let mut route = patient(3, [provider(&upstream)]);
    route.retry.on = [FailureClass::Connect].into_iter().collect();
    let gateway = Gateway::start([route]).await;
    assert_eq!(gateway.chat(ASK).await.header("x-sluice-attempts"), "1");
}

#[tokio::test]
async fn a_wait_that_a_provider_asks_for_is_kept() {
    let limited = whole(429, &[("retry-after-ms", "300")], "slow down");
    let upstream = Upstream::scripted([limited, json(WHOLE)]).await;
    let gateway = Gateway::start([patient(2, [provider(&upstream)])]).await;
    let began = std::time::Instant::now();
    assert_eq!(gateway.chat(ASK).await.text(), WHOLE);
    assert!(began.elapsed() >= Duration::from_millis(300), "it came back too early");
}

#[tokio::test]
async fn a_wait_that_is_longer_than_the_route_waits_is_told_to_the_caller() {
    let limited = whole(429, &[("retry-after", "100")], "slow down");
    let upstream = Upstream::always(limited).await;
    let gateway = Gateway::start([patient(5, [provider(&upstream)])]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (429, "100"));
    assert_eq!(upstream.received().len(), 1);
}

#[tokio::test]
async fn a_failure_that_came_late_is_not_tried_again() {
    let upstream = Upstream::always(busy()).await;
    let mut route = patient(3, [provider(&upstream)]);
    route.retry.within = Duration::ZERO;
    let gateway = Gateway::start([route]).await;
    assert_eq!(gateway.chat(ASK).await.header("x-sluice-attempts"), "1");
}

#[tokio::test]
async fn a_route_that_falls_back_on_nothing_stays_with_its_target() {
    let (bad, good) = (Upstream::always(busy()).await, Upstream::always(json(WHOLE)).await);
    let mut route = falling_back(&[], [provider(&bad), provider(&good)]);
    route.retry.base = Duration::from_millis(5);
    let gateway = Gateway::start([route]).await;
    assert_eq!(gateway.chat(ASK).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!((bad.received().len(), good.received().len()), (2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_not_answered_by_twice_the_load() {
    let upstream = Upstream::always(busy()).await;
    let gateway = Arc::new(Gateway::start([patient(5, [provider(&upstream)])]).await);
    let ask = || {
        let gateway = Arc::clone(&gateway);
        tokio::spawn(async move { gateway.chat(ASK).await.status })
    };
    let mut asked = 0;
    for _ in 0..4 {
        for status in join_all((0..100).map(|_| ask())).await {
            assert_eq!(status.unwrap(), StatusCode::SERVICE_UNAVAILABLE);
            asked += 1;
        }
    }
    let further = upstream.received().len() - asked;
    // A fifth, and three in each of the ten seconds at most.
    assert!((3..=asked / 5 + 30).contains(&further), "{further}");
    let refused = gateway.counted("sluice_retry_budget_exhausted_total", ("target", "target-0"));
    assert!(refused > 0);
}

#[tokio::test]
async fn the_record_says_that_the_retry_budget_was_spent() {
    let upstream = Upstream::always(busy()).await;
    let mut route = patient(5, [provider(&upstream)]);
    route.retry.base = Duration::from_millis(1);
    route.retry.max = Duration::from_millis(1);
    let gateway = Gateway::start([route]).await;
    assert_eq!(gateway.chat(ASK).await.status, StatusCode::SERVICE_UNAVAILABLE);
    // Three further tries are free in a second, and a request may want four.
    assert_eq!(gateway.record().await["not_retried"], "retry_budget");
}

const TOO_LONG: &str = r#"{"error":{"message":"This model's maximum context length is 10 tokens.","type":"invalid_request_error","code":"context_length_exceeded"}}"#;

/// A provider whose model takes so many tokens.
fn taking(upstream: &Upstream, window: Option<u64>) -> Provider {
    let mut provider = provider(upstream);
    provider.models.get_mut("m").unwrap().context_window = window;
    provider
}

#[tokio::test]
async fn a_request_that_is_too_long_falls_to_a_larger_window_only() {
    let small = Upstream::always(whole(400, &[], TOO_LONG)).await;
    let [same, unknown, large] = [0; 3].map(|_| Upstream::always(json(WHOLE)));
    let (same, unknown, large) = (same.await, unknown.await, large.await);
    let targets = || {
        [
            taking(&small, Some(10)),
            taking(&same, Some(10)),
            taking(&unknown, None),
            taking(&large, Some(1000)),
        ]
    };
    let on = [FailureClass::ContextLength, FailureClass::ServerError];
    let gateway = Gateway::start([falling_back(&on, targets())]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!((reply.text(), reply.header("x-sluice-target")), (WHOLE, "target-3"));
    assert_eq!((same.received().len(), unknown.received().len()), (0, 0));

    let gateway = Gateway::start([route(targets())]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!(&*reply.code(), "context_length_exceeded", "it is opted into");
    assert_eq!(reply.header("x-sluice-attempts"), "1");
}

#[tokio::test]
async fn a_request_that_is_too_long_for_all_is_the_callers_to_change() {
    let small = Upstream::always(whole(400, &[], TOO_LONG)).await;
    let same = Upstream::always(json(WHOLE)).await;
    let targets = [taking(&small, Some(10)), taking(&same, Some(10))];
    let gateway = Gateway::start([falling_back(&[FailureClass::ContextLength], targets)]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!((reply.status.as_u16(), &*reply.code()), (400, "context_length_exceeded"));
    assert!(same.received().is_empty());
}

const BLOCKED: &str = r#"{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400}}"#;
/// A whole answer that Azure's filter ended.
const FILTERED: &str = r#"{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hel"},"finish_reason":"content_filter"}],"usage":{"prompt_tokens":10,"completion_tokens":1,"total_tokens":11}}"#;

#[tokio::test]
async fn what_a_filter_blocks_goes_to_another_provider_only() {
    let filtered_stream = || {
        let end = STOP.replace("\"stop\"", "\"content_filter\"");
        stream([ROLE.to_owned(), end, "[DONE]".into()])
    };
    for blocking in [whole(400, &[], BLOCKED), json(FILTERED), filtered_stream()] {
        let ask = if matches!(&blocking[..], [_]) { ASK } else { STREAM };
        let blocks = Upstream::always(blocking).await;
        let events = stream([chunk("Hello"), STOP.into(), "[DONE]".into()]);
        let other = Upstream::always(if ask == ASK { json(WHOLE) } else { events }).await;
        let targets = [provider(&blocks), provider(&blocks), provider(&other)];
        let on = [FailureClass::ContentFilter];
        let gateway = Gateway::start([falling_back(&on, targets)]).await;
        let reply = gateway.chat(ask).await;
        assert_eq!(reply.header("x-sluice-target"), "target-2", "{}", reply.text());
        assert_eq!((blocks.received().len(), other.received().len()), (1, 1));
        assert!(reply.text().contains("Hello"));
    }
}

#[tokio::test]
async fn an_answer_that_a_filter_ended_is_given_if_there_is_no_other() {
    let blocks = Upstream::always(json(FILTERED)).await;
    let down = Upstream::always(whole(400, &[], "no")).await;
    for others in [vec![], vec![provider(&down)]] {
        let targets = [vec![provider(&blocks)], others].concat();
        let gateway = Gateway::start([falling_back(&[FailureClass::ContentFilter], targets)]).await;
        let reply = gateway.chat(ASK).await;
        assert_eq!((reply.status, reply.text()), (StatusCode::OK, FILTERED));
        assert_eq!(reply.header("x-sluice-target"), "target-0");
        let record = gateway.record().await;
        assert_eq!((&record["input_tokens"], &record["outcome"]), (&10.into(), &"complete".into()));
        assert!(record["attempts"].as_str().unwrap().starts_with("target-0 content_filter"));
    }
}

#[tokio::test]
async fn nothing_is_tried_again_once_content_has_gone_out() {
    let cut = vec![stream_head(), event(chunk("Hel")), Step::Reset];
    let (bad, good) = (Upstream::always(cut).await, Upstream::always(json(WHOLE)).await);
    let gateway = Gateway::start([patient(5, [provider(&bad), provider(&good)])]).await;
    let reply = gateway.chat(STREAM).await;
    assert!(reply.text().contains("Hel") && reply.text().contains("upstream_incomplete"));
    assert_eq!((bad.received().len(), good.received().len()), (1, 0));
}

#[tokio::test]
async fn geminis_block_goes_to_another_provider() {
    let blocked = r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":4},"modelVersion":"m"}"#;
    let blocks = Upstream::always(json(blocked)).await;
    let other = Upstream::always(json(WHOLE)).await;
    let targets = [provider_at(blocks.address(), Dialect::Gemini), provider(&other)];
    let gateway = Gateway::start([falling_back(&[FailureClass::ContentFilter], targets)]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!((reply.text(), reply.header("x-sluice-target")), (WHOLE, "target-1"));
}

#[tokio::test]
async fn claudes_refusal_goes_to_another_provider() {
    let refused = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":"refusal","usage":{"input_tokens":10,"output_tokens":1}}"#;
    let refuses = Upstream::always(json(refused)).await;
    let other = Upstream::always(json(WHOLE)).await;
    let targets = [provider_at(refuses.address(), Dialect::Anthropic), provider(&other)];
    let gateway = Gateway::start([falling_back(&[FailureClass::ContentFilter], targets)]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!((reply.text(), reply.header("x-sluice-target")), (WHOLE, "target-1"));
}

#[tokio::test]
async fn a_second_try_may_fail_in_a_way_that_leads_elsewhere() {
    let limited = whole(429, &[], "slow down");
    let first = Upstream::scripted([busy(), limited]).await;
    let second = Upstream::always(json(WHOLE)).await;
    let mut route =
        falling_back(&[FailureClass::RateLimited], [provider(&first), provider(&second)]);
    route.retry.base = Duration::from_millis(5);
    let gateway = Gateway::start([route]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!((reply.text(), reply.header("x-sluice-attempts")), (WHOLE, "3"));
}
