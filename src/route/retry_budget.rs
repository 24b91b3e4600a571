//! How many further tries a target gets: an outage must not be answered by more load. Pure: the time is
//! a parameter.

use std::{collections::VecDeque, time::Instant};

/// Seconds that are counted together.
const WINDOW: u64 = 10;
/// Further tries for this many requests: one for five is 20 %.
const REQUESTS_EACH: u64 = 5;
/// Further tries that each second has in any case.
const EACH_SECOND: u64 = 3;

/// The retry budget of one target: what happened there in each of the last seconds.
#[derive(Debug)]
pub struct RetryBudget {
    origin: Instant,
    /// The latest is the last.
    seconds: VecDeque<Second>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Second {
    number: u64,
    requests: u64,
    retries: u64,
}

impl RetryBudget {
    /// Nothing has happened. `origin` is before every other time.
    pub fn new(origin: Instant) -> Self {
        Self { origin, seconds: VecDeque::new() }
    }

    /// A request asks the target for the first time.
    pub fn first(&mut self, now: Instant) {
        self.add(self.second(now), 1, 0);
    }

    /// Takes a further try, if there is one left.
    pub fn take(&mut self, now: Instant) -> bool {
        let now = self.second(now);
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

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.origin).as_secs()
    }

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

    fn forget(&mut self, now: u64) {
        while self.seconds.front().is_some_and(|second| second.number + WINDOW <= now) {
            self.seconds.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A budget, and the moment that lies so many milliseconds after its beginning.
    fn budget() -> (RetryBudget, impl Fn(u64) -> Instant) {
        let origin = Instant::now();
        (RetryBudget::new(origin), move |milliseconds| origin + Duration::from_millis(milliseconds))
    }

    /// Requests at a steady rate to a target that always fails; each wants one further try at once.
    /// How many it got over this many seconds.
    fn storm(rate: u64, seconds: u64) -> u64 {
        let (mut budget, at) = budget();
        let mut taken = 0;
        for request in 0..rate * seconds {
            let now = at(request * 1000 / rate);
            budget.first(now);
            taken += u64::from(budget.take(now));
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
        let (mut budget, at) = budget();
        assert_eq!((0..10).filter(|_| budget.take(at(0))).count(), 3);
        assert!(budget.take(at(1000)));
    }

    #[test]
    fn requests_count_for_ten_seconds() {
        let (mut budget, at) = budget();
        (0..100).for_each(|_| budget.first(at(0)));
        let mut take = |now| (0..50).filter(|_| budget.take(at(now))).count();
        assert_eq!(take(9_000), 20);
        assert_eq!(take(9_999), 0);
        assert_eq!(take(10_000), 3);
    }

    #[test]
    fn no_more_is_kept_than_the_seconds_that_count() {
        let (mut budget, at) = budget();
        (0..1000).for_each(|second| budget.first(at(second * 500)));
        assert_eq!(budget.seconds.len(), 10);
    }
}
