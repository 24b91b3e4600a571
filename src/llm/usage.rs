//! Tokens used by one call, in one canonical form, and the estimate for when none are reported.
//! Prices and money belong to `budget`.

use std::ops::AddAssign;

use serde::{Deserialize as _, Deserializer};
use serde_json::Value;

/// Tokens as billed. `input` includes what was read from and written to a prompt cache, `output`
/// includes reasoning; the other three say how much of them was that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Prompt tokens, cached and cache-writing ones included.
    pub input: u64,
    /// Generated tokens, reasoning included.
    pub output: u64,
    /// Part of `input` that was read from a prompt cache.
    pub cached_input: u64,
    /// Part of `input` that was written to a prompt cache.
    pub cache_write: u64,
    /// Part of `output` that was reasoning.
    pub reasoning: u64,
}

impl Usage {
    /// All tokens, input and output.
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.cached_input = self.cached_input.saturating_add(other.cached_input);
        self.cache_write = self.cache_write.saturating_add(other.cache_write);
        self.reasoning = self.reasoning.saturating_add(other.reasoning);
    }
}

/// The largest count of tokens that is believed; no model takes or gives as many in one call.
const MAX_COUNT: f64 = 1e9;

/// Reads a count as providers write it: `10`, `10.0`, `"10"` or null. What is no count (negative,
/// absurdly large) is read as absent, for an answer must not fail by how it was counted.
pub(crate) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let number = match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let believed = number.filter(|number| (0.0..=MAX_COUNT).contains(number));
    Ok(believed.map(|number| number.ceil() as u64))
}

/// Tokens that a text of so many bytes may have: bytes / 3, rounded up. It errs on the high side for
/// English (about 4 bytes a token) because a budget reserves by it.
pub fn estimate_tokens(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(3)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_read_however_it_is_written_and_nonsense_is_none() {
        let read = |json: &str| count(&mut serde_json::Deserializer::from_str(json)).unwrap();
        for ten in ["10", "10.0", "\"10\"", "9.5"] {
            assert_eq!(read(ten), Some(10), "{ten}");
        }
        assert_eq!(read("0"), Some(0));
        for none in ["null", "-1", "1e30", "1000000000000", "\"many\"", "{}", "true"] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    #[test]
    fn estimate_rounds_up() {
        assert_eq!([0, 1, 3, 4].map(estimate_tokens), [0, 1, 1, 2]);
    }

    #[test]
    fn total_counts_cached_and_reasoning_once() {
        let usage = Usage { input: 10, output: 5, cached_input: 8, cache_write: 1, reasoning: 4 };
        assert_eq!(usage.total(), 15);
    }
}
