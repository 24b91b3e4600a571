//! What the owner of a provider says of its account and of its health: bounds only. What is counted
//! against them lives in `route`.

use std::time::Duration;

/// The account's own limits; `None` is unlimited. Every replica counts for itself.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AccountLimits {
    /// Calls under way, streams until their end.
    pub concurrent_requests: Option<u32>,
    /// Calls in any minute.
    pub requests_per_minute: Option<u64>,
    /// Tokens in any minute, input and output together.
    pub tokens_per_minute: Option<u64>,
}

impl AccountLimits {
    /// Whether nothing is limited.
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}

/// How a provider is checked without a request of a caller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Probe {
    /// From one check to the next.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
}

impl Default for Probe {
    fn default() -> Self {
        Self { interval: Duration::from_secs(30), timeout: Duration::from_secs(5) }
    }
}

/// When a target of a provider is left out, and for how long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ejection {
    /// Failures in a row that eject.
    pub consecutive_failures: u32,
    /// Length of the first ejection; each that follows is twice as long.
    pub base: Duration,
    /// Length of the longest.
    pub max: Duration,
}

impl Default for Ejection {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            base: Duration::from_secs(10),
            max: Duration::from_secs(5 * 60),
        }
    }
}
