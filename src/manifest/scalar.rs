//! What an unquoted YAML scalar means, exactly as for `kubectl`.
//!
//! `kubectl` reads YAML 1.1 by go-yaml v2 (`resolve.go`) and turns it into JSON: `yes`, `on` and
//! `y` are booleans, `012` is octal, `1_000` is a number, dates stay text, and a number without a
//! fraction becomes an integer however it was written.

use serde_json::{Number, Value};

/// The value of a plain scalar.
///
/// # Errors
/// Infinity and not-a-number have no JSON form.
pub(super) fn resolve(text: &str) -> Result<Value, String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Ok(Value::Bool(true));
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Ok(Value::Bool(false));
        }
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF"
        | "-.inf" | "-.Inf" | "-.INF" => {
            return Err(format!("{text} can't be used in a manifest: write a finite number"));
        }
        _ => {}
    }
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    let value = if numeric { integer(text).or_else(|| float(text)) } else { None };
    Ok(value.unwrap_or_else(|| Value::String(text.into())))
}

/// Go's `strconv.ParseInt(text, 0, 64)` after underscores are taken out.
fn integer(text: &str) -> Option<Value> {
    if text.starts_with('.') {
        return None;
    }
    let plain = text.replace('_', "");
    let (negative, digits) = match plain.as_bytes().first()? {
        b'-' => (true, &plain[1..]),
        b'+' => (false, &plain[1..]),
        _ => (false, plain.as_str()),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    // Rust takes a sign here, Go does not.
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        let value = i64::try_from(-i128::from(magnitude)).ok()?;
        return Some(value.into());
    }
    Some(magnitude.into())
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`
fn float(text: &str) -> Option<Value> {
    let plain = if text.starts_with('.') { text.to_owned() } else { text.replace('_', "") };
    let unsigned = plain.strip_prefix(['-', '+']).unwrap_or(&plain);
    let starts_well = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let only_digits = unsigned
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+'));
    if !starts_well || !only_digits || !unsigned.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: f64 = plain.parse().ok()?;
    Number::from_f64(value).map(number)
}

/// An integer where the number has no fraction and fits, as JSON written by Go has it.
pub(super) fn number(number: Number) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        #[expect(clippy::cast_possible_truncation, reason = "bounded to exact integers")]
        Some(value) if number.is_f64() && value.fract() == 0.0 && value.abs() <= EXACT => {
            Value::from(value as i64)
        }
        _ => Value::Number(number),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_of_yaml_1_1_are_booleans_and_null() {
        for text in ["y", "Yes", "ON", "true"] {
            assert_eq!(resolve(text), Ok(json!(true)), "{text}");
        }
        for text in ["n", "No", "off", "False"] {
            assert_eq!(resolve(text), Ok(json!(false)), "{text}");
        }
        assert_eq!(resolve("~"), Ok(json!(null)));
        assert_eq!(resolve("yEs"), Ok(json!("yEs")));
    }

    #[test]
    fn numbers_are_read_as_kubectl_reads_them() {
        for (text, value) in [
            ("012", json!(10)),
            ("0o12", json!(10)),
            ("0x1F", json!(31)),
            ("0b11", json!(3)),
            ("1_000", json!(1000)),
            ("+5", json!(5)),
            ("-5", json!(-5)),
            ("1e3", json!(1000)),
            ("1.0", json!(1)),
            ("1.5", json!(1.5)),
            (".5", json!(0.5)),
            ("18446744073709551615", json!(u64::MAX)),
            ("089", json!(89)),
        ] {
            assert_eq!(resolve(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn dates_times_versions_and_signs_stay_text() {
        for text in
            ["2001-01-01", "12:30:45", "1.2.3", "-", "+-5", "1e", "0x", "e5", "5m", "1.2e3.4"]
        {
            assert_eq!(resolve(text), Ok(json!(text)), "{text}");
        }
    }

    #[test]
    fn infinity_is_refused_with_what_to_write() {
        assert!(resolve(".inf").is_err_and(|message| message.contains("finite")));
    }
}
