//! What a route does about failing targets, from spec to runtime. Defaults are the runtime types' own.

use crate::{
    api::{
        duration,
        failover::{self as api, FallbackOn, RetryOn},
    },
    snapshot::{FailureClass, Fallback, Hedge, Retry},
};

/// Further tries of one target.
pub(super) fn retry(spec: Option<&api::Retry>) -> Retry {
    let default = Retry::default();
    let Some(api::Retry { attempts, on, backoff, within }) = spec else { return default };
    let api::Backoff { base, max } = backoff.clone().unwrap_or_default();
    let base = base.as_ref().map_or(default.base, duration::Duration::get);
    let max = max.as_ref().map_or(default.max, duration::Duration::get);
    let attempts = attempts.and_then(|attempts| u32::try_from(attempts).ok());
    Retry {
        attempts: attempts.unwrap_or(default.attempts).max(1),
        on: match on {
            Some(on) => on.iter().map(|on| retried(*on)).collect(),
            None => default.on,
        },
        base,
        max: max.max(base),
        within: within.as_ref().map_or(default.within, duration::Duration::get),
    }
}

/// Going to another target.
pub(super) fn fallback(spec: Option<&api::Fallback>) -> Fallback {
    match spec.and_then(|spec| spec.on.as_ref()) {
        Some(on) => Fallback { on: on.iter().map(|on| falling_back(*on)).collect() },
        None => Fallback::default(),
    }
}

/// A second try beside a slow one.
pub(super) fn hedge(spec: Option<&api::Hedge>) -> Option<Hedge> {
    spec.map(|api::Hedge { delay }| Hedge { delay: delay.get() })
}

fn retried(on: RetryOn) -> FailureClass {
    match on {
        RetryOn::Connect => FailureClass::Connect,
        RetryOn::FirstTokenTimeout => FailureClass::FirstTokenTimeout,
        RetryOn::RateLimited => FailureClass::RateLimited,
        RetryOn::ServerError => FailureClass::ServerError,
    }
}

fn falling_back(on: FallbackOn) -> FailureClass {
    match on {
        FallbackOn::Connect => FailureClass::Connect,
        FallbackOn::FirstTokenTimeout => FailureClass::FirstTokenTimeout,
        FallbackOn::RateLimited => FailureClass::RateLimited,
        FallbackOn::ServerError => FailureClass::ServerError,
        FallbackOn::Auth => FailureClass::Auth,
        FallbackOn::ContextLength => FailureClass::ContextLength,
        FallbackOn::ContentFilter => FailureClass::ContentFilter,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_left_out_has_the_defaults() {
        let read = |spec| retry(Some(&serde_json::from_value(spec).unwrap()));
        assert_eq!((retry(None), read(json!({}))), (Retry::default(), Retry::default()));
        let long = read(json!({"attempts": 5, "backoff": {"base": "30s"}, "on": []}));
        assert_eq!((long.attempts, long.max), (5, Duration::from_secs(30)));
        assert!(!long.on.contains(FailureClass::Connect));
    }

    #[test]
    fn a_list_replaces_the_default_one() {
        assert_eq!(fallback(Some(&api::Fallback { on: None })), Fallback::default());
        let only = fallback(Some(&api::Fallback { on: Some(vec![FallbackOn::ContextLength]) }));
        assert!(only.on.contains(FailureClass::ContextLength));
        assert!(!only.on.contains(FailureClass::ServerError));
    }
}
