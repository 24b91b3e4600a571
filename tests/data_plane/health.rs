//! Targets that fail are left out and come back; those that have had enough rest.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use http_body_util::BodyExt as _;
use sluice::snapshot::{Ejection, Provider};

use crate::{
    fixture::{
        ASK, Gateway, STOP, STREAM, WHOLE, chunk, eventually, eventually_asked, provider, route,
        snapshot,
    },
    upstream::{Gate, Script, Step, Upstream, event, json, stream, stream_head, whole},
};

/// Three failures in a row, and a time that a test can wait for.
fn quick(upstream: &Upstream) -> Provider {
    let base = Duration::from_millis(300);
    Provider {
        ejection: Ejection { consecutive_failures: 3, base, max: base },
        ..provider(upstream)
    }
}

/// The same, for tests in which nothing comes back.
fn lasting(upstream: &Upstream) -> Provider {
    let ejection = Ejection { consecutive_failures: 3, ..Ejection::default() };
    Provider { ejection, ..provider(upstream) }
}

/// An upstream that answers with the status of the moment.
async fn switched() -> (Upstream, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(200));
    let shown = Arc::clone(&status);
    let upstream = Upstream::answering(move |_| match shown.load(Ordering::SeqCst) {
        200 => json(WHOLE),
        status => whole(status, &[], "no"),
    });
    (upstream.await, status)
}

async fn asked(gateway: &Gateway) -> (String, String) {
    let reply = gateway.chat(ASK).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    (reply.header("x-sluice-target").to_owned(), reply.header("x-sluice-attempts").to_owned())
}

async fn answers(gateway: &Gateway, target: &str, attempts: &str) {
    assert_eq!(asked(gateway).await, (target.to_owned(), attempts.to_owned()));
}

/// What a metric of a target shows.
fn metric(gateway: &Gateway, name: &str, upstream: &Upstream) -> f64 {
    let families = gateway.metrics.registry.gather();
    let series = families.iter().filter(|family| family.name() == name);
    let provider = format!("team/provider-{}", upstream.address().port());
    let mut found = series
        .flat_map(|family| family.get_metric())
        .filter(|metric| metric.get_label().iter().any(|label| label.value() == provider));
    let metric = found.next().unwrap();
    metric.get_gauge().get_value() + metric.get_counter().get_value()
}

#[tokio::test]
async fn a_target_that_fails_is_left_out_and_comes_back_by_itself() {
    let ((bad, status), good) = (switched().await, Upstream::always(json(WHOLE)).await);
    let gateway = Gateway::start([route([quick(&bad), provider(&good)])]).await;
    status.store(500, Ordering::SeqCst);
    for _ in 0..3 {
        answers(&gateway, "target-1", "2").await;
    }
    let healthy = |upstream| metric(&gateway, "sluice_target_healthy", upstream);
    assert_eq!(metric(&gateway, "sluice_target_ejections_total", &bad), 1.0);
    assert_eq!((healthy(&bad), healthy(&good)), (0.0, 1.0));
    answers(&gateway, "target-1", "1").await;
    assert_eq!(bad.received().len(), 3);
    status.store(200, Ordering::SeqCst);
    eventually_asked(async || asked(&gateway).await.0 == "target-0").await;
    assert_eq!(healthy(&bad), 1.0);
    answers(&gateway, "target-0", "1").await;
}

#[tokio::test]
async fn one_request_at_a_time_tries_a_target_that_was_left_out() {
    let (gate, status) = (Gate::new(), Arc::new(AtomicU16::new(500)));
    let (held, shown) = (gate.clone(), Arc::clone(&status));
    let bad = Upstream::answering(move |_| match shown.load(Ordering::SeqCst) {
        200 => [vec![Step::Wait(held.clone())], json(WHOLE)].concat(),
        status => whole(status, &[], "no"),
    });
    let (bad, good) = (bad.await, Upstream::always(json(WHOLE)).await);
    let gateway = Arc::new(Gateway::start([route([quick(&bad), provider(&good)])]).await);
    for _ in 0..3 {
        answers(&gateway, "target-1", "2").await;
    }
    status.store(200, Ordering::SeqCst);
    let probe = {
        let gateway = Arc::clone(&gateway);
        let is_back = async move || asked(&gateway).await.0 == "target-0";
        tokio::spawn(async move { eventually_asked(is_back).await })
    };
    eventually(|| bad.received().len() == 4).await;
    for _ in 0..5 {
        answers(&gateway, "target-1", "1").await;
    }
    assert_eq!(bad.received().len(), 4);
    gate.open();
    probe.await.unwrap();
    gate.open();
    answers(&gateway, "target-0", "1").await;
}

