//! Durations as Kubernetes writes them: `250ms`, `30s`, `15m`, `1h30m`.

use std::{fmt, time::Duration as StdDuration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The grammar of a duration: whole numbers with units h, m, s, ms.
const PATTERN: &str = "^([0-9]{1,6}(h|m|s|ms))+$";

/// A duration in a manifest. Kept as written; [`Duration::get`] gives its value.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Duration {
    text: String,
    value: StdDuration,
}

/// The text is not a duration.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is not a duration: write whole numbers with units, for example 250ms, 30s or 15m")]
pub struct InvalidDuration(String);

impl Duration {
    /// The value.
    pub fn get(&self) -> StdDuration {
        self.value
    }

    /// A duration of this length, to the millisecond.
    pub fn from_std(value: StdDuration) -> Self {
        Self { text: format!("{}ms", value.as_millis()), value }
    }
}

impl TryFrom<String> for Duration {
    type Error = InvalidDuration;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match parse(&text) {
            Some(value) => Ok(Self { text, value }),
            None => Err(InvalidDuration(text)),
        }
    }
}

impl From<Duration> for String {
    fn from(duration: Duration) -> Self {
        duration.text
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": PATTERN, "maxLength": 32 })
    }

    fn inline_schema() -> bool {
        true
    }
}

fn parse(text: &str) -> Option<StdDuration> {
    let mut rest = text;
    let mut total = StdDuration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 || digits > 6 {
            return None;
        }
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        let number: u64 = number.parse().ok()?;
        total += match unit {
            "h" => StdDuration::from_secs(number * 3600),
            "m" => StdDuration::from_secs(number * 60),
            "s" => StdDuration::from_secs(number),
            "ms" => StdDuration::from_millis(number),
            _ => return None,
        };
        rest = tail;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up() {
        assert_eq!(parse("1h30m"), Some(StdDuration::from_secs(5400)));
        assert_eq!(parse("250ms"), Some(StdDuration::from_millis(250)));
        assert_eq!(parse("0s"), Some(StdDuration::ZERO));
    }

    #[test]
    fn bare_numbers_fractions_signs_and_unknown_units_are_refused() {
        for text in ["", "5", "1.5s", "-1s", "3d", "s", "1 s", "1234567s"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
