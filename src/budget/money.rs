//! Money in integer nano-dollars and exact decimal parsing. Never a float.

use std::fmt;

/// An amount of US dollars in nano-dollars (10^-9 USD).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NanoUsd(pub u64);

/// Why a decimal string is not an amount or a price.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not of the form `12` or `12.5`: signs, exponents, blanks and bare points are refused.
    #[error("{0:?} is not a decimal number such as \"12\" or \"12.5\"")]
    NotDecimal(String),
    /// More decimal places than can be counted exactly.
    #[error("{text:?} has more than {max} decimal places")]
    TooPrecise {
        /// What was written.
        text: String,
        /// Decimal places that are allowed.
        max: u32,
    },
    /// Larger than the bound.
    #[error("{text:?} is larger than {max}")]
    TooLarge {
        /// What was written.
        text: String,
        /// The largest whole number that is allowed.
        max: u64,
    },
}

impl NanoUsd {
    /// The largest amount that [`Self::from_decimal`] takes, in whole US dollars. It keeps
    /// nano-dollars inside a signed 64-bit integer, which is what Kubernetes stores.
    pub const MAX_USD: u64 = 9_000_000_000;

    /// Parses US dollars such as `500` or `0.25`.
    ///
    /// # Errors
    /// If `text` is not a plain decimal number, has more than 9 decimal places or is larger than
    /// [`Self::MAX_USD`].
    pub fn from_decimal(text: &str) -> Result<Self, DecimalError> {
        parse_scaled(text, 9, Self::MAX_USD).map(Self)
    }
}

/// Decimal US dollars without trailing zeros: `12.5`, `0.000000001`, `3`.
impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_scaled(f, self.0, 9)
    }
}

/// Parses `text` as a decimal number times `10^decimals`, at most `max_whole` before scaling.
/// `max_whole * 10^decimals` must fit in 64 bits.
pub(super) fn parse_scaled(text: &str, decimals: u32, max_whole: u64) -> Result<u64, DecimalError> {
    let not_decimal = || DecimalError::NotDecimal(text.chars().take(64).collect());
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return Err(not_decimal()),
        None => (text, ""),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || text.len() > 64 {
        return Err(not_decimal());
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > decimals as usize {
        return Err(DecimalError::TooPrecise { text: text.to_owned(), max: decimals });
    }
    let too_large = || DecimalError::TooLarge { text: text.to_owned(), max: max_whole };
    let whole: u64 = whole.parse().map_err(|_| too_large())?;
    let scale = 10_u64.pow(decimals);
    let padded = format!("{fraction:0<width$}", width = decimals as usize);
    let small: u64 = padded.parse().map_err(|_| not_decimal())?;
    let scaled = whole.checked_mul(scale).and_then(|n| n.checked_add(small));
    scaled.filter(|n| *n <= max_whole * scale).ok_or_else(too_large)
}

/// Writes `value / 10^decimals` without trailing zeros; `decimals` is at least 1 and at most 19.
pub(super) fn write_scaled(f: &mut fmt::Formatter<'_>, value: u64, decimals: u32) -> fmt::Result {
    // 20 digits of a u64 and the point: prices and costs are written for every request.
    let mut text = [b'0'; 21];
    let (mut rest, mut start) = (value, text.len());
    let point = text.len() - 1 - decimals as usize;
    while rest > 0 || start >= point {
        start -= 1;
        if start == point {
            text[start] = b'.';
        } else {
            text[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
    let zeros = text[point..].iter().rev().take_while(|byte| **byte == b'0').count();
    let end = text.len() - zeros;
    let end = if end == point + 1 { point } else { end };
    f.pad(str::from_utf8(&text[start..end]).map_err(|_| fmt::Error)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_dollars_become_nano_dollars_exactly() {
        for (text, nano) in [
            ("0", 0),
            ("500", 500_000_000_000),
            ("0.25", 250_000_000),
            ("0.000000001", 1),
            ("007.50", 7_500_000_000),
            ("1.0000000000000", 1_000_000_000),
            ("9000000000", 9_000_000_000_000_000_000),
        ] {
            assert_eq!(NanoUsd::from_decimal(text), Ok(NanoUsd(nano)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_plain_decimal_is_refused() {
        for text in ["", ".", ".5", "5.", "-1", "+1", "1e3", " 1", "1 ", "1,5", "1.2.3", "٣", "NaN"]
        {
            let error = NanoUsd::from_decimal(text).unwrap_err();
            assert!(matches!(error, DecimalError::NotDecimal(_)), "{text}: {error}");
        }
    }

    #[test]
    fn too_precise_and_too_large_amounts_say_what_is_allowed() {
        let precise = NanoUsd::from_decimal("0.0000000001").unwrap_err();
        assert_eq!(precise.to_string(), "\"0.0000000001\" has more than 9 decimal places");
        for text in ["9000000000.000000001", "9000000001", "99999999999999999999999"] {
            let error = NanoUsd::from_decimal(text).unwrap_err();
            assert!(error.to_string().ends_with("is larger than 9000000000"), "{error}");
        }
    }

    #[test]
    fn display_is_the_shortest_exact_decimal() {
        for (nano, text) in
            [(12_500_000_000, "12.5"), (1, "0.000000001"), (3_000_000_000, "3"), (0, "0")]
        {
            assert_eq!(NanoUsd(nano).to_string(), text);
            assert_eq!(NanoUsd::from_decimal(text), Ok(NanoUsd(nano)));
        }
        assert_eq!(NanoUsd(u64::MAX).to_string(), "18446744073.709551615");
    }
}
