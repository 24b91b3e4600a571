//! How far a shutdown is, for all who must act on it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Waker};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// The stages of a shutdown: serving, draining, expired, closed. Clones share one state, and no stage
/// is ever left backwards.
///
/// A body that may last long holds a clone and polls [`DrainSignal::expired`] when it has nothing
/// else to send: once it is ready, the body sends one error event and ends.
#[derive(Debug, Clone, Default)]
pub struct DrainSignal(Arc<State>);

#[derive(Debug, Default)]
struct State {
    reached: AtomicU8,
    tokens: [CancellationToken; 3],
}

/// A stage; its number plus one is what `reached` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Draining,
    Expired,
    Closed,
}

impl DrainSignal {
    /// A signal that nothing is ending.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins: idle connections are let go, what runs may end.
    pub fn begin(&self) {
        self.reach(Stage::Draining);
    }

    /// Time is over: what runs must end now.
    pub fn expire(&self) {
        self.begin();
        self.reach(Stage::Expired);
    }

    /// Connections are cut.
    pub fn close(&self) {
        self.expire();
        self.reach(Stage::Closed);
    }

    /// Whether the shutdown has begun; readiness reports it.
    pub fn is_draining(&self) -> bool {
        self.has_reached(Stage::Draining)
    }

    /// Whether what runs must end now.
    pub fn is_expired(&self) -> bool {
        self.has_reached(Stage::Expired)
    }

    /// Ready once the shutdown has begun.
    pub fn draining(&self) -> DrainWait {
        DrainWait::new(self, Stage::Draining)
    }

    /// Ready once what runs must end.
    pub fn expired(&self) -> DrainWait {
        DrainWait::new(self, Stage::Expired)
    }

    /// Ready once connections are cut.
    pub fn closed(&self) -> DrainWait {
        DrainWait::new(self, Stage::Closed)
    }

    fn reach(&self, stage: Stage) {
        self.0.reached.fetch_max(stage as u8 + 1, Ordering::Release);
        self.0.tokens[stage as usize].cancel();
    }

    fn has_reached(&self, stage: Stage) -> bool {
        self.0.reached.load(Ordering::Acquire) > stage as u8
    }
}

/// Waits for a stage. It can be polled for each chunk: only the first poll of a task takes a lock,
/// every further one is one atomic load.
#[derive(Debug)]
pub struct DrainWait {
    signal: DrainSignal,
    stage: Stage,
    registered: Option<(Waker, Pin<Box<WaitForCancellationFutureOwned>>)>,
}

impl DrainWait {
    fn new(signal: &DrainSignal, stage: Stage) -> Self {
        Self { signal: signal.clone(), stage, registered: None }
    }
}

impl DrainWait {
    /// Whether the stage is reached, for those who cannot wait.
    pub fn is_reached(&self) -> bool {
        self.signal.has_reached(self.stage)
    }
}

impl Future for DrainWait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.signal.has_reached(self.stage) {
            return Poll::Ready(());
        }
        if self.registered.as_ref().is_some_and(|(waker, _)| waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        let token = self.signal.0.tokens[self.stage as usize].clone();
        let mut future = Box::pin(token.cancelled_owned());
        let polled = future.as_mut().poll(cx);
        self.registered = Some((cx.waker().clone(), future));
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_stage_implies_the_earlier_ones() {
        let signal = DrainSignal::new();
        let clone = signal.clone();
        assert!(!clone.is_draining());
        signal.expire();
        assert!(clone.is_draining() && clone.is_expired());
    }

    #[tokio::test]
    async fn a_waiting_task_is_woken_when_its_stage_is_reached() {
        let signal = DrainSignal::new();
        let mut wait = signal.expired();
        assert!(futures_util::poll!(&mut wait).is_pending());
        signal.begin();
        assert!(futures_util::poll!(&mut wait).is_pending());
        let waiting = tokio::spawn(wait);
        tokio::task::yield_now().await;
        signal.close();
        waiting.await.unwrap();
    }
}
