//! Bounds and times of the sockets. Bounds of a request's meaning belong to the pipeline.

use std::time::Duration;

/// Limits of a server. The defaults are the documented ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerLimits {
    /// Requests under way at one time; 503 beyond.
    pub concurrent_requests: usize,
    /// Open connections; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Largest head of a request, in bytes, at least 8192; 431 beyond.
    pub max_headers: usize,
    /// Longest time for a request's head to arrive, and for a TLS handshake.
    pub header_timeout: Duration,
    /// Longest time that a connection stays open without a request. It is longer than what load
    /// balancers keep (60 s by default), so that they and not we close first.
    pub keep_alive: Duration,
    /// Longest time that requests under way get to end after a shutdown began.
    pub drain: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            concurrent_requests: 10_000,
            connections: 20_000,
            max_headers: 64 << 10,
            header_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(120),
            drain: Duration::from_secs(30),
        }
    }
}
