//! Turns and rests of keys.

use super::*;
use crate::{
    llm::Dialect,
    snapshot::{Endpoint, ObjectName, SecretString},
};

const M: Wanted<'_> = Wanted { model: "m", tried: &[], was_limited: false };

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn provider(keys: &[(&str, u32)]) -> Provider {
    let credential = |(key, weight): &(&str, u32)| Credential {
        source: "secret/key".into(),
        key: SecretString::new((*key).to_owned()),
        weight: *weight,
    };
    Provider {
        name: ObjectName::new("team", "provider"),
        uid: "uid".into(),
        kind: "OpenAI",
        dialects: &[Dialect::OpenAi],
        quirks: crate::llm::Quirks::NONE,
        addressing: Default::default(),
        key_header: Default::default(),
        identity: None,
        probe: None,
        backends: None,
        endpoint: Endpoint::Mock,
        credentials: keys.iter().map(credential).collect(),
        headers: Vec::new(),
        models: HashMap::new(),
        prices: Vec::new(),
        connect_timeout: Duration::from_secs(5),
        limits: Default::default(),
        ejection: Default::default(),
    }
}

#[test]
fn a_provider_without_keys_needs_none() {
    let now = Instant::now();
    assert_eq!(KeyPool::default().choose(&provider(&[]), M, now), Ok(None));
}

#[test]
fn keys_take_turns_by_weight() {
    let now = Instant::now();
    let (pool, provider) = (KeyPool::default(), provider(&[("a", 3), ("b", 1), ("c", 0)]));
    let mut counts = [0; 3];
    for _ in 0..400 {
        counts[pool.choose(&provider, M, now).unwrap().unwrap()] += 1;
    }
    assert!((297..=303).contains(&counts[0]), "{counts:?}");
    assert_eq!(counts[2], 0);
}

#[test]
fn a_refused_key_comes_back_after_five_minutes() {
    let now = Instant::now();
    let (pool, provider) = (KeyPool::default(), provider(&[("a", 1)]));
    pool.refuse(&provider, &provider.credentials[0], now);
    assert_eq!(pool.choose(&provider, M, now), Err(Exhausted));
    assert_eq!(pool.choose(&provider, M, now + REFUSED), Ok(Some(0)));
}

#[test]
fn a_replaced_key_is_a_new_key() {
    let now = Instant::now();
    let pool = KeyPool::default();
    let old = provider(&[("old", 1)]);
    pool.refuse(&old, &old.credentials[0], now);
    assert_eq!(pool.choose(&provider(&[("new", 1)]), M, now), Ok(Some(0)));
}

#[test]
fn a_limited_key_is_used_only_if_no_other_is_left() {
    let now = Instant::now();
    let (pool, provider) = (KeyPool::default(), provider(&[("a", 9), ("b", 1)]));
    pool.limit(&provider, &provider.credentials[0], Some(seconds(60)), now);
    for _ in 0..20 {
        assert_eq!(pool.choose(&provider, M, now), Ok(Some(1)));
    }
    let limited = Wanted { tried: &[1], was_limited: true, ..M };
    assert_eq!(pool.choose(&provider, limited, now), Err(Exhausted), "so was the other");
    assert_eq!(pool.choose(&provider, Wanted { tried: &[1], ..M }, now), Ok(Some(0)));
    assert_eq!(pool.choose(&provider, Wanted { tried: &[0, 1], ..M }, now), Err(Exhausted));
}

#[test]
fn a_key_that_may_not_use_one_model_serves_the_others() {
    let now = Instant::now();
    let (pool, provider) = (KeyPool::default(), provider(&[("a", 1)]));
    pool.forbid(&provider, &provider.credentials[0], "m", now);
    assert_eq!(pool.choose(&provider, M, now), Err(Exhausted));
    assert_eq!(pool.choose(&provider, Wanted { model: "n", ..M }, now), Ok(Some(0)));
    assert_eq!(pool.choose(&provider, M, now + REFUSED), Ok(Some(0)));
}

#[test]
fn of_keys_that_all_rest_the_one_that_is_back_soonest_is_asked() {
    let now = Instant::now();
    let (pool, provider) = (KeyPool::default(), provider(&[("a", 9), ("b", 1), ("c", 1)]));
    for (key, wait) in [(0, 60), (1, 30), (2, 45)] {
        pool.limit(&provider, &provider.credentials[key], Some(seconds(wait)), now);
    }
    assert_eq!(pool.choose(&provider, M, now), Ok(Some(1)));
    let limited = Wanted { tried: &[1], was_limited: true, ..M };
    assert_eq!(pool.choose(&provider, limited, now), Err(Exhausted));
    assert_eq!(pool.choose(&provider, M, now + seconds(45)).map(|key| key != Some(0)), Ok(true));
}

#[test]
fn a_limit_without_a_time_makes_rests_that_grow() {
    let mut now = Instant::now();
    let (pool, provider) = (KeyPool::default(), provider(&[("a", 1), ("b", 1)]));
    let mut rests = Vec::new();
    for _ in 0..7 {
        let began = now;
        pool.limit(&provider, &provider.credentials[0], None, now);
        // Another request that was under way at the same time.
        pool.limit(&provider, &provider.credentials[0], None, now);
        let is_back = |now| (0..4).any(|_| pool.choose(&provider, M, now) == Ok(Some(0)));
        while !is_back(now) {
            now += seconds(1);
        }
        rests.push((now - began).as_secs());
    }
    assert_eq!(rests, [1, 2, 4, 8, 16, 32, 32]);
    now += seconds(32);
    pool.limit(&provider, &provider.credentials[0], None, now);
    now += seconds(1);
    assert!(
        (0..4).any(|_| pool.choose(&provider, M, now) == Ok(Some(0))),
        "it was well for as long"
    );
}

#[test]
fn a_key_without_money_is_asked_only_if_no_other_is_left() {
    let now = Instant::now();
    let (pool, both) = (KeyPool::default(), provider(&[("a", 1), ("b", 1)]));
    pool.unpaid(&both, &both.credentials[0], now);
    for _ in 0..4 {
        assert_eq!(pool.choose(&both, M, now), Ok(Some(1)));
    }
    assert_eq!(pool.choose(&provider(&[("a", 1)]), M, now), Ok(Some(0)));
}

#[test]
fn what_one_endpoint_says_of_a_key_is_not_said_of_another() {
    let now = Instant::now();
    let at = |authority: &str| Provider {
        endpoint: Endpoint::Http {
            scheme: http::uri::Scheme::HTTPS,
            authority: authority.parse().unwrap(),
            base_path: "/v1".into(),
        },
        ..provider(&[("a", 1)])
    };
    let (pool, wrong, right) = (KeyPool::default(), at("wrong.test"), at("right.test"));
    pool.refuse(&wrong, &wrong.credentials[0], now);
    assert_eq!(pool.choose(&wrong, M, now), Err(Exhausted));
    assert_eq!(pool.choose(&right, M, now), Ok(Some(0)));
}
