//! Balance and session of a route, limits and ejection of a provider.

use std::time::Duration;

use super::*;
use crate::snapshot::{AccountLimits, Balance, Ejection, SessionKey};

#[test]
fn what_is_not_said_has_its_default() {
    let compiled = compile(&inputs());
    let route = compiled.snapshot.routes.iter().next().unwrap();
    let provider = &route.rules[0].targets[0].provider;
    assert_eq!((route.rules[0].balance, route.session.len()), (Balance::Weighted, 0));
    assert!(provider.limits.is_unlimited());
    let [base, max] = [10, 300].map(Duration::from_secs);
    assert_eq!(provider.ejection, Ejection { consecutive_failures: 5, base, max });
}

#[test]
fn what_is_said_is_compiled() {
    let mut inputs = inputs();
    provider(
        &mut inputs,
        "a/limited",
        json!({
            "type": "Mock",
            "limits": {"concurrentRequests": 5, "tokensPerMinute": 2_000_000_000_000_i64},
            "health": {"ejection": {"consecutiveFailures": 2, "baseDuration": "500ms"}},
        }),
    );
    route(
        &mut inputs,
        "a/chat",
        1,
        json!({
            "models": ["chat"],
            "rules": [{"balance": "LeastBusy", "targets": [{"providerRef": {"name": "limited"}}]}],
            "session": {"key": ["header:X-Session", "body:metadata.id", "consumer+user"]},
        }),
    );
    let compiled = compile(&inputs);
    let route = compiled.snapshot.routes.iter().next().unwrap();
    assert_eq!(route.rules[0].balance, Balance::LeastBusy);
    let path = ["metadata".to_owned(), "id".to_owned()];
    let keys = [
        SessionKey::Header(http::HeaderName::from_static("x-session")),
        SessionKey::Body(path.into()),
        SessionKey::ConsumerAndUser,
    ];
    assert_eq!(route.session, keys);
    let provider = &route.rules[0].targets[0].provider;
    let limits = AccountLimits {
        concurrent_requests: Some(5),
        requests_per_minute: None,
        tokens_per_minute: Some(2_000_000_000_000),
    };
    assert_eq!(provider.limits, limits);
    let [base, max] = [Duration::from_millis(500), Duration::from_secs(300)];
    assert_eq!(provider.ejection, Ejection { consecutive_failures: 2, base, max });
}

#[test]
fn a_session_key_that_is_none_is_said() {
    let mut inputs = inputs();
    route(
        &mut inputs,
        "a/chat",
        1,
        json!({
            "models": ["chat"],
            "rules": [{"targets": [{"providerRef": {"name": "openai"}}]}],
            "session": {"key": ["cookie"]},
        }),
    );
    let compiled = compile(&inputs);
    let (reason, message) = only_problem(&verdict(&compiled, Kind::Route, "a/chat"));
    assert_eq!(reason, Reason::Invalid);
    assert!(message.contains("\"cookie\"") && message.contains("header:NAME"), "{message}");
}
