//! What tokens cost. Owns prices and the one rounding rule; knows nothing of providers.

use std::fmt;

use super::money::{DecimalError, NanoUsd, parse_scaled, write_scaled};

/// Tokens of one call, as every dialect reports them after normalisation.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct TokenCounts {
    /// Prompt tokens, `cached_input` and `cache_write` included.
    pub input: u64,
    /// Completion tokens, `reasoning` included.
    pub output: u64,
    /// Input tokens read from the provider's prompt cache.
    pub cached_input: u64,
    /// Input tokens written to the provider's prompt cache.
    pub cache_write: u64,
    /// Output tokens spent on hidden reasoning.
    pub reasoning: u64,
}

impl TokenCounts {
    /// Input plus output: what a limit in tokens counts.
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

/// A price in pico-dollars (10^-12 USD) per token, which is USD per million tokens times 10^6.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(pub u64);

impl Rate {
    /// The largest price that [`Self::from_usd_per_million`] takes, in USD per million tokens.
    pub const MAX_USD_PER_MILLION: u64 = 1_000_000;

    /// Parses a price in USD per million tokens such as `0.25`.
    ///
    /// # Errors
    /// If `text` is not a plain decimal number, has more than 6 decimal places or is larger than
    /// [`Self::MAX_USD_PER_MILLION`].
    pub fn from_usd_per_million(text: &str) -> Result<Self, DecimalError> {
        parse_scaled(text, 6, Self::MAX_USD_PER_MILLION).map(Self)
    }
}

/// USD per million tokens without trailing zeros.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_scaled(f, self.0, 6)
    }
}

/// The price list of one model.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// Input that is neither read from nor written to a cache.
    pub input: Rate,
    /// Output that is not reasoning.
    pub output: Rate,
    /// Input read from the provider's cache; absent means the input price.
    pub cached_input: Option<Rate>,
    /// Input written to the provider's cache; absent means the input price.
    pub cache_write: Option<Rate>,
    /// Reasoning output; absent means the output price.
    pub reasoning: Option<Rate>,
}

impl Price {
    /// What a call costs, rounded up once to a whole nano-dollar, at most the largest amount.
    ///
    /// Parts that exceed their whole (more cached input than input) are charged as reported, the
    /// rest then counts as none.
    pub fn cost(&self, tokens: &TokenCounts) -> NanoUsd {
        let cached = tokens.cached_input.saturating_add(tokens.cache_write);
        let input = tokens.input.saturating_sub(cached);
        let output = tokens.output.saturating_sub(tokens.reasoning);
        round_up(&[
            (input, self.input),
            (tokens.cached_input, self.cached_input.unwrap_or(self.input)),
            (tokens.cache_write, self.cache_write.unwrap_or(self.input)),
            (output, self.output),
            (tokens.reasoning, self.reasoning.unwrap_or(self.output)),
        ])
    }

    /// The most that a call of these sizes can cost, whatever part of it turns out to be cached
    /// or reasoning: what a reservation takes, so that a settlement never exceeds it.
    pub fn worst_case(&self, input: u64, output: u64) -> NanoUsd {
        let dearest = |base: Rate, others: &[Option<Rate>]| {
            others.iter().flatten().copied().fold(base, Rate::max)
        };
        round_up(&[
            (input, dearest(self.input, &[self.cached_input, self.cache_write])),
            (output, dearest(self.output, &[self.reasoning])),
        ])
    }
}

fn round_up(parts: &[(u64, Rate)]) -> NanoUsd {
    // The product of two 64-bit numbers fits in 128 bits, the sum of several may not.
    let pico = parts.iter().fold(0_u128, |sum, (tokens, rate)| {
        sum.saturating_add(u128::from(*tokens) * u128::from(rate.0))
    });
    NanoUsd(u64::try_from(pico.div_ceil(1000)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Rate {
        Rate::from_usd_per_million(text).unwrap()
    }

    fn gpt() -> Price {
        let cached_input = Some(rate("0.025"));
        Price { input: rate("0.25"), output: rate("2.00"), cached_input, ..Price::default() }
    }

    #[test]
    fn a_price_per_million_is_pico_dollars_per_token() {
        assert_eq!(rate("0.25"), Rate(250_000));
        assert_eq!(rate("0.000001"), Rate(1));
        assert_eq!(rate("0.25").to_string(), "0.25");
        assert!(Rate::from_usd_per_million("0.0000001").is_err());
        assert!(Rate::from_usd_per_million("1000000.1").is_err());
    }

    #[test]
    fn cached_input_is_not_charged_twice() {
        let tokens =
            TokenCounts { input: 1_000_000, cached_input: 400_000, ..TokenCounts::default() };
        assert_eq!(gpt().cost(&tokens).to_string(), "0.16");
    }

    #[test]
    fn missing_prices_fall_back_to_input_and_output() {
        let tokens = TokenCounts {
            input: 3_000_000,
            cache_write: 1_000_000,
            output: 1_000_000,
            reasoning: 600_000,
            ..TokenCounts::default()
        };
        assert_eq!(gpt().cost(&tokens).to_string(), "2.75");
        let dear = Price { reasoning: Some(rate("10")), cache_write: Some(rate("1.25")), ..gpt() };
        assert_eq!(dear.cost(&tokens).to_string(), "8.55");
    }

    #[test]
    fn cost_is_rounded_up_once_and_not_per_part() {
        let price = Price { input: Rate(1), output: Rate(1), ..Price::default() };
        let tokens = |input, output| TokenCounts { input, output, ..TokenCounts::default() };
        assert_eq!(price.cost(&tokens(0, 0)), NanoUsd(0));
        assert_eq!(price.cost(&tokens(1, 1)), NanoUsd(1));
        assert_eq!(price.cost(&tokens(500, 500)), NanoUsd(1));
        assert_eq!(price.cost(&tokens(500, 501)), NanoUsd(2));
    }

    #[test]
    fn absurd_counts_saturate_instead_of_wrapping() {
        let most = TokenCounts {
            input: u64::MAX,
            output: u64::MAX,
            cached_input: u64::MAX,
            cache_write: u64::MAX,
            reasoning: u64::MAX,
        };
        let price = Price { input: Rate(u64::MAX), output: Rate(u64::MAX), ..Price::default() };
        assert_eq!(price.cost(&most), NanoUsd(u64::MAX));
        assert_eq!(most.total(), u64::MAX);
    }

    proptest::proptest! {
        #[test]
        fn worst_case_bounds_every_split(
            rates in proptest::array::uniform5(0_u64..1_000_000_000),
            optional in proptest::array::uniform3(proptest::bool::ANY),
            (input, output) in (0_u64..1_000_000, 0_u64..1_000_000),
            parts in proptest::array::uniform3(0_u64..1_000_000),
        ) {
            let price = Price {
                input: Rate(rates[0]),
                output: Rate(rates[1]),
                cached_input: optional[0].then_some(Rate(rates[2])),
                cache_write: optional[1].then_some(Rate(rates[3])),
                reasoning: optional[2].then_some(Rate(rates[4])),
            };
            let cached_input = parts[0].min(input);
            let cache_write = parts[1].min(input - cached_input);
            let reasoning = parts[2].min(output);
            let tokens = TokenCounts { input, output, cached_input, cache_write, reasoning };
            proptest::prop_assert!(price.cost(&tokens) <= price.worst_case(input, output));
        }
    }
}
