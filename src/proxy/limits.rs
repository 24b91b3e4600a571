//! Bounds of a request that protect the process itself, whatever routes and budgets say. Those of
//! connections are the server's.

use std::time::Duration;

/// Limits of the pipeline. The defaults are the documented ones.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Largest request body, in bytes; 413 beyond.
    pub max_body: usize,
    /// Longest silence inside a request's body; 408 beyond.
    pub body_idle: Duration,
    /// Longest time for a request's body to arrive, however steadily it does; 408 beyond. It is looked
    /// at whenever a piece comes, so that silence may add up to `body_idle`.
    pub body_total: Duration,
    /// A stream whose provider is silent for this long gets a comment, so that nothing between cuts
    /// the connection.
    pub keep_alive_comment: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body: 32 << 20,
            body_idle: Duration::from_secs(30),
            body_total: Duration::from_secs(300),
            keep_alive_comment: Duration::from_secs(15),
        }
    }
}
