//! How soon a target answers: a peak-sensitive moving average of the time to the first content, and
//! how many requests are under way.
//!
//! The estimate follows "peak EWMA" as Finagle and Linkerd have it: a sample above it counts at once,
//! one below it by how long ago the last one was, and time without samples brings it down, so that a
//! target that was slow is asked again some day. What is still waited for counts as well: a target
//! that has stopped answering is known by that before anything has failed.

use std::time::{Duration, Instant};

/// In this time an estimate falls to 1/e.
pub const DECAY: Duration = Duration::from_secs(10);

/// What is known of a target's speed.
#[derive(Clone, Debug, Default)]
pub struct Latency {
    /// Seconds to the first content, and when that was known.
    estimate: Option<(f64, Instant)>,
    /// Requests under way, to the end of their answers.
    in_flight: u32,
    /// Those of them that have no content yet.
    waiting: u32,
    /// The sum of the times at which these began, in microseconds after `origin`: exact, for it may
    /// be added to and taken from for as long as the process lives.
    began: u128,
    origin: Option<Instant>,
}

impl Latency {
    /// A request goes out.
    pub fn sent(&mut self, now: Instant) {
        self.in_flight = self.in_flight.saturating_add(1);
        if self.waiting == 0 {
            (self.origin, self.began) = (Some(now), 0);
        }
        self.waiting = self.waiting.saturating_add(1);
        self.began += self.offset(now);
    }

    /// A request that went out at `began` waits no longer for its first content.
    pub fn waited(&mut self, began: Instant) {
        self.began = self.began.saturating_sub(self.offset(began));
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// A request is over. One that still waits must be taken out of those first.
    pub fn ended(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// It took this long to the first content.
    pub fn observe(&mut self, sample: Duration, now: Instant) {
        let sample = sample.as_secs_f64();
        let estimate = match self.estimate {
            Some((estimate, at)) if estimate > sample => {
                let weight = remaining(at, now);
                estimate * weight + sample * (1.0 - weight)
            }
            _ => sample,
        };
        self.estimate = Some((estimate, now));
    }

    /// It took this long and nothing came: it takes longer than that.
    pub fn gave_up(&mut self, after: Duration, now: Instant) {
        if self.estimate(now).is_none_or(|estimate| estimate < after.as_secs_f64()) {
            self.estimate = Some((after.as_secs_f64(), now));
        }
    }

    /// It is not what it was.
    pub fn forget(&mut self) {
        self.estimate = None;
    }

    /// Seconds to the first content as far as answers have shown it; `None` if none has.
    pub fn estimate(&self, now: Instant) -> Option<f64> {
        self.estimate.map(|(estimate, at)| estimate * remaining(at, now))
    }

    /// Seconds to be expected: the estimate, or `otherwise` without one, and in no case less than what
    /// those who wait have waited on average.
    pub fn expected(&self, otherwise: f64, now: Instant) -> f64 {
        let known = self.estimate(now).unwrap_or(otherwise);
        match self.waiting {
            0 => known,
            waiting => {
                let waited = (self.offset(now) * u128::from(waiting)).saturating_sub(self.began);
                known.max(waited as f64 / 1e6 / f64::from(waiting))
            }
        }
    }

    /// Requests under way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    fn offset(&self, at: Instant) -> u128 {
        self.origin.map_or(0, |origin| at.saturating_duration_since(origin).as_micros())
    }
}

fn remaining(at: Instant, now: Instant) -> f64 {
    let passed = now.saturating_duration_since(at);
    (-passed.as_secs_f64() / DECAY.as_secs_f64()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn near(found: Option<f64>, expected: f64) -> bool {
        found.is_some_and(|found| (found - expected).abs() < 1e-6)
    }

    #[test]
    fn a_peak_counts_at_once_and_fades_in_ten_seconds() {
        let (mut latency, now) = (Latency::default(), Instant::now());
        latency.observe(ms(200), now);
        latency.observe(ms(2000), now);
        assert!(near(latency.estimate(now), 2.0));
        assert!(near(latency.estimate(now + DECAY), 2.0 / std::f64::consts::E));
        latency.observe(ms(200), now + DECAY);
        let expected = 2.0 / std::f64::consts::E + 0.2 * (1.0 - 1.0 / std::f64::consts::E);
        assert!(near(latency.estimate(now + DECAY), expected));
    }

    #[test]
    fn waiting_in_vain_counts_before_anything_has_failed() {
        let (mut latency, now) = (Latency::default(), Instant::now());
        latency.observe(ms(200), now);
        latency.sent(now);
        latency.sent(now + ms(1000));
        let expected = |latency: &Latency| Some(latency.expected(7.0, now + ms(5000)));
        assert!(near(expected(&latency), 4.5));
        latency.waited(now);
        assert!(near(expected(&latency), 4.0));
        latency.waited(now + ms(1000));
        latency.ended();
        assert_eq!(latency.in_flight(), 1);
        assert!(near(expected(&latency), 0.2 * (-0.5_f64).exp()));
    }

    #[test]
    fn a_young_wait_does_not_make_an_unknown_target_look_fast() {
        let (mut latency, now) = (Latency::default(), Instant::now());
        latency.sent(now);
        assert!(near(Some(latency.expected(2.0, now + ms(1))), 2.0));
        assert!(near(Some(latency.expected(2.0, now + ms(3000))), 3.0));
    }

    #[test]
    fn nothing_is_known_before_the_first_answer() {
        let (mut latency, now) = (Latency::default(), Instant::now());
        assert_eq!(latency.estimate(now), None);
        latency.gave_up(ms(3000), now);
        assert!(near(latency.estimate(now), 3.0));
        latency.forget();
        assert_eq!(latency.estimate(now), None);
    }
}
