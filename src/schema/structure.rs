//! Structure and bounds of a value, in the words of the API server.
//!
//! After <https://github.com/kubernetes/kube-openapi/tree/master/pkg/validation/validate> and the
//! list checks of apiextensions-apiserver (`pkg/apiserver/schema/listtype`).

use serde_json::Value;

use super::{
    Report, nearest,
    node::{ListType, Node},
    path::Path,
};

/// Reports everything in the value that the schema does not admit.
pub(super) fn check(node: &Node, value: &Value, path: &Path<'_>, report: &mut Report) {
    if value.is_null() && node.nullable {
        return;
    }
    if let Some(expected) = wrong_type(node, value) {
        let found = type_name(value);
        report.block(
            path,
            format!(
                "Invalid value: \"{found}\": {} in body must be of type {expected}: \"{found}\"",
                path.dotted()
            ),
        );
        return;
    }
    enumeration(node, value, path, report);
    match value {
        Value::String(text) => string(node, text, path, report),
        Value::Number(number) => {
            if let Some(number) = number.as_f64() {
                range(node, value, number, path, report);
            }
        }
        Value::Array(items) => array(node, items, path, report),
        Value::Object(members) => object(node, members, path, report),
        Value::Null | Value::Bool(_) => {}
    }
}

/// The type that was expected, if the value has another.
fn wrong_type<'a>(node: &'a Node, value: &Value) -> Option<&'a str> {
    let fits = match node.kind.as_str() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => match node.format.as_deref() {
            Some("int32") => value.as_i64().is_some_and(|value| i32::try_from(value).is_ok()),
            _ => value.as_i64().is_some(),
        },
        _ => true,
    };
    let expected = match &node.format {
        Some(format) if value.is_number() => format,
        _ => &node.kind,
    };
    (!fits).then_some(expected)
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn enumeration(node: &Node, value: &Value, path: &Path<'_>, report: &mut Report) {
    if node.values.is_empty() || node.values.contains(value) {
        return;
    }
    let values: Vec<String> = node.values.iter().map(Value::to_string).collect();
    let known = node.values.iter().filter_map(Value::as_str);
    let hint = value.as_str().and_then(|text| nearest(text, known));
    let hint = hint.map(|guess| format!(" (did you mean \"{guess}\"?)")).unwrap_or_default();
    report.block(
        path,
        format!("Unsupported value: {value}: supported values: {}{hint}", values.join(", ")),
    );
}

fn string(node: &Node, text: &str, path: &Path<'_>, report: &mut Report) {
    // Counted in characters, although the API server says bytes. It stops at the first fault.
    let length = text.chars().count();
    let (fewest, most) = node.size;
    let (field, shown) = (path.dotted(), Value::from(text));
    if let Some(most) = most.filter(|most| length > *most) {
        report.block(path, format!("Too long: may not be more than {most} bytes"));
    } else if let Some(fewest) = fewest.filter(|fewest| length < *fewest) {
        report.at(
            path,
            format!(
                "Invalid value: {shown}: {field} in body should be at least {fewest} chars long"
            ),
        );
    } else if let Some(pattern) = node.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
        report
            .at(path, format!("Invalid value: {shown}: {field} in body should match '{pattern}'"));
    }
}

fn range(node: &Node, value: &Value, number: f64, path: &Path<'_>, report: &mut Report) {
    let (least, most) = node.range;
    let wrong = [
        least.filter(|least| number < *least).map(|least| ("greater", least)),
        most.filter(|most| number > *most).map(|most| ("less", most)),
    ];
    for (side, bound) in wrong.into_iter().flatten() {
        report.at(
            path,
            format!(
                "Invalid value: {value}: {} in body should be {side} than or equal to {bound}",
                path.dotted()
            ),
        );
    }
}

fn array(node: &Node, items: &[Value], path: &Path<'_>, report: &mut Report) {
    size(node, items.len(), "items", path, report);
    if let Some(node) = &node.items {
        for (index, item) in items.iter().enumerate() {
            check(node, item, &path.index(index), report);
        }
    }
    match &node.list {
        ListType::Atomic => {}
        ListType::Set => duplicates(items.iter().cloned(), path, report),
        ListType::Map(keys) => {
            duplicates(items.iter().map(|item| key_of(item, keys)), path, report);
        }
    }
}

/// The part of an item that identifies it.
fn key_of(item: &Value, keys: &[String]) -> Value {
    let part = |key: &String| Some((key.clone(), item.get(key)?.clone()));
    Value::Object(keys.iter().filter_map(part).collect())
}

fn duplicates(items: impl Iterator<Item = Value>, path: &Path<'_>, report: &mut Report) {
    let mut seen: Vec<Value> = Vec::new();
    for (index, item) in items.enumerate() {
        if seen.contains(&item) {
            report.at(&path.index(index), format!("Duplicate value: {item}"));
        } else {
            seen.push(item);
        }
    }
}

fn object(
    node: &Node,
    members: &serde_json::Map<String, Value>,
    path: &Path<'_>,
    report: &mut Report,
) {
    for name in node.required.iter().filter(|name| !members.contains_key(*name)) {
        report.block(&path.member(name), "Required value");
    }
    size(node, members.len(), "properties", path, report);
    for (name, value) in members {
        if let Some(node) = node.member(name) {
            check(node, value, &path.member(name), report);
        }
    }
}

fn size(node: &Node, count: usize, what: &str, path: &Path<'_>, report: &mut Report) {
    let (fewest, most) = node.size;
    if let Some(most) = most.filter(|most| count > *most) {
        let items = if most == 1 { "item" } else { "items" };
        report.block(path, format!("Too many: {count}: must have at most {most} {items}"));
    }
    if let Some(fewest) = fewest.filter(|fewest| count < *fewest) {
        report.at(
            path,
            format!(
                "Invalid value: {count}: {} in body should have at least {fewest} {what}",
                path.dotted()
            ),
        );
    }
}
