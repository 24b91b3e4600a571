//! What the owner of an AIProvider says of its account's limits and of when its models are left out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::duration::Duration;

/// The account's own limits at the provider. A target at a limit is passed over for another before the
/// provider has to refuse; if none is left, the caller gets 429. Each replica of the gateway counts for
/// itself.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.concurrentRequests) || has(self.requestsPerMinute) || has(self.tokensPerMinute)",
     "message": "limits names at least one of concurrentRequests, requestsPerMinute and tokensPerMinute: add one, or remove limits"}
]))]
pub struct ProviderLimits {
    /// The most calls under way at once; a stream counts until its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub concurrent_requests: Option<i64>,
    /// The most calls in any sixty seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub requests_per_minute: Option<i64>,
    /// The most tokens in any sixty seconds, input and output together. A call takes its input and the
    /// most that it may write beforehand, and what it has used in the end. One that is larger than the
    /// limit is sent when nothing else counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000_000_i64))]
    pub tokens_per_minute: Option<i64>,
}

/// When a model of this provider is left out, and how it comes back.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProviderHealth {
    /// What failing answers lead to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ejection: Option<EjectionSettings>,
    /// Checks without a request of a caller: the list of models is asked for, with the credential of
    /// requests, and of a Service at each endpoint. 401, 403, 5xx and silence are failures of every
    /// model; anything else lets requests try models that are left out. None if omitted; `{}` checks with
    /// the defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<ProbeSettings>,
}

/// When a provider is checked. Each replica of the gateway checks for itself.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "(has(self.timeout) ? duration(self.timeout) : duration('5s')) <= (has(self.interval) ? duration(self.interval) : duration('30s'))",
     "message": "timeout is at most interval: lower timeout (default 5s), or raise interval (default 30s)"}
]))]
pub struct ProbeSettings {
    /// From one check to the next, give or take a tenth: 1s to 1h. Default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [
        {"rule": "duration(self) >= duration('1s') && duration(self) <= duration('1h')",
         "message": "interval takes 1s to 1h, for example 30s; leave it out for the default of 30s"}
    ]))]
    pub interval: Option<Duration>,
    /// How long an answer may take: 10ms to 1m. Default 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [
        {"rule": "duration(self) >= duration('10ms') && duration(self) <= duration('1m')",
         "message": "timeout takes 10ms to 1m, for example 5s; leave it out for the default of 5s"}
    ]))]
    pub timeout: Option<Duration>,
}

/// A model that fails is left out for a time, which doubles each time that it fails again; then one
/// request at a time tries it. While every target of a rule is left out, the one that is back soonest
/// is used.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "(has(self.maxDuration) ? duration(self.maxDuration) : duration('5m')) >= (has(self.baseDuration) ? duration(self.baseDuration) : duration('10s'))",
     "message": "maxDuration is at least baseDuration: raise maxDuration (default 5m), or lower baseDuration (default 10s)"}
]))]
pub struct EjectionSettings {
    /// Failures in a row that leave a model out. More than half of at least 20 answers in 10 s do so
    /// as well. Default 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub consecutive_failures: Option<i64>,
    /// How long the first time lasts: 10ms to 1h. Default 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [
        {"rule": "duration(self) >= duration('10ms') && duration(self) <= duration('1h')",
         "message": "baseDuration takes 10ms to 1h, for example 10s; leave it out for the default of 10s"}
    ]))]
    pub base_duration: Option<Duration>,
    /// How long it lasts at most: 10ms to 24h. Default 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [
        {"rule": "duration(self) >= duration('10ms') && duration(self) <= duration('24h')",
         "message": "maxDuration takes 10ms to 24h, for example 5m; leave it out for the default of 5m"}
    ]))]
    pub max_duration: Option<Duration>,
}
