//! What is told, charged and recorded of requests that fail, are left, or are cut off.

use std::time::Duration;

use http::StatusCode;
use sluice::{
    budget::Unit,
    snapshot::{AccountLimits, Ejection, Hedge, Provider},
};

use crate::{
    fixture::{ASK, Gateway, WHOLE, budget, eventually, provider, route},
    upstream::{Script, Step, Upstream, head, json, whole},
};

/// Three failures in a row, and nothing comes back within a test.
fn lasting(upstream: &Upstream) -> Provider {
    let ejection = Ejection { consecutive_failures: 3, ..Ejection::default() };
    Provider { ejection, ..provider(upstream) }
}

/// The head of a whole answer, and then nothing.
fn head_only() -> Script {
    let headers = [("content-type", "application/json"), ("content-length", "400")];
    vec![Step::Raw(head(200, &headers)), Step::Stall]
}

async fn answered(gateway: &Gateway) -> (String, String) {
    let reply = gateway.chat(ASK).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    (reply.header("x-sluice-target").to_owned(), reply.header("x-sluice-attempts").to_owned())
}

#[tokio::test]
async fn a_head_without_an_answer_falls_back_and_counts_as_a_failure() {
    let bad = Upstream::always(head_only()).await;
    let good = Upstream::always(json(WHOLE)).await;
    let mut route = route([lasting(&bad), provider(&good)]);
    route.timeouts.first_byte = Some(Duration::from_millis(50));
    let gateway = Gateway::start([route]).await;
    for attempts in ["2", "2", "2", "1"] {
        assert_eq!(answered(&gateway).await, ("target-1".to_owned(), attempts.to_owned()));
    }
    let timeouts = gateway.counted("sluice_attempts_total", ("reason", "first_token_timeout"));
    assert_eq!(timeouts, 3);
}

#[tokio::test]
async fn a_silent_target_is_left_out_though_hedges_hide_it() {
    let silent = Upstream::always(vec![Step::Stall]).await;
    let good = Upstream::always(json(WHOLE)).await;
    let mut route = route([lasting(&silent), provider(&good)]);
    route.hedge = Some(Hedge { delay: Duration::from_millis(10) });
    let gateway = Gateway::start([route]).await;
    // Each second has room for three hedges, and more of them for requests that come.
    let mut asked = 0;
    while answered(&gateway).await.1 == "2" {
        asked += 1;
        assert!(asked < 100, "it is never left out");
        tokio::time::sleep(Duration::from_millis(350)).await;
    }
    assert!(asked > 10, "{asked}");
}

#[tokio::test]
async fn a_failure_is_told_beside_the_name_of_the_target_that_failed_so() {
    let first = Upstream::always(whole(503, &[], "first")).await;
    let second = Upstream::always(whole(500, &[], "second")).await;
    let mut route = route([provider(&first), provider(&second)]);
    route.retry.attempts = 1;
    let gateway = Gateway::start([route]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!((reply.status.as_u16(), reply.header("x-sluice-target")), (503, "target-0"));
    assert_eq!(gateway.record().await["target"], "target-0");
}

#[tokio::test]
async fn an_error_inside_a_200_is_read_as_an_error_answer_is() {
    let limit = r#"{"error":{"message":"slow down","type":"tokens","code":"rate_limit_exceeded"}}"#;
    let headers = [("content-type", "application/json"), ("retry-after", "70")];
    let upstream = Upstream::always(whole(200, &headers, limit)).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let reply = gateway.chat(ASK).await;
    assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (429, "70"));
    assert_eq!(upstream.received().len(), 1);

    let wrong_key = r#"{"error":{"message":"Incorrect API key","type":"invalid_request_error","code":"invalid_api_key"}}"#;
    let bad = Upstream::always(json(wrong_key)).await;
    let good = Upstream::always(json(WHOLE)).await;
    let gateway = Gateway::start([route([provider(&bad), provider(&good)])]).await;
    assert_eq!(answered(&gateway).await.0, "target-1");
}

#[tokio::test]
async fn a_retry_without_room_in_the_account_is_recorded_as_such() {
    let upstream = Upstream::always(whole(503, &[], "busy")).await;
    let limits = AccountLimits { requests_per_minute: Some(1), ..AccountLimits::default() };
    let mut route = route([Provider { limits, ..provider(&upstream) }]);
    route.retry.base = Duration::from_millis(1);
    let gateway = Gateway::start([route]).await;
    assert_eq!(gateway.chat(ASK).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(gateway.record().await["not_retried"], "provider_limit");
}

/// Asks, and leaves as soon as something holds.
async fn leave_when(gateway: &Gateway, holds: impl Fn() -> bool) {
    tokio::select! {
        _ = gateway.chat(ASK) => panic!("nobody answers"),
        () = eventually(holds) => {}
    }
    gateway.until_ended("client_gone").await;
}

#[tokio::test]
async fn who_leaves_while_no_try_is_under_way_owes_nothing() {
    let upstream = Upstream::always(whole(503, &[], "busy")).await;
    let tokens = budget(Unit::Tokens, 1_000_000);
    let mut route = route([provider(&upstream)]);
    route.budgets = vec![tokens.clone()];
    (route.retry.base, route.retry.max) = (Duration::from_secs(9), Duration::from_secs(9));
    let gateway = Gateway::start([route]).await;
    let failed = || gateway.counted("sluice_attempts_total", ("reason", "http_503")) == 1;
    leave_when(&gateway, failed).await;
    eventually(|| gateway.used(&tokens) == (0, 0)).await;
    let record = gateway.record().await;
    assert!(record["attempts"].as_str().unwrap().starts_with("target-0 http_503"), "{record}");
}

#[tokio::test]
async fn who_leaves_during_a_try_has_it_in_the_record_and_its_tokens_back_in_the_account() {
    let answers = [vec![Step::Stall], json(WHOLE)];
    let upstream = Upstream::scripted(answers).await;
    let limits = AccountLimits { tokens_per_minute: Some(5000), ..AccountLimits::default() };
    let gateway = Gateway::start([route([Provider { limits, ..provider(&upstream) }])]).await;
    leave_when(&gateway, || upstream.received().len() == 1).await;
    let record = gateway.record().await;
    assert!(record["attempts"].as_str().unwrap().starts_with("target-0 left "), "{record}");
    assert_eq!(gateway.counted("sluice_attempts_total", ("reason", "left")), 1);
    assert_eq!(answered(&gateway).await.0, "target-0");
}

#[tokio::test]
async fn a_shutdown_during_a_try_leaves_it_in_the_record() {
    let upstream = Upstream::always(vec![Step::Stall]).await;
    let gateway = Gateway::start([route([provider(&upstream)])]).await;
    let (reply, ()) = tokio::join!(gateway.chat(ASK), async {
        eventually(|| upstream.received().len() == 1).await;
        gateway.drain.expire();
    });
    assert_eq!(reply.code(), "gateway_shutting_down");
    let record = gateway.record().await;
    assert!(record["attempts"].as_str().unwrap().starts_with("target-0 left "), "{record}");
}
