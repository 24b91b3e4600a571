//! What a native message must contain, as a piece of it: members and elements that are not named may
//! be anything. Knows no dialect.
//!
//! `{"$text": "..."}` is a text that contains one, `{"$has": ...}` a list with such an element,
//! `{"$any": [...]}` one of several, `{"$above": 1}` a larger number, `{"$absent": true}` nothing.

use serde_json::Value;

/// Whether a message contains what is expected of it.
pub fn matches(found: &Value, expected: &Value) -> bool {
    match expected {
        Value::Object(members) => match members.iter().next() {
            Some((operator, operand)) if operator.starts_with('$') => {
                holds(found, operator, operand)
            }
            _ => {
                let member = |(name, value): (&String, &Value)| {
                    matches(found.get(name).unwrap_or(&Value::Null), value)
                };
                let is_there = found.is_object() || members.values().any(is_absence);
                is_there && members.iter().all(member)
            }
        },
        Value::Array(elements) => found.as_array().is_some_and(|list| {
            list.len() == elements.len()
                && list.iter().zip(elements).all(|(found, expected)| matches(found, expected))
        }),
        Value::Number(number) => found.as_f64() == number.as_f64(),
        other => found == other,
    }
}

/// What holds where there is nothing.
fn is_absence(expected: &Value) -> bool {
    matches(&Value::Null, expected)
}

fn holds(found: &Value, operator: &str, operand: &Value) -> bool {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    match operator {
        "$text" => found.as_str().is_some_and(|text| text.contains(operand.as_str().unwrap())),
        "$has" => list(found).iter().any(|element| matches(element, operand)),
        "$any" => list(operand).iter().any(|expected| matches(found, expected)),
        "$above" => found.as_f64() > operand.as_f64(),
        "$absent" => found.is_null(),
        unknown => panic!("unknown operator {unknown}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_piece_matches_what_contains_it_and_nothing_else() {
        let found = json!({"a": [{"b": 1.0, "c": "long text"}, 2], "d": null});
        for expected in [
            json!({"a": [{"b": 1}, 2]}),
            json!({"a": [{"c": {"$text": "text"}}, {"$above": 1}]}),
            json!({"a": {"$has": 2}, "e": {"$absent": true}, "f": {"g": {"$absent": true}}}),
            json!({"$any": [{"a": 1}, {"d": null}]}),
        ] {
            assert!(matches(&found, &expected), "{expected}");
        }
        for expected in [
            json!({"a": [{"b": 1}]}),
            json!({"a": [{"b": 2}, 2]}),
            json!({"a": {"$has": 3}}),
            json!({"e": {}}),
            json!({"a": {"$absent": true}}),
        ] {
            assert!(!matches(&found, &expected), "{expected}");
        }
    }
}
