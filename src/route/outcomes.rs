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
    /// Counts an answer that has begun well, and says in which second: it may fail yet.
    pub fn answered(&mut self, now: Instant) -> u64 {
        let second = self.second(now);
        self.forget(second);
        if let Some(count) = self.answered.get_mut(slot(second)) {
            *count = count.saturating_add(1);
        }
        second
    }

    /// Counts a failure. `began`: the second in which the same answer was counted as one that has
    /// begun well. One answer counts once.
    pub fn failed(&mut self, began: Option<u64>, now: Instant) {
        let second = self.second(now);
        self.forget(second);
        let still_counts = |began: &u64| began + SECONDS as u64 > second;
        if let Some(began) = began.filter(still_counts)
            && let Some(count) = self.answered.get_mut(slot(began))
        {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = self.failed.get_mut(slot(second)) {
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
            outcomes.answered(now);
            outcomes.failed(None, now);
        }
        assert!(!outcomes.mostly_failed(now));
        outcomes.failed(None, now);
        assert!(outcomes.mostly_failed(now));
    }

    #[test]
    fn few_answers_are_no_judgement() {
        let (mut outcomes, now) = (Outcomes::default(), Instant::now());
        for _ in 0..19 {
            outcomes.failed(None, now);
        }
        assert!(!outcomes.mostly_failed(now));
    }

    #[test]
    fn an_answer_that_begins_well_and_fails_is_one_failure() {
        let (mut outcomes, now) = (Outcomes::default(), Instant::now());
        for _ in 0..9 {
            outcomes.answered(now);
        }
        for _ in 0..11 {
            let began = outcomes.answered(now);
            assert!(!outcomes.mostly_failed(now));
            outcomes.failed(Some(began), now + Duration::from_secs(1));
        }
        assert!(outcomes.mostly_failed(now + Duration::from_secs(1)));
        // What has left the window is not taken out of the seconds that took its place.
        let began = outcomes.answered(now + WINDOW * 2);
        let later = now + WINDOW * 3;
        for _ in 0..11 {
            outcomes.answered(later);
        }
        (0..10).for_each(|_| outcomes.failed(Some(began), later));
        assert!(!outcomes.mostly_failed(later));
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let (mut outcomes, now) = (Outcomes::default(), Instant::now());
        for _ in 0..30 {
            outcomes.failed(None, now);
        }
        let later = now + WINDOW - Duration::from_millis(1);
        assert!(outcomes.mostly_failed(later));
        assert!(!outcomes.mostly_failed(now + WINDOW));
        assert!(!outcomes.mostly_failed(now + WINDOW * 100));
    }
}
