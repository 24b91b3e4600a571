//! The clock that budgets read. Owns the only look at the wall clock in this module.

use jiff::Timestamp;

/// Where the ledger learns what time it is.
pub trait Clock: Send + Sync {
    /// The present instant. It may step backwards, as wall clocks do; the ledger copes.
    fn now(&self) -> Timestamp;
}

/// The machine's wall clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that stands still until it is told to move.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct ManualClock(parking_lot::Mutex<Timestamp>);

#[cfg(test)]
impl ManualClock {
    /// A clock that shows `start`.
    pub(crate) fn new(start: Timestamp) -> Self {
        Self(parking_lot::Mutex::new(start))
    }

    /// Shows `now` from here on, which may lie in the past.
    pub(crate) fn set(&self, now: Timestamp) {
        *self.0.lock() = now;
    }

    /// Moves forward by `by`, stopping at the last instant that can be represented.
    pub(crate) fn advance(&self, by: std::time::Duration) {
        let by = jiff::SignedDuration::try_from(by).unwrap_or(jiff::SignedDuration::MAX);
        let mut now = self.0.lock();
        *now = now.saturating_add(by).unwrap_or(Timestamp::MAX);
    }
}

#[cfg(test)]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock()
    }
}