#[tokio::test]
async fn the_only_target_is_asked_however_often_it_has_failed() {
    let (bad, status) = switched().await;
    let gateway = Gateway::start([route([lasting(&bad)])]).await;
    status.store(400, Ordering::SeqCst);
    gateway.chat(ASK).await;
    status.store(500, Ordering::SeqCst);
    for _ in 0..4 {
        assert_eq!(gateway.chat(ASK).await.status, 500);
    }
    assert_eq!(metric(&gateway, "sluice_target_healthy", &bad), 0.0);
    status.store(200, Ordering::SeqCst);
    answers(&gateway, "target-0", "1").await;
    assert_eq!(metric(&gateway, "sluice_target_healthy", &bad), 1.0);
}

/// What a first target does with streams, and where the request after three of them goes.
async fn after_three(script: Script, leave: bool) -> String {
    let end = stream([chunk("Hello"), STOP.into(), "[DONE]".into()]);
    let (bad, good) = (Upstream::always(script).await, Upstream::always(end).await);
    let gateway = Gateway::start([route([lasting(&bad), provider(&good)])]).await;
    for count in 1..=3 {
        let response = gateway.send("/v1/chat/completions", STREAM).await;
        assert_eq!(response.headers()["x-sluice-target"], "target-0");
        let mut body = response.into_body();
        assert!(body.frame().await.unwrap().is_ok());
        match leave {
            true => {
                drop(body);
                eventually(|| gateway.ended("client_gone") == count).await;
            }
            false => {
                let _rest = body.collect().await;
                eventually(|| gateway.ended("incomplete") == count).await;
            }
        }
    }
    let response = gateway.send("/v1/chat/completions", STREAM).await;
    response.headers()["x-sluice-target"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn streams_that_break_after_their_first_content_count_as_failures() {
    let cut = vec![stream_head(), event(chunk("Hel")), Step::Close];
    assert_eq!(after_three(cut, false).await, "target-1");
    let error = r#"{"error":{"message":"overloaded","type":"server_error"}}"#;
    let error = stream([&*chunk("Hel"), error]);
    assert_eq!(after_three(error, false).await, "target-1");
}

#[tokio::test]
async fn callers_who_leave_never_count() {
    let endless = vec![stream_head(), event(chunk("Hel")), Step::Stall];
    assert_eq!(after_three(endless, true).await, "target-0");
}

#[tokio::test]
async fn who_has_had_enough_is_not_offered_before_the_time_it_names() {
    let headers = [("retry-after", "60")];
    let first = Upstream::scripted([whole(429, &headers, "slow down"), json(WHOLE)]).await;
    let second = Upstream::always(json(WHOLE)).await;
    let gateway = Gateway::start([route([provider(&first), provider(&second)])]).await;
    answers(&gateway, "target-1", "2").await;
    for _ in 0..3 {
        answers(&gateway, "target-1", "1").await;
    }
    assert_eq!(first.received().len(), 1);
    assert_eq!(metric(&gateway, "sluice_target_healthy", &first), 1.0, "it is not sick");
}

#[tokio::test]
async fn what_is_learned_outlives_a_reload() {
    let ((bad, status), good) = (switched().await, Upstream::always(json(WHOLE)).await);
    let routes = || route([lasting(&bad), provider(&good)]);
    let gateway = Gateway::start([routes()]).await;
    status.store(500, Ordering::SeqCst);
    for _ in 0..3 {
        answers(&gateway, "target-1", "2").await;
    }
    let mut changed = routes();
    changed.uid = "another".into();
    gateway.published.publish(Arc::new(snapshot([changed])));
    answers(&gateway, "target-1", "1").await;
}
