//! The limits, the ejection and the checks of an AIProvider.

use crate::{
    api::{AIProviderSpec, duration::Duration},
    snapshot::{AccountLimits, Ejection, Probe},
};

/// The account's limits.
pub fn limits(spec: &AIProviderSpec) -> AccountLimits {
    let Some(limits) = &spec.limits else { return AccountLimits::default() };
    let count = |limit: Option<i64>| limit.and_then(|limit| u64::try_from(limit).ok());
    AccountLimits {
        concurrent_requests: count(limits.concurrent_requests)
            .map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)),
        requests_per_minute: count(limits.requests_per_minute),
        tokens_per_minute: count(limits.tokens_per_minute),
    }
}

/// When its models are left out.
pub fn ejection(spec: &AIProviderSpec) -> Ejection {
    let default = Ejection::default();
    let settings = spec.health.as_ref().and_then(|health| health.ejection.as_ref());
    let Some(settings) = settings else { return default };
    let failures = settings.consecutive_failures.and_then(|count| u32::try_from(count).ok());
    Ejection {
        consecutive_failures: failures.unwrap_or(default.consecutive_failures),
        base: settings.base_duration.as_ref().map_or(default.base, Duration::get),
        max: settings.max_duration.as_ref().map_or(default.max, Duration::get),
    }
}

/// How it is checked, if it is.
pub fn probe(spec: &AIProviderSpec) -> Option<Probe> {
    let settings = spec.health.as_ref()?.probe.as_ref()?;
    let default = Probe::default();
    Some(Probe {
        interval: settings.interval.as_ref().map_or(default.interval, Duration::get),
        timeout: settings.timeout.as_ref().map_or(default.timeout, Duration::get),
    })
}
