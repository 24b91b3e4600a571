//! Sizes in bytes, written as Kubernetes quantities: `512Ki`, `32Mi`, `1Gi`.

use serde::Deserialize;

/// A number of bytes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "serde_json::Value")]
pub struct Size(pub u64);

impl TryFrom<serde_json::Value> for Size {
    type Error = String;

    fn try_from(value: serde_json::Value) -> Result<Self, Self::Error> {
        let text = match &value {
            serde_json::Value::Number(number) => number.to_string(),
            serde_json::Value::String(text) => text.clone(),
            _ => String::new(),
        };
        parse(&text).map(Self).ok_or_else(|| {
            format!(
                "{value} is not a size: write a number of bytes or for example 512Ki, 32Mi, 1Gi"
            )
        })
    }
}

fn parse(text: &str) -> Option<u64> {
    let units = [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30)];
    let (number, factor) = units
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))
        .unwrap_or((text, 1));
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn binary_units_are_read_and_everything_else_is_refused() {
        assert_eq!(parse("1024"), Some(1024));
        assert_eq!(parse("32Mi"), Some(32 << 20));
        for text in ["", "32M", "1.5Gi", "-1", "Mi", "99999999999Gi"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
