//! What an account has taken of the limits that its owner names, counted by this replica alone.
//!
//! A minute is the sixty seconds before any moment and not one of the clock: what was taken is given
//! back once all of its second is older than that, so that no sixty seconds see more than the limit.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::snapshot::AccountLimits;

/// What a request is told to wait for a call under way to end, of which nobody knows when it does.
const SOON: Duration = Duration::from_secs(1);
/// Seconds that are counted: sixty, and the one that has begun.
const SECONDS: u64 = 61;

/// One provider's account.
#[derive(Debug)]
pub struct Account {
    origin: Instant,
    counts: Mutex<Counts>,
    passed_over: AtomicU64,
}

#[derive(Debug, Default)]
struct Counts {
    in_flight: u32,
    requests: Minute,
    tokens: Minute,
}

/// A limit has no room; it is told when to ask again.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Full {
    /// When there may be room.
    pub retry_after: Duration,
}

/// One call's part of an account. Its place among the calls under way is free when it is dropped.
#[derive(Debug)]
pub struct Hold {
    account: Arc<Account>,
    tokens: u64,
    second: u64,
    requests_per_minute: Option<u64>,
}

impl Account {
    /// An account that nothing has been taken from. `origin` is before every other time.
    pub fn new(origin: Instant) -> Self {
        Self { origin, counts: Mutex::default(), passed_over: AtomicU64::new(0) }
    }

    /// Takes one call of up to so many tokens, or nothing. A call that is larger than the whole limit
    /// takes all of it.
    ///
    /// # Errors
    /// The limit that takes longest to have room.
    pub fn take(
        self: &Arc<Self>,
        limits: &AccountLimits,
        tokens: u64,
        now: Instant,
    ) -> Result<Hold, Full> {
        let second = self.second(now);
        let tokens = tokens.min(limits.tokens_per_minute.unwrap_or(u64::MAX));
        let mut counts = self.counts.lock();
        if let Some(full) = counts.full(limits, tokens, self.since(now)) {
            return Err(full);
        }
        counts.in_flight = counts.in_flight.saturating_add(1);
        counts.requests.add(1, second);
        counts.tokens.add(tokens, second);
        drop(counts);
        let requests_per_minute = limits.requests_per_minute;
        Ok(Hold { account: Arc::clone(self), tokens, second, requests_per_minute })
    }

    /// Whether there is room for a call of so many tokens.
    ///
    /// # Errors
    /// The limit that takes longest to have room.
    pub fn room(&self, limits: &AccountLimits, tokens: u64, now: Instant) -> Result<(), Full> {
        let tokens = tokens.min(limits.tokens_per_minute.unwrap_or(u64::MAX));
        let full = self.counts.lock().full(limits, tokens, self.since(now));
        full.map_or(Ok(()), Err)
    }

    /// A request has gone elsewhere, or nowhere, for want of room.
    pub fn pass_over(&self) {
        self.passed_over.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that have.
    pub fn passed_over(&self) -> u64 {
        self.passed_over.load(Ordering::Relaxed)
    }

    /// Calls under way.
    pub fn in_flight(&self) -> u32 {
        self.counts.lock().in_flight
    }

    /// Whether nothing of it is taken.
    pub fn is_idle(&self, now: Instant) -> bool {
        let second = self.second(now);
        let mut counts = self.counts.lock();
        counts.in_flight == 0 && counts.requests.used(second) == 0
    }

    fn since(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.origin)
    }

    fn second(&self, now: Instant) -> u64 {
        self.since(now).as_secs()
    }
}

impl Counts {
    fn full(&mut self, limits: &AccountLimits, tokens: u64, now: Duration) -> Option<Full> {
        let calls = limits.concurrent_requests.is_some_and(|limit| self.in_flight >= limit);
        let waits = [
            calls.then_some(SOON),
            limits.requests_per_minute.and_then(|limit| self.requests.wait(1, limit, now)),
            limits.tokens_per_minute.and_then(|limit| self.tokens.wait(tokens, limit, now)),
        ];
        waits.into_iter().flatten().max().map(|retry_after| Full { retry_after })
    }
}

impl Hold {
    /// What the call has used in truth, or is known to use.
    pub fn correct(&mut self, tokens: u64) {
        let mut counts = self.account.counts.lock();
        counts.tokens.change(self.second, self.tokens, tokens);
        self.tokens = tokens;
    }

    /// Takes one request more, for the same call is made once more; whether there was room.
    pub fn again(&self, now: Instant) -> bool {
        let (account, since) = (&self.account, self.account.since(now));
        let mut counts = account.counts.lock();
        let wait = self.requests_per_minute.and_then(|limit| counts.requests.wait(1, limit, since));
        if wait.is_none() {
            counts.requests.add(1, since.as_secs());
        }
        wait.is_none()
    }

    /// The call was never made.
    pub fn undo(self) {
        let mut counts = self.account.counts.lock();
        counts.tokens.change(self.second, self.tokens, 0);
        counts.requests.change(self.second, 1, 0);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut counts = self.account.counts.lock();
        counts.in_flight = counts.in_flight.saturating_sub(1);
    }
}

/// What was taken in each of the last seconds.
#[derive(Debug)]
struct Minute {
    last: u64,
    used: u64,
    seconds: [u64; SECONDS as usize],
}

impl Default for Minute {
    fn default() -> Self {
        Self { last: 0, used: 0, seconds: [0; SECONDS as usize] }
    }
}

impl Minute {
    fn add(&mut self, amount: u64, second: u64) {
        self.forget(second);
        let last = self.last;
        if let Some(taken) = self.slot(last) {
            *taken = taken.saturating_add(amount);
            self.used = self.used.saturating_add(amount);
        }
    }

    fn used(&mut self, second: u64) -> u64 {
        self.forget(second);
        self.used
    }

    /// Puts another amount in the place of one that was taken in this second, if that still counts.
    fn change(&mut self, second: u64, from: u64, to: u64) {
        if second + SECONDS <= self.last {
            return;
        }
        if let Some(taken) = self.slot(second) {
            let changed = taken.saturating_sub(from).saturating_add(to);
            let before = std::mem::replace(taken, changed);
            self.used = self.used.saturating_sub(before).saturating_add(changed);
        }
    }

    /// How long until there is room for `amount`; `None` if there is.
    fn wait(&mut self, amount: u64, limit: u64, now: Duration) -> Option<Duration> {
        self.forget(now.as_secs());
        let mut excess = self.used.saturating_add(amount).saturating_sub(limit);
        if excess == 0 {
            return None;
        }
        let first = (self.last + 1).saturating_sub(SECONDS);
        for second in first..=self.last {
            excess = excess.saturating_sub(self.slot(second).copied().unwrap_or_default());
            if excess == 0 {
                return Some(Duration::from_secs(second + SECONDS).saturating_sub(now));
            }
        }
        Some(Duration::from_secs(SECONDS))
    }

    fn forget(&mut self, second: u64) {
        // A caller's time may be a moment older than the last one's.
        let second = second.max(self.last);
        for passed in 0..(second - self.last).min(SECONDS) {
            if let Some(taken) = self.slot(second - passed) {
                let gone = std::mem::take(taken);
                self.used = self.used.saturating_sub(gone);
            }
        }
        self.last = second;
    }

    fn slot(&mut self, second: u64) -> Option<&mut u64> {
        self.seconds.get_mut(usize::try_from(second % SECONDS).ok()?)
    }
}

#[cfg(test)]
mod tests;
