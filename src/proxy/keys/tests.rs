//! Turns and rests of keys.

use super::*;
use crate::{
    llm::Dialect,
    snapshot::{Endpoint, ObjectName, SecretString},
};

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
    assert_eq!(KeyPool::default().choose(&provider(&[]), ("m", &[]), now), Ok(None));
}

#[test]
fn keys_take_turns_by_weight() {
    let now = Instant::now();
    let (pool, provider) = (KeyPool::default(), provider(&[("a", 3), ("b", 1), ("c", 0)]));
    let mut counts = [0; 3];
    for _ in 0..400 {
        counts[pool.choose(&provider, ("m", &[]), now).unwrap().unwrap()] += 1;
    }
    assert!((297..=303).contains(&counts[0]), "{counts:?}");
    assert_eq!(counts[2], 0);
}

#[test]
fn a_refused_key_comes_back_after_five_minutes() {
    let now = Instant::now();
    let (pool, provider) = (KeyPool::default(), provider(&[("a", 1)]));
    pool.refuse(&provider, &provider.credentials[0], now);
    assert_eq!(pool.choose(&provider, ("m", &[]), now), Err(Exhausted));
    assert_eq!(pool.choose(&provider, ("m", &[]), now + REFUSED), Ok(Some(0)));
}

#[test]
fn a_replaced_key_is_a_new_key() {
    let now = Instant::now();
    let pool = KeyPool::default();
    let old = provider(&[("old", 1)]);
    pool.refuse(&old, &old.credentials[0], now);
    assert_eq!(pool.choose(&provider(&[("new", 1)]), ("m", &[]), now), Ok(Some(0)));
}

#[test]
fn a_limited_key_is_used_only_if_no_other_is_left() {
    let now = Instant::now();
    let (pool, provider) = (KeyPool::default(), provider(&[("a", 9), ("b", 1)]));
    pool.limit(&provider, &provider.credentials[0], now + Duration::from_secs(60), now);
    for _ in 0..20 {
        assert_eq!(pool.choose(&provider, ("m", &[]), now), Ok(Some(1)));
    }
    assert_eq!(pool.choose(&provider, ("m", &[1]), now), Ok(Some(0)));
    assert_eq!(pool.choose(&provider, ("m", &[0, 1]), now), Err(Exhausted));
}

#[test]
fn a_key_that_may_not_use_one_model_serves_the_others() {
    let now = Instant::now();
    let (pool, provider) = (KeyPool::default(), provider(&[("a", 1)]));
    pool.forbid(&provider, &provider.credentials[0], "m", now);
    assert_eq!(pool.choose(&provider, ("m", &[]), now), Err(Exhausted));
    assert_eq!(pool.choose(&provider, ("n", &[]), now), Ok(Some(0)));
    assert_eq!(pool.choose(&provider, ("m", &[]), now + REFUSED), Ok(Some(0)));
}
