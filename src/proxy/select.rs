//! In which order the targets that can answer are tried. Holds the turn counters, which outlive reloads;
//! which targets these are is chosen by [`crate::route`].

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher as _,
    sync::atomic::{AtomicU64, Ordering},
};

pub use crate::route::Candidate;

/// Counters that routes share by the hash of their UID. Sharing one does no harm: every regular part
/// of the sequence is as evenly spread as the whole.
const COUNTERS: usize = 256;
/// 2^64 divided by the golden ratio: multiples of it, taken modulo 2^64, are spread as evenly as any
/// sequence can be (Knuth, TAOCP 3, 6.4: Fibonacci hashing).
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Takes turns among targets of one priority. Needs no state for each target, so that a change of
/// weights takes effect at once and disturbs nothing.
pub struct Turns {
    hasher: RandomState,
    first: [AtomicU64; COUNTERS],
    rest: [AtomicU64; COUNTERS],
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            first: std::array::from_fn(|_| AtomicU64::new(0)),
            rest: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

impl Turns {
    /// A number spread evenly over all of `u64` for the first choice of a request. `key` names what
    /// is being chosen from.
    pub fn first(&self, key: &str) -> u64 {
        self.next(&self.first, key)
    }

    /// The same for further choices: they must not depend on how the first one fell.
    fn further(&self, key: &str) -> u64 {
        self.next(&self.rest, key)
    }

    fn next(&self, counters: &[AtomicU64; COUNTERS], key: &str) -> u64 {
        let slot = usize::try_from(self.hasher.hash_one(key) % COUNTERS as u64).unwrap_or_default();
        let turn = counters.get(slot).map_or(0, |turn| turn.fetch_add(1, Ordering::Relaxed));
        turn.wrapping_mul(GOLDEN)
    }
}

/// The index whose share of the sum of `weights` the point falls into; `None` if all are 0.
pub fn pick(weights: impl Iterator<Item = u32> + Clone, point: u64) -> Option<usize> {
    let sum: u64 = weights.clone().map(u64::from).sum();
    // Less than `sum`, which the shift makes sure of.
    let mut at = u64::try_from((u128::from(point) * u128::from(sum)) >> 64).ok()?;
    for (index, weight) in weights.enumerate() {
        match at.checked_sub(u64::from(weight)) {
            Some(left) => at = left,
            None => return Some(index),
        }
    }
    None
}

/// Hands out candidates in the order in which they are tried: by weight inside one priority, then
/// the next priority.
pub struct Order<'a> {
    turns: &'a Turns,
    key: &'a str,
    candidates: &'a [Candidate],
    tried: Vec<usize>,
}

impl<'a> Order<'a> {
    /// The order for one request. `key` is the route's UID.
    pub fn new(turns: &'a Turns, key: &'a str, candidates: &'a [Candidate]) -> Self {
        Self { turns, key, candidates, tried: Vec::new() }
    }
}

impl Iterator for Order<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let left = |index: usize| !self.tried.contains(&index);
        let (first, candidate) =
            self.candidates.iter().enumerate().find(|(index, _)| left(*index))?;
        let priority = candidate.target.priority;
        let weights = self.candidates.iter().enumerate().map(|(index, candidate)| {
            let fits = candidate.target.priority == priority && left(index);
            if fits { candidate.target.weight } else { 0 }
        });
        let point = match self.candidates.len() {
            1 => 0,
            _ if self.tried.is_empty() => self.turns.first(self.key),
            _ => self.turns.further(self.key),
        };
        let index = pick(weights, point).unwrap_or(first);
        self.tried.push(index);
        Some(index)
    }
}

#[cfg(test)]
mod tests;
