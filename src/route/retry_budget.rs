//! How many further tries a target gets: an outage must not be answered by more load. Shared by all
//! requests and kept over reloads. Pure: the time is a parameter.

use std::{
    collections::{HashMap, VecDeque},
    hash::BuildHasher as _,
    sync::Arc,
    time::Duration,
};

use foldhash::fast::RandomState;
use parking_lot::{Mutex, RwLock};

/// Seconds that are counted together.
const WINDOW: u64 = 10;
/// Further tries for this many requests: one for five is 20 %.
const REQUESTS_EACH: u64 = 5;
/// Further tries that each second has in any case.
const EACH_SECOND: u64 = 3;
/// Targets that are remembered at most.
const MAX_TARGETS: usize = 10_000;

/// The retry budgets of all targets, each known by its provider's UID and the model.
#[derive(Default)]
pub struct RetryBudgets {
    hasher: RandomState,
    targets: RwLock<HashMap<u64, Arc<Mutex<Counts>>, RandomState>>,
}

/// What happened in each of the last seconds.
#[derive(Debug, Default)]
struct Counts {
    /// The latest is the last.
    seconds: VecDeque<Second>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Second {
    number: u64,
    requests: u64,
    retries: u64,
}

impl RetryBudgets {
    /// A request asks this target for the first time. `now` is the time since any fixed moment, the
    /// same for all calls.
    pub fn first(&self, provider: &str, model: &str, now: Duration) {
        let counts = self.target(provider, model, now);
        counts.lock().add(now.as_secs(), 1, 0);
    }

    /// Takes a further try of this target, if there is one left.
    pub fn take(&self, provider: &str, model: &str, now: Duration) -> bool {
        self.target(provider, model, now).lock().take(now.as_secs())
    }

    fn target(&self, provider: &str, model: &str, now: Duration) -> Arc<Mutex<Counts>> {
        let key = self.hasher.hash_one((provider, model));
        if let Some(found) = self.targets.read().get(&key) {
            return Arc::clone(found);
        }
        let mut targets = self.targets.write();
        if targets.len() >= MAX_TARGETS {
            targets.retain(|_, counts| {
                let mut counts = counts.lock();
                counts.forget(now.as_secs());
                !counts.seconds.is_empty()
            });
        }
        // Callers may name any number of models. Who is forgotten here begins anew.
        if targets.len() >= MAX_TARGETS {
            targets.clear();
        }
        Arc::clone(targets.entry(key).or_default())
    }
}

impl Counts {
    /// Counts in the present second. What is older than the window is forgotten.
    fn add(&mut self, now: u64, requests: u64, retries: u64) {
        self.forget(now);
        match self.seconds.back_mut() {
            // Threads may come here a little out of order.
            Some(last) if last.number >= now => {
                last.requests += requests;
                last.retries += retries;
            }
            _ => self.seconds.push_back(Second { number: now, requests, retries }),
        }
    }

    fn take(&mut self, now: u64) -> bool {
        self.forget(now);
        let present = self.seconds.back().filter(|last| last.number >= now);
        let in_second = present.map_or(0, |second| second.retries);
        let requests: u64 = self.seconds.iter().map(|second| second.requests).sum();
        let retries: u64 = self.seconds.iter().map(|second| second.retries).sum();
        let is_free = in_second < EACH_SECOND || (retries + 1) * REQUESTS_EACH <= requests;
        if is_free {
            self.add(now, 0, 1);
        }
        is_free
    }

    fn forget(&mut self, now: u64) {
        while self.seconds.front().is_some_and(|second| second.number + WINDOW <= now) {
            self.seconds.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Duration {
        Duration::from_secs(1000) + Duration::from_millis(milliseconds)
    }

    /// Requests at a steady rate to a target that always fails; each wants one further try at once.
    /// How many it got over this many seconds.
    fn storm(rate: u64, seconds: u64) -> u64 {
        let budgets = RetryBudgets::default();
        let mut taken = 0;
        for request in 0..rate * seconds {
            let now = at(request * 1000 / rate);
            budgets.first("p", "m", now);
            taken += u64::from(budgets.take("p", "m", now));
        }
        taken
    }

    #[test]
    fn an_outage_is_answered_by_a_fifth_more_load_and_not_by_twice_as_much() {
        for rate in [50, 200, 1000] {
            let (requests, taken) = (rate * 60, storm(rate, 60));
            let least = requests / 5 - rate;
            assert!((least..=requests / 5 + EACH_SECOND * WINDOW).contains(&taken), "{taken}");
        }
    }

    #[test]
    fn a_quiet_target_has_three_further_tries_a_second() {
        assert_eq!(storm(1, 60), 60);
        assert_eq!(storm(3, 60), 180);
        let budgets = RetryBudgets::default();
        let taken = (0..10).filter(|_| budgets.take("p", "m", at(0))).count();
        assert_eq!(taken, 3);
        assert!(budgets.take("p", "m", at(1000)));
    }

    #[test]
    fn requests_count_for_ten_seconds() {
        let budgets = RetryBudgets::default();
        (0..100).for_each(|_| budgets.first("p", "m", at(0)));
        let take = |now| (0..50).filter(|_| budgets.take("p", "m", at(now))).count();
        assert_eq!(take(9_000), 20);
        assert_eq!(take(9_999), 0);
        assert_eq!(take(10_000), 3);
    }

    #[test]
    fn targets_are_counted_apart() {
        let budgets = RetryBudgets::default();
        (0..100).for_each(|_| budgets.first("p", "m", at(0)));
        let taken =
            |provider, model| (0..50).filter(|_| budgets.take(provider, model, at(0))).count();
        assert_eq!((taken("p", "m"), taken("p", "n"), taken("q", "m")), (20, 3, 3));
    }

    #[test]
    fn memory_is_bounded_and_busy_targets_are_kept() {
        let budgets = RetryBudgets::default();
        (0..MAX_TARGETS).for_each(|name| budgets.first(&name.to_string(), "m", at(0)));
        (0..100).for_each(|_| budgets.first("busy", "m", at(11_000)));
        assert_eq!(budgets.targets.read().len(), 1);
        (0..MAX_TARGETS - 1).for_each(|name| budgets.first(&name.to_string(), "m", at(21_500)));
        budgets.first("one more", "m", at(21_500));
        assert!(budgets.targets.read().len() <= MAX_TARGETS);
    }
}
