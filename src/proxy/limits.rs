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
    /// Longest time in which a direct call moves no byte in either direction, but for the caller's
    /// own silence, which `body_idle` bounds; 504 beyond, or a cut connection once the answer runs.
    pub direct_idle: Duration,
    /// Longest time of a direct call, however steadily its bytes move.
    pub direct_total: Duration,
    /// Longest time in which a realtime session moves no byte in either direction.
    pub realtime_idle: Duration,
    /// Longest time of a realtime session; OpenAI ends its own after an hour.
    pub realtime_total: Duration,
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
            direct_idle: Duration::from_secs(300),
            direct_total: Duration::from_secs(3600),
            realtime_idle: Duration::from_secs(300),
            realtime_total: Duration::from_secs(3600),
            keep_alive_comment: Duration::from_secs(15),
        }
    }
}
