//! From an object as the API server sends it to a spec, or to a sentence that names the field that
//! can't be read.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads the spec.
///
/// # Errors
/// A sentence for the object's status that names the field.
pub(super) fn spec<S: DeserializeOwned>(object: &Value) -> Result<S, String> {
    let Some(spec) = object.get("spec") else {
        return Err("spec is missing: add it".to_owned());
    };
    S::deserialize(spec).map_err(|error| describe::<S>(spec, &error))
}

fn describe<S: DeserializeOwned>(spec: &Value, error: &serde_json::Error) -> String {
    let advice = "correct it, or update the CRDs so that the API server refuses such an object";
    // Values have no positions; text with one member a line gives the field away.
    let text = serde_json::to_string_pretty(spec).unwrap_or_default();
    let Err(located) = serde_json::from_str::<S>(&text) else {
        return format!("spec can't be read: {error}: {advice}");
    };
    let message = located.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    let path = path(&text, located.line());
    format!("spec{path} can't be read: {message}: {advice}")
}

/// The path of what stands on a line (from 1) of pretty-printed JSON.
fn path(text: &str, line: usize) -> String {
    let lines: Vec<&str> = text.lines().take(line).collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut parts = Vec::new();
    let Some(last) = lines.last() else { return String::new() };
    let mut depth = indent(last);
    let mut at = lines.len() - 1;
    // The end of an object or list stands for the line that opened it.
    if last.trim_start().starts_with(['}', ']']) {
        at = lines
            .get(..at)
            .and_then(|before| before.iter().rposition(|line| indent(line) == depth))
            .unwrap_or(0);
    }
    while depth > 0 {
        let before = lines.get(..at).unwrap_or_default();
        let parent = before.iter().rposition(|line| indent(line) < depth).unwrap_or(0);
        let key = lines.get(at).and_then(|line| key(line));
        parts.push(key.unwrap_or_else(|| {
            let siblings = lines.get(parent + 1..at).unwrap_or_default().iter();
            let starts =
                |line: &&&str| indent(line) == depth && !line.trim_start().starts_with(['}', ']']);
            format!("[{}]", siblings.filter(starts).count())
        }));
        at = parent;
        depth = lines.get(parent).map_or(0, |line| indent(line));
    }
    parts.reverse();
    parts.concat()
}

/// `.name` if the line starts with a member.
fn key(line: &str) -> Option<String> {
    let (name, _) = line.trim_start().strip_prefix('"')?.split_once("\": ")?;
    Some(format!(".{name}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::{AIProviderSpec, AIRouteSpec};

    #[test]
    fn a_wrong_type_deep_inside_is_named_by_its_path() {
        let object = json!({"spec": {
            "models": ["m"],
            "rules": [{"targets": [
                {"providerRef": {"name": "a"}},
                {"providerRef": {"name": "b"}, "weight": "heavy"},
            ]}],
        }});
        let error = spec::<AIRouteSpec>(&object).unwrap_err();
        assert!(error.starts_with("spec.rules[0].targets[1].weight can't be read"), "{error}");
    }

    #[test]
    fn an_unknown_field_is_named() {
        let object = json!({"spec": {"type": "Mock", "colour": "blue"}});
        let error = spec::<AIProviderSpec>(&object).unwrap_err();
        assert!(error.contains("colour"), "{error}");
    }

    #[test]
    fn a_missing_field_is_named_with_the_object_that_lacks_it() {
        let object = json!({"spec": {"models": ["m"], "rules": [{"targets": [
            {"providerRef": {"namespace": "a"}, "model": "x"},
        ]}]}});
        let error = spec::<AIRouteSpec>(&object).unwrap_err();
        assert!(error.starts_with("spec.rules[0].targets[0].providerRef can't be read"), "{error}");
        assert!(error.contains("`name`"), "{error}");
    }

    #[test]
    fn a_missing_spec_is_an_error_of_the_object() {
        assert!(spec::<AIRouteSpec>(&json!({})).is_err());
    }
}
