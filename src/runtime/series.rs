//! Keeps the metrics to what is configured.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::timeout};

use crate::{controller::Outcome, snapshot::Published, telemetry::Metrics};

/// How often series are removed that requests under way have brought back.
const AGAIN: Duration = Duration::from_secs(60);

/// Removes the series of what is no longer configured after each publication and now and then.
/// Ends with the control plane.
pub(super) async fn tidy(
    metrics: Arc<Metrics>,
    published: Arc<Published>,
    mut outcomes: watch::Receiver<Arc<Outcome>>,
) {
    loop {
        if let Ok(Err(_)) = timeout(AGAIN, outcomes.changed()).await {
            return;
        }
        // Before the first publication nothing is known to be gone.
        if outcomes.borrow_and_update().version > 0 {
            metrics.retain(&published.load());
        }
    }
}
