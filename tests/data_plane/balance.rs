//! Which target of one priority is asked, and what keeps requests together.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::HeaderName;
use sluice::{
    budget::{Price, Rate, Rates},
    snapshot::{Balance, Ejection, Model, Provider, Route, SessionKey},
};

use crate::{
    fixture::{
        ASK, Gateway, Reply, STOP, STREAM, WHOLE, chunk, eventually, eventually_asked, provider,
        route, targets_of,
    },
    upstream::{Gate, Step, Upstream, event, json, stream_head, whole},
};

/// A route whose targets are of one priority.
fn level(providers: impl IntoIterator<Item = Provider>, balance: Balance) -> Route {
    let mut route = route(providers);
    for target in targets_of(&mut route) {
        Arc::make_mut(target).priority = 0;
    }
    Arc::make_mut(&mut route.rules[0]).balance = balance;
    route
}

fn priced(upstream: &Upstream, price: Option<&str>) -> Provider {
    let rate = |price| Rate::from_usd_per_million(price).unwrap();
    let rates = |price| Rates { input: rate(price), output: rate(price), ..Rates::default() };
    let price = price.map(|price| Price::flat(rates(price)).into());
    let models = HashMap::from([("m".to_owned(), Model { price, ..Model::default() })]);
    Provider { models, ..provider(upstream) }
}

