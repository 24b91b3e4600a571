//! Bounds that protect the process itself, whatever routes and budgets say.

use std::time::Duration;

/// Limits of the proxy. The defaults are the documented ones.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Largest request body, in bytes; 413 beyond.
    pub max_body: usize,
    /// Largest head of a request, in bytes; 431 beyond.
    pub max_headers: usize,
    /// Requests under way at one time; 503 beyond.
    pub concurrent_requests: usize,
    /// Longest time for a request's head to arrive.
    pub header_timeout: Duration,
    /// Longest silence inside a request's body; 408 beyond.
    pub body_idle: Duration,
    /// Longest time for a request's body to arrive, however steadily it does; 408 beyond. It is looked
    /// at whenever a piece comes, so that silence may add up to `body_idle`.
    pub body_total: Duration,
    /// Longest time that requests under way get to end after a shutdown began.
    pub drain: Duration,
    /// A stream whose provider is silent for this long gets a comment, so that nothing between cuts
    /// the connection.
    pub keep_alive_comment: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body: 32 << 20,
            max_headers: 64 << 10,
            concurrent_requests: 10_000,
            header_timeout: Duration::from_secs(10),
            body_idle: Duration::from_secs(30),
            body_total: Duration::from_secs(300),
            drain: Duration::from_secs(30),
            keep_alive_comment: Duration::from_secs(15),
        }
    }
}
