//! A future that wakes itself is polled again at once, without a way through the scheduler.
//!
//! hyper's connection and the request that reads its body are one task and wake each other at least
//! once a request. tokio takes a task that was woken while it ran as work for another thread and
//! wakes one up for it: at low rates that costs more than the request itself.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Polls in a row before others get their turn.
const MAX_POLLS: usize = 16;

const IDLE: u8 = 0;
const POLLING: u8 = 1;
const WOKEN: u8 = 2;

/// Keeps wake-ups that come during a poll to itself.
pub struct Rewake {
    shared: Arc<Shared>,
    waker: Waker,
}

struct Shared {
    state: AtomicU8,
    task: AtomicWaker,
}

impl Rewake {
    /// For one future.
    pub fn new() -> Self {
        let shared = Arc::new(Shared { state: AtomicU8::new(IDLE), task: AtomicWaker::new() });
        let waker = Waker::from(Arc::clone(&shared));
        Self { shared, waker }
    }

    /// Polls until the future is ready, or waits for something other than itself.
    pub fn poll<F: Future>(&self, mut future: Pin<&mut F>, cx: &Context<'_>) -> Poll<F::Output> {
        let Shared { state, task } = &*self.shared;
        task.register(cx.waker());
        let mut inner = Context::from_waker(&self.waker);
        for _ in 0..MAX_POLLS {
            state.store(POLLING, Ordering::Release);
            let ready = future.as_mut().poll(&mut inner);
            if ready.is_ready() {
                return ready;
            }
            // Fails if it was woken meanwhile, by itself or by another thread.
            if state.compare_exchange(POLLING, IDLE, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                return Poll::Pending;
            }
        }
        state.store(IDLE, Ordering::Release);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let woken = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
            (state == POLLING).then_some(WOKEN)
        });
        if woken == Err(IDLE) {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Polls once a future that wakes itself so many times before it waits for good, or is ready.
    /// How often it was polled and its task was woken.
    fn run(self_wakes: usize, ready: bool) -> (Poll<()>, usize, usize) {
        let (count, mut polls) = (Arc::new(Count::default()), 0);
        let future = poll_fn(|cx| {
            polls += 1;
            if polls <= self_wakes {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if ready { Poll::Ready(()) } else { Poll::Pending }
        });
        let waker = Waker::from(Arc::clone(&count));
        let polled = Rewake::new().poll(pin!(future), &Context::from_waker(&waker));
        (polled, polls, count.0.load(Ordering::SeqCst))
    }

    #[test]
    fn a_future_that_wakes_itself_is_polled_again_without_its_task() {
        assert_eq!(run(0, false), (Poll::Pending, 1, 0));
        assert_eq!(run(3, false), (Poll::Pending, 4, 0));
        assert_eq!(run(3, true), (Poll::Ready(()), 4, 0));
    }

    #[test]
    fn one_that_never_stops_waking_itself_gives_way_to_others() {
        assert_eq!(run(usize::MAX, false), (Poll::Pending, MAX_POLLS, 1));
    }

    #[test]
    fn a_wake_up_from_elsewhere_reaches_the_task() {
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let (rewake, mut inner) = (Rewake::new(), None);
        let future = poll_fn(|cx| {
            inner = Some(cx.waker().clone());
            Poll::<()>::Pending
        });
        assert!(rewake.poll(pin!(future), &Context::from_waker(&waker)).is_pending());
        let inner = inner.unwrap();
        inner.wake_by_ref();
        inner.wake();
        // The second finds nobody to wake: the first took the registration.
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }
}