async fn target(gateway: &Gateway, body: impl Into<bytes::Bytes>) -> String {
    let reply = gateway.chat(body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.header("x-sluice-target").to_owned()
}

#[tokio::test]
async fn the_least_cost_is_asked_first_and_the_next_when_it_fails() {
    let upstreams = [
        Upstream::always(json(WHOLE)).await,
        Upstream::always(json(WHOLE)).await,
        Upstream::scripted([json(WHOLE), json(WHOLE), whole(500, &[], "no")]).await,
    ];
    let prices = [None, Some("3"), Some("2")];
    let providers = upstreams.iter().zip(prices).map(|(upstream, price)| priced(upstream, price));
    let gateway = Gateway::start([level(providers, Balance::LeastCost)]).await;
    let mut asked = Vec::new();
    for _ in 0..3 {
        asked.push(target(&gateway, ASK).await);
    }
    assert_eq!(asked, ["target-2", "target-2", "target-1"]);
    assert!(upstreams[0].received().is_empty(), "no price comes last");
}

/// Two upstreams: whichever gets the first request holds it in this state.
async fn one_holds(before: Vec<Step>, gate: &Gate) -> [Upstream; 2] {
    let is_first = Arc::new(AtomicBool::new(true));
    let upstream = || {
        let (is_first, gate, before) = (Arc::clone(&is_first), gate.clone(), before.clone());
        Upstream::answering(move |_| match is_first.swap(false, Ordering::SeqCst) {
            true => {
                let rest = [event(STOP), event("[DONE]"), Step::End];
                [before.clone(), vec![Step::Wait(gate.clone())], rest.into()].concat()
            }
            false => json(WHOLE),
        })
    };
    [upstream().await, upstream().await]
}

#[tokio::test]
async fn the_least_busy_is_asked_while_another_streams() {
    let gate = Gate::new();
    let upstreams = one_holds(vec![stream_head(), event(chunk("Hel"))], &gate).await;
    let route = level(upstreams.each_ref().map(provider), Balance::LeastBusy);
    let gateway = Gateway::start([route]).await;
    let response = gateway.send("/v1/chat/completions", STREAM).await;
    let busy = response.headers()["x-sluice-target"].to_str().unwrap().to_owned();
    for _ in 0..10 {
        assert_ne!(target(&gateway, ASK).await, busy);
    }
    gate.open();
    Reply::read(response).await;
    let mut asked = HashSet::new();
    for _ in 0..10 {
        asked.insert(target(&gateway, ASK).await);
    }
    assert!(asked.contains(&busy), "{asked:?}");
}

#[tokio::test]
async fn the_least_latency_is_asked_while_another_keeps_its_caller_waiting() {
    let gate = Gate::new();
    let upstreams = one_holds(vec![stream_head()], &gate).await;
    let route = level(upstreams.each_ref().map(provider), Balance::LeastLatency);
    let gateway = Arc::new(Gateway::start([route]).await);
    let waiting = {
        let gateway = Arc::clone(&gateway);
        tokio::spawn(async move { gateway.send("/v1/chat/completions", STREAM).await })
    };
    let received = || upstreams.each_ref().map(|upstream| upstream.received().len());
    eventually(|| received().iter().sum::<usize>() == 1).await;
    let slow = if received()[0] == 1 { "target-0" } else { "target-1" };
    for _ in 0..10 {
        assert_ne!(target(&gateway, ASK).await, slow);
    }
    gate.open();
    assert_eq!(waiting.await.unwrap().headers()["x-sluice-target"], slow);
}

fn by_header() -> Vec<SessionKey> {
    vec![SessionKey::Header(HeaderName::from_static("x-session"))]
}

async fn of_session(gateway: &Gateway, session: &str) -> String {
    let headers = [("authorization", "Bearer sk-test"), ("x-session", session)];
    let reply = Reply::read(gateway.send_with("/v1/chat/completions", &headers, ASK).await).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.header("x-sluice-target").to_owned()
}

#[tokio::test]
async fn a_session_stays_at_its_target_on_every_replica() {
    let upstreams = [Upstream::always(json(WHOLE)).await, Upstream::always(json(WHOLE)).await];
    let mut route = level(upstreams.each_ref().map(provider), Balance::Weighted);
    route.session = by_header();
    let replicas = [Gateway::start([route.clone()]).await, Gateway::start([route]).await];
    let mut used = HashSet::new();
    for session in 0..20 {
        let session = format!("conversation-{session}");
        let target = of_session(&replicas[0], &session).await;
        for replica in &replicas {
            assert_eq!(of_session(replica, &session).await, target);
        }
        used.insert(target);
    }
    assert_eq!(used.len(), 2);
}

#[tokio::test]
async fn a_session_leaves_a_target_that_fails_and_returns_to_it() {
    let is_bad = [false, false].map(|_| Arc::new(AtomicBool::new(false)));
    let upstream = |is_bad: &Arc<AtomicBool>| {
        let is_bad = Arc::clone(is_bad);
        Upstream::answering(move |_| match is_bad.load(Ordering::SeqCst) {
            true => whole(500, &[], "no"),
            false => json(WHOLE),
        })
    };
    let upstreams = [upstream(&is_bad[0]).await, upstream(&is_bad[1]).await];
    let base = Duration::from_millis(200);
    let ejection = Ejection { consecutive_failures: 1, base, max: base };
    let providers = upstreams.each_ref().map(|one| Provider { ejection, ..provider(one) });
    let mut route = level(providers, Balance::Weighted);
    route.session = by_header();
    let gateway = Gateway::start([route]).await;
    let home = of_session(&gateway, "s").await;
    let bad = &is_bad[if home == "target-0" { 0 } else { 1 }];
    bad.store(true, Ordering::SeqCst);
    assert_ne!(of_session(&gateway, "s").await, home);
    assert_ne!(of_session(&gateway, "s").await, home);
    bad.store(false, Ordering::SeqCst);
    // With its slow start over it is there for good.
    eventually_asked(async || {
        for _ in 0..5 {
            if of_session(&gateway, "s").await != home {
                return false;
            }
        }
        true
    })
    .await;
}

#[tokio::test]
async fn a_prompt_cache_key_is_a_session_where_the_route_names_none() {
    let upstreams = [Upstream::always(json(WHOLE)).await, Upstream::always(json(WHOLE)).await];
    let route = level(upstreams.each_ref().map(provider), Balance::Weighted);
    let gateway = Gateway::start([route]).await;
    let mut used = HashSet::new();
    for key in 0..20 {
        let body = format!(r#"{{"model":"chat","messages":[],"prompt_cache_key":"tenant-{key}"}}"#);
        let first = target(&gateway, body.clone()).await;
        for _ in 0..3 {
            assert_eq!(target(&gateway, body.clone()).await, first);
        }
        used.insert(first);
    }
    assert_eq!(used.len(), 2);
    let mut unkeyed = Vec::new();
    for _ in 0..4 {
        unkeyed.push(target(&gateway, ASK).await);
    }
    assert_eq!(unkeyed.iter().collect::<HashSet<_>>().len(), 2, "the others take turns");
}
