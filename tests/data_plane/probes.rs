//! Checks without a request of a caller: what they find, and when they end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use sluice::snapshot::{Backend, Ejection, Endpoint, Probe, Provider};

use crate::{
    fixture::{ASK, Gateway, WHOLE, credential, provider, route, snapshot},
    upstream::{Received, Upstream, json, whole},
};

/// A bound for what comes within moments; a test that works does not wait for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Checked all the time, left out after three failures and for longer than a test lasts.
fn probed(upstream: &Upstream) -> Provider {
    let hour = Duration::from_secs(3600);
    Provider {
        probe: Some(Probe { interval: Duration::from_millis(20), timeout: PATIENCE }),
        ejection: Ejection { consecutive_failures: 3, base: hour, max: hour },
        ..provider(upstream)
    }
}

/// An upstream that answers checks with the status of the moment, and requests well.
async fn checked() -> (Upstream, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(200));
    let shown = Arc::clone(&status);
    let upstream = Upstream::answering(move |request: &Received| match &*request.method {
        "GET" => whole(shown.load(Ordering::SeqCst), &[], "{}"),
        _ => json(WHOLE),
    });
    (upstream.await, status)
}

fn checks(upstream: &Upstream) -> Vec<Received> {
    upstream.received().into_iter().filter(|request| request.method == "GET").collect()
}

fn requests(upstream: &Upstream) -> usize {
    upstream.received().len() - checks(upstream).len()
}

async fn target(gateway: &Gateway) -> String {
    let reply = gateway.chat(ASK).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.header("x-sluice-target").to_owned()
}

/// Waits until something holds.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

/// Whether the metrics show the first target as one that requests are sent to.
fn is_healthy(gateway: &Gateway, provider: &Provider) -> Option<bool> {
    let families = gateway.metrics.registry.gather();
    let family = families.iter().find(|family| family.name() == "sluice_target_healthy")?;
    let name = provider.name.to_string();
    let is_it = |label: &prometheus::proto::LabelPair| label.value() == name;
    let series = family.get_metric().iter().find(|m| m.get_label().iter().any(is_it))?;
    Some(series.get_gauge().get_value() > 0.0)
}

#[tokio::test]
async fn a_provider_that_is_away_is_found_before_a_request_and_back_without_one() {
    let ((away, status), other) = (checked().await, Upstream::always(json(WHOLE)).await);
    status.store(503, Ordering::SeqCst);
    let first = probed(&away);
    let gateway = Gateway::start([route([first.clone(), provider(&other)])]).await;
    eventually("left out", async || is_healthy(&gateway, &first) == Some(false)).await;
    assert_eq!(target(&gateway).await, "target-1");
    assert_eq!(requests(&away), 0, "no request has paid for it");
    status.store(200, Ordering::SeqCst);
    eventually("back, an hour early", async || target(&gateway).await == "target-0").await;
    assert!(checks(&other).is_empty(), "who has no probe is not checked");
}

#[tokio::test]
async fn a_check_asks_for_the_models_with_the_providers_credential() {
    let (upstream, _) = checked().await;
    let mut provider = probed(&upstream);
    provider.credentials = vec![credential("sk-upstream")];
    let _gateway = Gateway::start([route([provider])]).await;
    eventually("a check", async || !checks(&upstream).is_empty()).await;
    let check = checks(&upstream).remove(0);
    assert_eq!(
        (&*check.path, check.header("authorization")),
        ("/v1/models", Some("Bearer sk-upstream"))
    );
    assert!(check.body.is_empty());
}

#[tokio::test]
async fn what_answers_is_alive_unless_it_refuses_the_credential() {
    for (status, alive) in [(404, true), (429, true), (401, false), (403, false), (500, false)] {
        let ((upstream, shown), other) = (checked().await, Upstream::always(json(WHOLE)).await);
        shown.store(status, Ordering::SeqCst);
        let first = probed(&upstream);
        let gateway = Gateway::start([route([first.clone(), provider(&other)])]).await;
        if alive {
            eventually("checks", async || checks(&upstream).len() > 5).await;
            assert_eq!(target(&gateway).await, "target-0", "{status}");
        } else {
            eventually("left out", async || is_healthy(&gateway, &first) == Some(false)).await;
            assert_eq!(target(&gateway).await, "target-1", "{status}");
        }
    }
}

#[tokio::test]
async fn a_provider_that_is_removed_is_not_checked_any_more() {
    let ((removed, _), (kept, _)) = (checked().await, checked().await);
    let gateway = Gateway::start([route([probed(&removed), probed(&kept)])]).await;
    eventually("checks of both", async || {
        !checks(&removed).is_empty() && !checks(&kept).is_empty()
    })
    .await;
    gateway.published.publish(Arc::new(snapshot([route([probed(&kept)])])));
    eventually("no check of one during many of the other", async || {
        let (before, other) = (checks(&removed).len(), checks(&kept).len());
        eventually("checks of the other", async || checks(&kept).len() > other + 20).await;
        checks(&removed).len() == before
    })
    .await;
}

#[tokio::test]
async fn each_backend_of_a_service_is_checked_and_a_dead_one_gets_no_requests() {
    let ((good, _), (dead, status)) = (checked().await, checked().await);
    status.store(500, Ordering::SeqCst);
    let backend =
        |upstream: &Upstream| Backend { address: upstream.address(), zone: None, is_near: false };
    let mut provider = probed(&good);
    provider.backends = Some([backend(&good), backend(&dead)].into());
    if let Endpoint::Http { authority, .. } = &mut provider.endpoint {
        *authority = "llm.team.svc:80".parse().unwrap();
    }
    let gateway = Gateway::start([route([provider])]).await;
    eventually("both are checked", async || checks(&good).len() > 2 && checks(&dead).len() > 2)
        .await;
    assert_eq!(checks(&dead)[0].header("host"), Some("llm.team.svc"));
    let before = requests(&dead);
    for _ in 0..20 {
        assert_eq!(target(&gateway).await, "target-0");
    }
    assert_eq!((requests(&dead), requests(&good)), (before, 20));
    status.store(200, Ordering::SeqCst);
    eventually("it gets requests again", async || {
        target(&gateway).await;
        requests(&dead) > before
    })
    .await;
}
