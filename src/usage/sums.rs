//! The sums themselves: whole numbers, so that any order of adding gives the same.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::budget::NanoUsd;

/// How many numbers [`Sums`] has.
pub(super) const FIELDS: usize = 13;

/// What some requests used together. They saturate rather than wrap.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sums {
    /// Requests, whatever became of them.
    pub requests: u64,
    /// Of these, those that no provider answered, or whose stream broke.
    pub failed: u64,
    /// Of these, those that the gateway refused.
    pub refused: u64,
    /// Prompt tokens, cached and cache-writing ones included.
    pub input_tokens: u64,
    /// Generated tokens, reasoning included.
    pub output_tokens: u64,
    /// Part of the input that was read from a prompt cache.
    pub cached_input_tokens: u64,
    /// Part of the input that was written to a prompt cache.
    pub cache_write_tokens: u64,
    /// Part of the output that was reasoning.
    pub reasoning_tokens: u64,
    /// What was charged.
    #[serde(rename = "costUsd", with = "dollars")]
    pub cost: NanoUsd,
    /// The part of it for second tries that were broken off.
    #[serde(rename = "hedgeCostUsd", with = "dollars")]
    pub hedge_cost: NanoUsd,
    /// The part of it that rests on an estimate.
    #[serde(rename = "estimatedCostUsd", with = "dollars")]
    pub estimated_cost: NanoUsd,
    /// Requests whose tokens, or part of them, are an estimate.
    pub estimated_requests: u64,
    /// Requests that used tokens of a model without a price: they are not in the cost.
    pub unpriced_requests: u64,
}

impl AddAssign for Sums {
    fn add_assign(&mut self, more: Self) {
        let (mine, more) = (self.to_array(), more.to_array());
        let mut sums = mine.into_iter().zip(more).map(|(a, b)| a.saturating_add(b));
        *self = Self::from_array(std::array::from_fn(|_| sums.next().unwrap_or_default()));
    }
}

impl Sums {
    /// The numbers in the order of the journal: a new one is added at the end, with a new version.
    pub(super) fn to_array(self) -> [u64; FIELDS] {
        [
            self.requests,
            self.failed,
            self.refused,
            self.input_tokens,
            self.output_tokens,
            self.cached_input_tokens,
            self.cache_write_tokens,
            self.reasoning_tokens,
            self.cost.0,
            self.hedge_cost.0,
            self.estimated_cost.0,
            self.estimated_requests,
            self.unpriced_requests,
        ]
    }

    pub(super) fn from_array(numbers: [u64; FIELDS]) -> Self {
        let [requests, failed, refused, input_tokens, output_tokens, ..] = numbers;
        let [.., cost, hedge_cost, estimated_cost, estimated_requests, unpriced_requests] = numbers;
        let [_, _, _, _, _, cached_input_tokens, cache_write_tokens, reasoning_tokens, ..] =
            numbers;
        Self {
            requests,
            failed,
            refused,
            input_tokens,
            output_tokens,
            cached_input_tokens,
            cache_write_tokens,
            reasoning_tokens,
            cost: NanoUsd(cost),
            hedge_cost: NanoUsd(hedge_cost),
            estimated_cost: NanoUsd(estimated_cost),
            estimated_requests,
            unpriced_requests,
        }
    }
}

/// Dollars as exact decimals.
mod dollars {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use crate::budget::NanoUsd;

    pub(super) fn serialize<S: Serializer>(cost: &NanoUsd, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(cost)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<NanoUsd, D::Error> {
        let text = String::deserialize(from)?;
        NanoUsd::from_decimal(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_keeps_its_place() {
        let numbers: [u64; FIELDS] = std::array::from_fn(|at| at as u64 + 1);
        let sums = Sums::from_array(numbers);
        assert_eq!(sums.to_array(), numbers);
        let all = Sums { requests: 0, ..sums }.to_array();
        assert_eq!((all[0], &all[1..]), (0, &numbers[1..]));
        let mut twice = sums;
        twice += sums;
        assert_eq!(twice.to_array(), numbers.map(|number| 2 * number));
    }

    #[test]
    fn sums_saturate() {
        let mut sums = Sums { input_tokens: u64::MAX, ..Sums::default() };
        sums += Sums { input_tokens: 1, requests: 1, ..Sums::default() };
        assert_eq!((sums.input_tokens, sums.requests), (u64::MAX, 1));
    }

    #[test]
    fn json_has_exact_dollars_and_reads_back() {
        let sums = Sums { cost: NanoUsd(1_000_000_001), requests: 3, ..Sums::default() };
        let json = serde_json::to_value(sums).unwrap();
        assert_eq!(json["costUsd"], "1.000000001");
        assert_eq!(serde_json::from_value::<Sums>(json).unwrap(), sums);
    }
}
