//! One identity's credentials: kept until shortly before they end, fetched by one request at a time.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

use super::{Issued, Unavailable};
use crate::budget::Clock;

/// How long before their end credentials are fetched anew; a quarter of their life if that is less.
const EARLY: SignedDuration = SignedDuration::from_mins(5);
/// Credentials that end sooner are not used: a request takes time to arrive.
const TOO_LATE: SignedDuration = SignedDuration::from_secs(10);
/// For so long nobody asks again after a failure.
const PAUSE: SignedDuration = SignedDuration::from_secs(2);
/// Credentials younger than this are not given up because a provider refuses them.
const BRAND_NEW: SignedDuration = SignedDuration::from_secs(60);

/// What is known of one identity.
#[derive(Default)]
pub(super) struct Slot {
    state: Mutex<State>,
    /// Held by whoever fetches.
    turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct State {
    issued: Option<Arc<Issued>>,
    failed: Option<(Timestamp, Unavailable)>,
}

/// What is to be done.
enum Step {
    Use(Arc<Issued>),
    /// Use it, and fetch the next one meanwhile.
    Renew(Arc<Issued>),
    Fetch,
    Fail(Unavailable),
}

impl Slot {
    /// Credentials that are good for a request.
    pub(super) async fn get<F>(
        self: &Arc<Self>,
        clock: Arc<dyn Clock>,
        fetch: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Arc<Issued>, Unavailable>
    where
        F: Future<Output = Result<Issued, Unavailable>> + Send + 'static,
    {
        match self.step(clock.now()) {
            Step::Use(issued) => return Ok(issued),
            Step::Fail(failure) => return Err(failure),
            Step::Renew(issued) => {
                // Whoever holds the turn is fetching already.
                if let Ok(turn) = Arc::clone(&self.turn).try_lock_owned() {
                    let slot = Arc::clone(self);
                    tokio::spawn(async move {
                        let fetched = fetch().await;
                        // A failure is kept and logged; what is still valid serves on.
                        drop(slot.store(fetched, clock.now()));
                        drop(turn);
                    });
                }
                return Ok(issued);
            }
            Step::Fetch => {}
        }
        let _turn = self.turn.lock().await;
        match self.step(clock.now()) {
            Step::Use(issued) | Step::Renew(issued) => Ok(issued),
            Step::Fail(failure) => Err(failure),
            Step::Fetch => {
                let fetched = fetch().await;
                self.store(fetched, clock.now())
            }
        }
    }

    /// Forgets what was issued, unless that is brand-new.
    pub(super) fn forget(&self, now: Timestamp) {
        let is_old = |issued: &Arc<Issued>| now.duration_since(issued.fetched) >= BRAND_NEW;
        let mut state = self.state.lock();
        if state.issued.as_ref().is_some_and(is_old) {
            state.issued = None;
        }
    }

    /// Waits until nobody fetches.
    #[cfg(test)]
    pub(super) async fn idle(&self) {
        drop(self.turn.lock().await);
    }

    fn step(&self, now: Timestamp) -> Step {
        let state = self.state.lock();
        // A clock that was set back must not silence for long.
        let rests = |at: Timestamp| now.duration_since(at).abs() < PAUSE;
        let failure = state.failed.as_ref().filter(|(at, _)| rests(*at));
        let Some(issued) = &state.issued else {
            return failure.map_or(Step::Fetch, |(_, failure)| Step::Fail(failure.clone()));
        };
        let Some(expires) = issued.expires else { return Step::Use(Arc::clone(issued)) };
        let left = expires.duration_since(now);
        let early = EARLY.min(expires.duration_since(issued.fetched) / 4);
        match failure {
            _ if left > early => Step::Use(Arc::clone(issued)),
            Some(_) if left > TOO_LATE => Step::Use(Arc::clone(issued)),
            None if left > TOO_LATE => Step::Renew(Arc::clone(issued)),
            Some((_, failure)) => Step::Fail(failure.clone()),
            None => Step::Fetch,
        }
    }

    fn store(
        &self,
        fetched: Result<Issued, Unavailable>,
        now: Timestamp,
    ) -> Result<Arc<Issued>, Unavailable> {
        let mut state = self.state.lock();
        match fetched {
            Ok(issued) => {
                let issued = Arc::new(issued);
                *state = State { issued: Some(Arc::clone(&issued)), failed: None };
                Ok(issued)
            }
            Err(failure) => {
                tracing::warn!(reason = %failure, "no credentials for a provider");
                state.failed = Some((now, failure.clone()));
                Err(failure)
            }
        }
    }
}
