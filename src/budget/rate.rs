//! One price: what one token, image or request costs. Exact, never a float.

use std::fmt;

use super::money::{DecimalError, parse_scaled, write_scaled};

/// A price in pico-dollars (10^-12 USD) for one unit; for tokens that is USD per million tokens
/// times 10^6.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(pub u64);

impl Rate {
    /// The largest price that [`Self::from_usd_per_million`] takes, in USD per million tokens.
    pub const MAX_USD_PER_MILLION: u64 = 1_000_000;
    /// The largest price that [`Self::from_usd`] takes, in USD.
    pub const MAX_USD: u64 = 1_000_000;

    /// Parses a price in USD per million tokens such as `0.25`.
    ///
    /// # Errors
    /// If `text` is not a plain decimal number, has more than 6 decimal places or is larger than
    /// [`Self::MAX_USD_PER_MILLION`].
    pub fn from_usd_per_million(text: &str) -> Result<Self, DecimalError> {
        parse_scaled(text, 6, Self::MAX_USD_PER_MILLION).map(Self)
    }

    /// Parses a price in USD for one image or request such as `0.04`.
    ///
    /// # Errors
    /// If `text` is not a plain decimal number, has more than 12 decimal places or is larger than
    /// [`Self::MAX_USD`].
    pub fn from_usd(text: &str) -> Result<Self, DecimalError> {
        parse_scaled(text, 12, Self::MAX_USD).map(Self)
    }

    /// USD for one unit, without trailing zeros.
    pub fn usd(self) -> impl fmt::Display {
        struct Usd(u64);
        impl fmt::Display for Usd {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_scaled(f, self.0, 12)
            }
        }
        Usd(self.0)
    }
}

/// USD per million tokens without trailing zeros.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_scaled(f, self.0, 6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_per_million_is_pico_dollars_per_token() {
        let rate = Rate::from_usd_per_million("0.25").unwrap();
        assert_eq!((rate, rate.to_string().as_str()), (Rate(250_000), "0.25"));
        assert_eq!(Rate::from_usd_per_million("0.000001"), Ok(Rate(1)));
        assert!(Rate::from_usd_per_million("0.0000001").is_err());
        assert!(Rate::from_usd_per_million("1000000.1").is_err());
    }

    #[test]
    fn a_price_of_one_thing_is_in_whole_dollars() {
        let rate = Rate::from_usd("0.005").unwrap();
        assert_eq!((rate, rate.usd().to_string().as_str()), (Rate(5_000_000_000), "0.005"));
        assert!(Rate::from_usd("0.0000000000001").is_err());
    }
}
