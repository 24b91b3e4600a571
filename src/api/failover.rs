//! What an AIRoute does about targets that fail: retry, fallback, hedge.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration::Duration;

/// Further tries of the same target. They begin when every target that may answer has been tried, and
/// end with the first content that the caller gets.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retry {
    /// Tries of one target inside one request, the first included; 1 is no retry. Default 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 5))]
    pub attempts: Option<i32>,
    /// Failures after which a target is tried again. Default: all four.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4), extend("x-kubernetes-list-type" = "set"))]
    pub failures: Option<Vec<RetriedFailure>>,
    /// Pauses between the rounds. A wait that the provider asks for (retry-after) is kept as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// Counted from the request's start: a failure later than this is not retried, and no retry
    /// begins later. 0s to 24h. Default 20s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [
        {"rule": "duration(self) <= duration('24h')",
         "message": "within takes 0s to 24h, for example 20s; leave it out for the default"}
    ]))]
    pub within: Option<Duration>,
}

/// The pause before round n of retries is base * 2^n, at most max, made up to a fifth longer or
/// shorter by chance.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!has(self.base) || !has(self.max) || duration(self.base) <= duration(self.max)",
     "message": "base is longer than max: make max at least as long"}
]))]
pub struct Backoff {
    /// The first pause: 10ms to 1m. Default 200ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [
        {"rule": "duration(self) >= duration('10ms') && duration(self) <= duration('1m')",
         "message": "base takes 10ms to 1m, for example 200ms; leave it out for the default"}
    ]))]
    pub base: Option<Duration>,
    /// The longest pause: 10ms to 10m. Default 5s, or base if that is longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [
        {"rule": "duration(self) >= duration('10ms') && duration(self) <= duration('10m')",
         "message": "max takes 10ms to 10m, for example 5s; leave it out for the default"}
    ]))]
    pub max: Option<Duration>,
}

/// A failure after which the same target may do better.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum RetriedFailure {
    /// No connection could be made: refused, unreachable, no such name, TLS failed.
    Connect,
    /// The first content did not come within timeouts.firstToken.
    FirstTokenTimeout,
    /// The provider said 429, with every key there is.
    RateLimited,
    /// The provider failed: 408, 409, 425, 500, 502, 503, 504 or 520 to 530, as a status or as an error
    /// inside a 200; or its answer broke off, was empty or can't be read, before any content went to
    /// the caller.
    ServerError,
}

/// Going to another target.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fallback {
    /// Failures after which another target is tried, at once. Default: Connect, FirstTokenTimeout,
    /// RateLimited, ServerError and Auth. An empty list: none, so that a request stays with the
    /// target that was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 7), extend("x-kubernetes-list-type" = "set"))]
    pub failures: Option<Vec<FallbackFailure>>,
}

/// A failure after which another target may do better.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum FallbackFailure {
    /// No connection could be made: refused, unreachable, no such name, TLS failed.
    Connect,
    /// The first content did not come within timeouts.firstToken.
    FirstTokenTimeout,
    /// The provider said 429, with every key there is.
    RateLimited,
    /// The provider failed: 408, 409, 425, 500, 502, 503, 504 or 520 to 530, as a status or as an error
    /// inside a 200; or its answer broke off, was empty or can't be read, before any content went to
    /// the caller.
    ServerError,
    /// The provider refused every key (401, 402, 403), or there is no credential to send.
    Auth,
    /// The request is longer than the model takes. Only targets are tried of whose model a larger
    /// contextWindow is known, from the AIProvider or the price lists.
    ContextLength,
    /// The provider's filter blocked the request or the whole answer. Only targets of another
    /// AIProvider are tried; if none answers, the caller gets what the first one said.
    ContentFilter,
}

/// A second try beside one that is slow; the first answer is used, and the other try is broken off.
/// What the broken-off try has read is charged as an estimate.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hedge {
    /// How long the first try has for its first content (streams) or its answer before a second one
    /// starts on the next target, or on the same one if there is no other: 10ms to 60s. Choose a time
    /// that few answers take longer than.
    #[schemars(extend("x-kubernetes-validations" = [
        {"rule": "duration(self) >= duration('10ms') && duration(self) <= duration('60s')",
         "message": "delay takes 10ms to 60s, for example 800ms"}
    ]))]
    pub delay: Duration,
}
