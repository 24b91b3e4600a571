//! Several keys of one provider: which is used, which rests, and what each call takes of the account.

use http::StatusCode;
use sluice::snapshot::{AccountLimits, Provider};

use crate::{
    fixture::{ASK, Gateway, WHOLE, credential, provider, route, snapshot},
    upstream::{Script, Upstream, json, whole},
};

/// A provider with two keys, of which the first is answered by this and the second well.
async fn two_keys(bad: Script) -> (Upstream, Provider) {
    let upstream = Upstream::answering(move |request| match request.header("authorization") {
        Some("Bearer sk-good") => json(WHOLE),
        _ => bad.clone(),
    });
    keyed(upstream.await)
}

fn keyed(upstream: Upstream) -> (Upstream, Provider) {
    let credentials = vec![credential("sk-bad"), credential("sk-good")];
    let provider = Provider { credentials, ..provider(&upstream) };
    (upstream, provider)
}

fn asked_with(upstream: &Upstream, key: &str) -> usize {
    let received = upstream.received();
    received.iter().filter(|request| request.header("authorization") == Some(key)).count()
}

#[tokio::test]
async fn a_refused_unpaid_or_limited_key_gives_way_to_another() {
    let statuses = [401, 402, 403, 429].map(|status| whole(status, &[("retry-after", "60")], "no"));
    let words = ["authentication_error", "billing_error", "permission_error", "rate_limit_error"];
    let errors = words.map(|word| {
        let error = format!(r#"{{"error":{{"message":"no","type":"{word}"}}}}"#);
        whole(200, &[("content-type", "application/json"), ("retry-after", "60")], error)
    });
    for (case, bad) in statuses.into_iter().chain(errors).enumerate() {
        let (upstream, provider) = two_keys(bad).await;
        let gateway = Gateway::start([route([provider])]).await;
        for _ in 0..4 {
            assert_eq!(gateway.chat(ASK).await.status, StatusCode::OK, "{case}");
        }
        let bad = asked_with(&upstream, "Bearer sk-bad");
        assert_eq!(bad, 1, "{case}: the key rests after its first failure");
    }
}

#[tokio::test]
async fn a_key_that_rests_is_not_asked_beside_one_that_was_just_limited() {
    for (status, told) in [(429, StatusCode::TOO_MANY_REQUESTS), (402, StatusCode::BAD_GATEWAY)] {
        let limited = whole(status, &[("retry-after", "60")], "no");
        let (upstream, provider) = keyed(Upstream::always(limited).await);
        let mut route = route([provider]);
        route.retry.attempts = 1;
        let gateway = Gateway::start([route]).await;
        for calls in [2, 3, 4, 5] {
            assert_eq!(gateway.chat(ASK).await.status, told);
            assert_eq!(upstream.received().len(), calls, "{status}");
        }
    }
}

#[tokio::test]
async fn what_a_wrong_server_said_of_a_key_is_forgotten_with_it() {
    let wrong = Upstream::always(whole(401, &[], "who are you")).await;
    let right = Upstream::always(json(WHOLE)).await;
    let at = |upstream: &Upstream| Provider {
        uid: "same".into(),
        credentials: vec![credential("sk-upstream")],
        ..provider(upstream)
    };
    let gateway = Gateway::start([route([at(&wrong)])]).await;
    for _ in 0..2 {
        assert_eq!(gateway.chat(ASK).await.code(), "upstream_credentials_exhausted");
    }
    assert_eq!(wrong.received().len(), 1);
    gateway.published.publish(std::sync::Arc::new(snapshot([route([at(&right)])])));
    assert_eq!(gateway.chat(ASK).await.text(), WHOLE);
}

#[tokio::test]
async fn each_call_takes_a_request_of_the_account() {
    let limited = whole(429, &[("retry-after", "60")], "slow down");
    let (upstream, provider) = keyed(Upstream::always(limited).await);
    let limits = AccountLimits { requests_per_minute: Some(3), ..AccountLimits::default() };
    let mut route = route([Provider { limits, ..provider }]);
    route.retry.attempts = 1;
    let gateway = Gateway::start([route]).await;
    for _ in 0..3 {
        assert_eq!(gateway.chat(ASK).await.status, StatusCode::TOO_MANY_REQUESTS);
    }
    assert_eq!(upstream.received().len(), 3);
    assert_eq!(gateway.chat(ASK).await.code(), "provider_limit");
}

#[tokio::test]
async fn a_second_key_is_not_asked_where_the_account_has_no_room() {
    let (upstream, provider) = two_keys(whole(403, &[], "no")).await;
    let limits = AccountLimits { requests_per_minute: Some(1), ..AccountLimits::default() };
    let gateway = Gateway::start([route([Provider { limits, ..provider }])]).await;
    gateway.chat(ASK).await;
    gateway.chat(ASK).await;
    assert_eq!(upstream.received().len(), 1);
}
