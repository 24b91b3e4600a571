//! What a route does about failing targets, from spec to runtime. Defaults are the runtime types' own.

use std::sync::Arc;

use crate::{
    api::{
        duration,
        failover::{self as api, FallbackFailure, RetriedFailure},
    },
    snapshot::{FailureClass, Fallback, Hedge, Retry, Rule, Target, TargetModel},
};

use super::Verdict;

/// Further tries of one target.
pub(super) fn retry(spec: Option<&api::Retry>) -> Retry {
    let default = Retry::default();
    let Some(api::Retry { attempts, failures, backoff, within }) = spec else { return default };
    let api::Backoff { base, max } = backoff.clone().unwrap_or_default();
    let base = base.as_ref().map_or(default.base, duration::Duration::get);
    let max = max.as_ref().map_or(default.max, duration::Duration::get);
    let attempts = attempts.and_then(|attempts| u32::try_from(attempts).ok());
    Retry {
        attempts: attempts.unwrap_or(default.attempts).max(1),
        on: match failures {
            Some(failures) => failures.iter().map(|failure| retried(*failure)).collect(),
            None => default.on,
        },
        base,
        max: max.max(base),
        within: within.as_ref().map_or(default.within, duration::Duration::get),
    }
}

/// Going to another target.
pub(super) fn fallback(spec: Option<&api::Fallback>) -> Fallback {
    match spec.and_then(|spec| spec.failures.as_ref()) {
        Some(failures) => {
            Fallback { on: failures.iter().map(|failure| falling_back(*failure)).collect() }
        }
        None => Fallback::default(),
    }
}

/// A second try beside a slow one.
pub(super) fn hedge(spec: Option<&api::Hedge>) -> Option<Hedge> {
    spec.map(|api::Hedge { delay }| Hedge { delay: delay.get() })
}

/// Says where a failure was opted into that leads to no target of any rule.
pub(super) fn warn(fallback: Fallback, rules: &[Arc<Rule>], verdict: &mut Verdict) {
    let leads = |class: FailureClass, to: fn(&Target, &Target) -> bool| {
        let pair = |rule: &Arc<Rule>| {
            let usable = || rule.targets.iter().filter(|target| target.weight > 0);
            usable().any(|from| usable().any(|other| to(from, other)))
        };
        !fallback.on.contains(class) || rules.iter().any(pair)
    };
    if !leads(FailureClass::ContextLength, may_be_larger) {
        let message = "fallback on ContextLength leads nowhere: no target is known to have a larger \
                       context window than another; set contextWindow in spec.models of the AIProvider";
        verdict.warnings.push(message.to_owned());
    }
    let is_another = |from: &Target, to: &Target| from.provider.uid != to.provider.uid;
    if !leads(FailureClass::ContentFilter, is_another) {
        let message =
            "fallback on ContentFilter leads nowhere: every target is of the same AIProvider";
        verdict.warnings.push(message.to_owned());
    }
}

/// Whether a request that is too long for one target may fit another.
fn may_be_larger(from: &Target, to: &Target) -> bool {
    // What callers name is known when they do.
    let window = |target: &Target| match &target.model {
        TargetModel::Fixed(model) => Some(target.provider.model(model).context_window),
        TargetModel::AsAsked | TargetModel::Star { .. } => None,
    };
    match (window(from), window(to)) {
        (Some(from), Some(to)) => to.is_some_and(|to| from.is_none_or(|from| to > from)),
        _ => !std::ptr::eq(from, to),
    }
}

fn retried(failure: RetriedFailure) -> FailureClass {
    match failure {
        RetriedFailure::Connect => FailureClass::Connect,
        RetriedFailure::FirstTokenTimeout => FailureClass::FirstTokenTimeout,
        RetriedFailure::RateLimited => FailureClass::RateLimited,
        RetriedFailure::ServerError => FailureClass::ServerError,
    }
}

fn falling_back(failure: FallbackFailure) -> FailureClass {
    match failure {
        FallbackFailure::Connect => FailureClass::Connect,
        FallbackFailure::FirstTokenTimeout => FailureClass::FirstTokenTimeout,
        FallbackFailure::RateLimited => FailureClass::RateLimited,
        FallbackFailure::ServerError => FailureClass::ServerError,
        FallbackFailure::Auth => FailureClass::Auth,
        FallbackFailure::ContextLength => FailureClass::ContextLength,
        FallbackFailure::ContentFilter => FailureClass::ContentFilter,
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
        let long = read(json!({"attempts": 5, "backoff": {"base": "30s"}, "failures": []}));
        assert_eq!((long.attempts, long.max), (5, Duration::from_secs(30)));
        assert!(!long.on.contains(FailureClass::Connect));
    }

    #[test]
    fn a_list_replaces_the_default_one() {
        assert_eq!(fallback(Some(&api::Fallback { failures: None })), Fallback::default());
        let failures = Some(vec![FallbackFailure::ContextLength]);
        let only = fallback(Some(&api::Fallback { failures }));
        assert!(only.on.contains(FailureClass::ContextLength));
        assert!(!only.on.contains(FailureClass::ServerError));
    }
}
