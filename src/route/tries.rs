//! What follows a failed try: another target, the same one again after a pause, or the end. Pure: the
//! time of a request is a duration since its start, and randomness is a number.

use std::{collections::VecDeque, time::Duration};

use crate::snapshot::{FailureClass, Retry};

/// How a try failed, as far as what follows depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Failed {
    /// The group that it belongs to; `None` for what no route can choose.
    pub class: Option<FailureClass>,
    /// When the provider wants to be asked again.
    pub retry_after: Option<Duration>,
    /// When it failed.
    pub at: Duration,
}

/// A further try.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Again {
    /// The candidate.
    pub index: usize,
    /// When it may begin.
    pub at: Duration,
}

/// The tries of one request.
#[derive(Debug)]
pub struct Tries {
    retry: Retry,
    /// When the request must have ended.
    total: Duration,
    /// In the order of their first try.
    targets: Vec<Tried>,
    /// The rest of the present round.
    queue: VecDeque<Again>,
    rounds: i32,
}

#[derive(Clone, Copy, Debug)]
struct Tried {
    index: usize,
    tries: u32,
    /// Whether its last failure is worth another try.
    repeats: bool,
    not_before: Duration,
}

impl Tries {
    /// No try yet.
    pub fn new(retry: Retry, total: Duration) -> Self {
        Self { retry, total, targets: Vec::new(), queue: VecDeque::new(), rounds: 0 }
    }

    /// A try of a candidate has failed. Whether it is worth another one.
    pub fn failed(&mut self, index: usize, failed: Failed) -> bool {
        let Failed { class, retry_after, at } = failed;
        let is_retried = class.is_some_and(|class| self.retry.on.contains(class));
        let not_before = at.saturating_add(retry_after.unwrap_or_default());
        let known = self.targets.iter_mut().find(|tried| tried.index == index);
        let tries = known.as_ref().map_or(0, |tried| tried.tries) + 1;
        let repeats = is_retried && at <= self.retry.within && tries < self.retry.attempts;
        let tried = Tried { index, tries, repeats, not_before };
        match known {
            Some(known) => {
                let not_before = not_before.max(known.not_before);
                *known = Tried { not_before, ..tried };
            }
            None => self.targets.push(tried),
        }
        repeats
    }

    /// Candidates that were tried.
    pub fn tried(&self, index: usize) -> bool {
        self.targets.iter().any(|tried| tried.index == index)
    }

    /// A candidate gets no further try.
    pub fn give_up(&mut self, index: usize) {
        let found = self.targets.iter_mut().filter(|tried| tried.index == index);
        found.for_each(|tried| tried.repeats = false);
        self.queue.retain(|again| again.index != index);
    }

    /// The next further try, once every target has been tried. `random` is from 0 to 1.
    ///
    /// A round goes over all targets whose failure repeats, those first that may be asked first. What
    /// could not begin before `retry.within` or the end of the request is left out.
    pub fn again(&mut self, now: Duration, random: f64) -> Option<Again> {
        if self.queue.is_empty() {
            let pause = backoff(&self.retry, self.rounds, random);
            self.rounds = self.rounds.saturating_add(1);
            self.fill(now.saturating_add(pause));
        }
        self.queue.pop_front()
    }

    fn fill(&mut self, from: Duration) {
        let latest = self.retry.within.min(self.total);
        let mut round: Vec<Again> = Vec::new();
        for tried in self.targets.iter_mut().filter(|tried| tried.repeats) {
            let at = from.max(tried.not_before);
            tried.repeats = at <= latest && at < self.total;
            if tried.repeats {
                round.push(Again { index: tried.index, at });
            }
        }
        // Stable: among those of one time the order of the first round stays.
        round.sort_by_key(|again| again.at);
        self.queue = round.into();
    }
}

