//! Turns among weighted choices: which comes next, so that shares are exact within a few requests.

use std::{
    collections::HashMap,
    hash::BuildHasher as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use foldhash::fast::RandomState;
use parking_lot::RwLock;

/// Choices that are remembered at most. Beyond it all begin anew, at another place of the sequence.
const MAX_KEYS: usize = 10_000;
/// 2^64 divided by the golden ratio: multiples of it, taken modulo 2^64, are spread as evenly as any
/// sequence can be (Knuth, TAOCP 3, 6.4: Fibonacci hashing). That holds for all of them in a row and not
/// for every 21st, hence a counter for each choice.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Takes turns. Knows nothing of what is chosen from, so that a change of weights takes effect at once
/// and disturbs nothing.
#[derive(Default)]
pub struct Turns {
    hasher: RandomState,
    counters: RwLock<HashMap<u64, Arc<Counter>, RandomState>>,
}

/// How many turns were taken.
#[derive(Debug, Default)]
struct Counter {
    first: AtomicU64,
    further: AtomicU64,
}

impl Turns {
    /// A number spread evenly over all of `u64` for the first choice of a request. `key` names what
    /// is being chosen from: a route, and a rule of it.
    pub fn first(&self, key: (&str, &str)) -> u64 {
        next(&self.counter(key).first)
    }

    /// The same for further choices: they must not depend on how the first one fell.
    pub fn further(&self, key: (&str, &str)) -> u64 {
        next(&self.counter(key).further)
    }

    fn counter(&self, key: (&str, &str)) -> Arc<Counter> {
        let hash = self.hasher.hash_one(key);
        if let Some(counter) = self.counters.read().get(&hash) {
            return Arc::clone(counter);
        }
        let mut counters = self.counters.write();
        if counters.len() >= MAX_KEYS {
            counters.clear();
        }
        Arc::clone(counters.entry(hash).or_default())
    }
}

fn next(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, Ordering::Relaxed).wrapping_mul(GOLDEN)
}

/// The index whose share of the sum of `weights` the point falls into; `None` if all are 0.
pub fn pick(weights: impl Iterator<Item = u64> + Clone, point: u64) -> Option<usize> {
    let sum: u64 = weights.clone().sum();
    // Less than `sum`, which the shift makes sure of.
    let mut at = u64::try_from((u128::from(point) * u128::from(sum)) >> 64).ok()?;
    for (index, weight) in weights.enumerate() {
        match at.checked_sub(weight) {
            Some(left) => at = left,
            None => return Some(index),
        }
    }
    None
}

/// Independent random numbers of one request, made of one: SplitMix64 (Steele, Lea, Flood, 2014).
#[derive(Clone, Debug)]
pub struct Draws(u64);

impl Draws {
    /// Numbers that `seed` determines.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next one, spread over all of `u64`.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(weights: &[u64], turns: u32) -> Vec<u32> {
        let counter = Turns::default();
        let mut counts = vec![0; weights.len()];
        for _ in 0..turns {
            counts[pick(weights.iter().copied(), counter.first(("route", "rule"))).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn shares_are_exact_within_a_few_requests() {
        let counts = shares(&[90, 10], 1000);
        assert!((897..=903).contains(&counts[0]), "{counts:?}");
        let counts = shares(&[1, 1, 1], 999);
        assert!(counts.iter().all(|count| (330..=336).contains(count)), "{counts:?}");
    }

    #[test]
    fn turns_are_smooth() {
        let counter = Turns::default();
        let picks: Vec<_> = (0..40)
            .map(|_| pick([1, 1].into_iter(), counter.first(("route", "rule"))).unwrap())
            .collect();
        for window in picks.windows(4) {
            assert!(window.contains(&0) && window.contains(&1), "{picks:?}");
        }
    }

    #[test]
    fn what_others_choose_does_not_disturb_the_turns() {
        let turns = Turns::default();
        let mut picks = Vec::new();
        for _ in 0..100 {
            for _ in 0..20 {
                turns.first(("route", "other"));
            }
            picks.push(pick([1, 1].into_iter(), turns.first(("route", "rule"))).unwrap());
        }
        for window in picks.windows(4) {
            assert!(window.contains(&0) && window.contains(&1), "{picks:?}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let turns = Turns::default();
        for rule in 0..3 * MAX_KEYS {
            turns.first(("route", &rule.to_string()));
        }
        assert!(turns.counters.read().len() <= MAX_KEYS);
    }

    #[test]
    fn weight_zero_is_never_picked() {
        assert_eq!(shares(&[0, 5, 0], 100), [0, 100, 0]);
        assert_eq!(pick([0, 0].into_iter(), u64::MAX), None);
        assert_eq!(pick(std::iter::empty(), 7), None);
    }

    #[test]
    fn a_point_at_either_end_is_within_bounds() {
        let most = u64::from(u32::MAX);
        assert_eq!(pick([3, 4].into_iter(), 0), Some(0));
        assert_eq!(pick([3, 4].into_iter(), u64::MAX), Some(1));
        assert_eq!(pick([most, most].into_iter(), u64::MAX), Some(1));
    }

    #[test]
    fn draws_are_the_published_ones() {
        // The first outputs for the seed 0, as the authors' program prints them.
        let mut draws = Draws::new(0);
        assert_eq!(draws.draw(), 0xE220_A839_7B1D_CDAF);
        assert_eq!(draws.draw(), 0x6E78_9E6A_A1B9_65F4);
    }
}
