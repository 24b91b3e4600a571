//! How many of a target's answers of the last ten seconds failed.

use std::time::Instant;

/// Seconds that are looked at.
const SECONDS: usize = 10;
/// Answers that it takes for a judgement.
const ENOUGH: u32 = 20;

/// Counts by the second.
#[derive(Clone, Debug, Default)]
pub struct Outcomes {
    /// The beginning of the first second.
    origin: Option<Instant>,
    /// The second that was counted last.
    last: u64,
    answered: [u32; SECONDS],
    failed: [u32; SECONDS],
}

impl Outcomes {
    /// Counts an answer.
    pub fn add(&mut self, is_success: bool, now: Instant) {
        let second = self.second(now);
        self.forget(second);
        let counts = if is_success { &mut self.answered } else { &mut self.failed };
        if let Some(count) = counts.get_mut(slot(second)) {
            *count = count.saturating_add(1);
        }
    }

    /// Whether more than half of at least twenty failed.
    pub fn mostly_failed(&mut self, now: Instant) -> bool {
        let second = self.second(now);
        self.forget(second);
        let sum = |counts: &[u32]| counts.iter().fold(0_u32, |sum, one| sum.saturating_add(*one));
        let (answered, failed) = (sum(&self.answered), sum(&self.failed));
        answered.saturating_add(failed) >= ENOUGH && failed > answered
    }

    fn second(&mut self, now: Instant) -> u64 {
        let origin = *self.origin.get_or_insert(now);
        // A caller's time may be a moment older than the last one's.
        now.saturating_duration_since(origin).as_secs().max(self.last)
    }

    fn forget(&mut self, second: u64) {
        let passed = second.saturating_sub(self.last).min(SECONDS as u64);
        for one in 0..passed {
            let slot = slot(second - one);
            for counts in [&mut self.answered, &mut self.failed] {
                if let Some(count) = counts.get_mut(slot) {
                    *count = 0;
                }
            }
        }
        self.last = second;
    }
}

fn slot(second: u64) -> usize {
    usize::try_from(second % SECONDS as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(SECONDS as u64);

    #[test]
    fn half_of_twenty_is_not_most_and_eleven_are() {
        let (mut outcomes, now) = (Outcomes::default(), Instant::now());
        for _ in 0..10 {
            outcomes.add(true, now);
            outcomes.add(false, now);
        }
        assert!(!outcomes.mostly_failed(now));
        outcomes.add(false, now);
        assert!(outcomes.mostly_failed(now));
    }

    #[test]
    fn few_answers_are_no_judgement() {
        let (mut outcomes, now) = (Outcomes::default(), Instant::now());
        for _ in 0..19 {
            outcomes.add(false, now);
        }
        assert!(!outcomes.mostly_failed(now));
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let (mut outcomes, now) = (Outcomes::default(), Instant::now());
        for _ in 0..30 {
            outcomes.add(false, now);
        }
        let later = now + WINDOW - Duration::from_millis(1);
        assert!(outcomes.mostly_failed(later));
        assert!(!outcomes.mostly_failed(now + WINDOW));
        assert!(!outcomes.mostly_failed(now + WINDOW * 100));
    }
}