/// `min(base * 2^round, max) * U(0.8, 1.2)`.
fn backoff(retry: &Retry, round: i32, random: f64) -> Duration {
    let factor = 2_f64.powi(round.min(30));
    let pause = (retry.base.as_secs_f64() * factor).min(retry.max.as_secs_f64());
    Duration::from_secs_f64(pause * (0.8 + 0.4 * random.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn tries(attempts: u32) -> Tries {
        Tries::new(Retry { attempts, ..Retry::default() }, Duration::from_secs(900))
    }

    fn failed(at: u64) -> Failed {
        Failed { class: Some(FailureClass::ServerError), retry_after: None, at: MS(at) }
    }

    #[test]
    fn pauses_double_up_to_their_bound_and_are_spread_by_a_fifth() {
        let retry = Retry { max: MS(700), ..Retry::default() };
        let pauses = |random| [0, 1, 2, 30].map(|round| backoff(&retry, round, random));
        assert_eq!(pauses(0.5), [MS(200), MS(400), MS(700), MS(700)]);
        assert_eq!(pauses(0.0), [MS(160), MS(320), MS(560), MS(560)]);
        assert_eq!(pauses(1.0), [MS(240), MS(480), MS(840), MS(840)]);
    }

    #[test]
    fn every_target_is_tried_as_often_as_the_route_says() {
        let mut tries = tries(3);
        assert!(tries.failed(1, failed(10)) && tries.failed(0, failed(20)));
        let mut order = Vec::new();
        let mut now = 20;
        while let Some(again) = tries.again(MS(now), 0.5) {
            order.push((again.index, again.at.as_millis()));
            now = u64::try_from(again.at.as_millis()).unwrap();
            tries.failed(again.index, failed(now));
        }
        assert_eq!(order, [(1, 220), (0, 220), (1, 620), (0, 620)]);
    }

    #[test]
    fn a_single_attempt_is_never_repeated() {
        let mut tries = tries(1);
        assert!(!tries.failed(0, failed(0)));
        assert_eq!(tries.again(MS(0), 0.5), None);
    }

    #[test]
    fn what_the_route_does_not_retry_gets_no_second_try() {
        let mut tries = tries(2);
        for class in [None, Some(FailureClass::Auth), Some(FailureClass::ContextLength)] {
            assert!(!tries.failed(0, Failed { class, ..failed(0) }));
        }
        assert_eq!(tries.again(MS(0), 0.5), None);
    }

    #[test]
    fn a_failure_after_the_bound_is_not_repeated() {
        let mut tries = tries(2);
        assert!(!tries.failed(0, failed(20_001)));
        assert!(tries.failed(1, failed(20_000)));
        assert_eq!(tries.again(MS(20_000), 0.5), None, "it would begin after the bound");
    }

    #[test]
    fn a_wait_that_a_provider_asks_for_is_kept_and_does_not_hold_up_the_others() {
        let mut tries = tries(2);
        let waiting = Failed { retry_after: Some(MS(7000)), ..failed(0) };
        assert!(tries.failed(0, waiting) && tries.failed(1, failed(10)));
        let first = tries.again(MS(10), 0.5);
        assert_eq!(first, Some(Again { index: 1, at: MS(210) }));
        tries.failed(1, failed(250));
        let second = tries.again(MS(250), 0.5);
        assert_eq!(second, Some(Again { index: 0, at: MS(7000) }));
    }

    #[test]
    fn a_wait_beyond_the_request_is_not_begun() {
        let retry = Retry { within: Duration::from_secs(60), ..Retry::default() };
        let mut tries = Tries::new(retry, Duration::from_secs(5));
        tries.failed(0, Failed { retry_after: Some(MS(5000)), ..failed(0) });
        assert_eq!(tries.again(MS(0), 0.5), None);
        assert_eq!(tries.again(MS(0), 0.5), None);
    }

    #[test]
    fn who_is_given_up_is_left_out_of_the_round() {
        let mut tries = tries(3);
        tries.failed(0, failed(0));
        tries.failed(1, failed(0));
        assert_eq!(tries.again(MS(0), 0.5).map(|again| again.index), Some(0));
        tries.give_up(1);
        tries.give_up(0);
        assert_eq!(tries.again(MS(0), 0.5), None);
    }
}
