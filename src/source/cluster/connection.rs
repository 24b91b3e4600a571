//! Whether the API server can be read: errors and recoveries of all watches, counted and logged.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tracing::{info, warn};

use crate::telemetry::control::{self, ControlMetrics};

/// The state of all watches together.
pub(super) struct Connection {
    metrics: Arc<ControlMetrics>,
    failing: AtomicUsize,
}

impl Connection {
    pub(super) fn new(metrics: Arc<ControlMetrics>) -> Arc<Self> {
        metrics.source_connected.set(1);
        Arc::new(Self { metrics, failing: AtomicUsize::new(0) })
    }

    /// A watch of `kind` had an error. Only the first of a row changes the state, and only the
    /// first watch that fails is worth a line: when the API server goes, all of them fail.
    /// `is_answer`: the API server itself said so, as it does when a watch has grown too old.
    pub(super) fn error(&self, kind: &str, is_first: bool, is_answer: bool, error: &str) {
        self.metrics.watch_errors.with_label_values(&[kind]).inc();
        if is_first && self.failing.fetch_add(1, Ordering::Relaxed) == 0 {
            self.metrics.source_connected.set(0);
            let what = "what was read before, if anything, stays in use";
            if is_answer {
                info!(kind, error, "a watch was interrupted; {what}");
            } else {
                warn!(kind, error, "the API server can't be reached; {what}");
            }
        }
    }

    /// A watch that nothing depends on was refused.
    pub(super) fn refused(&self, kind: &str) {
        self.metrics.watch_errors.with_label_values(&[kind]).inc();
    }

    /// A watch that had failed works again.
    pub(super) fn recovered(&self) {
        if self.given_up() {
            info!("every watch works again");
        }
    }

    /// A watch that had failed is no longer wanted. Whether no other is failing.
    pub(super) fn given_up(&self) -> bool {
        let was_last = self.failing.fetch_sub(1, Ordering::Relaxed) == 1;
        if was_last {
            self.metrics.source_connected.set(1);
        }
        was_last
    }

    /// A watch heard of an object.
    pub(super) fn heard(&self) {
        self.metrics.last_contact.set(control::now());
    }
}
