//! Members that a schema does not know, and explicit nulls, as the API server treats them.

use serde_json::Value;

use super::{Report, nearest, node::Node, path::Path};

/// Reports every member that the schema does not know, as strict field validation does.
pub(super) fn unknown(node: &Node, value: &Value, path: &Path<'_>, report: &mut Report) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let is_envelope = path.pointer().is_empty()
                    && ["apiVersion", "kind", "metadata"].contains(&name.as_str());
                let path = path.member(name);
                match node.member(name) {
                    Some(node) => unknown(node, value, &path, report),
                    None if node.preserve || node.kind != "object" || is_envelope => {}
                    None => {
                        let known = node.properties.keys().map(String::as_str);
                        report.add(&path, unknown_field(&path, name, known));
                    }
                }
            }
        }
        Value::Array(items) => {
            if let Some(node) = &node.items {
                for (index, item) in items.iter().enumerate() {
                    unknown(node, item, &path.index(index), report);
                }
            }
        }
        _ => {}
    }
}

/// The message for a member that does not exist.
pub(super) fn unknown_field<'a>(
    path: &Path<'_>,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> String {
    let hint = match nearest(name, known.clone()) {
        Some(guess) => format!("did you mean {guess}?"),
        None => format!("the fields here are {}", known.collect::<Vec<_>>().join(", ")),
    };
    format!("unknown field \"{}\": {hint}", path.dotted())
}

/// Takes out the nulls that the API server prunes: those of members that are not nullable.
pub(super) fn nulls(node: &Node, value: &mut Value) {
    strip(node, value, false);
}

/// Takes out the nulls of all declared members: CEL does not see them as present.
pub(super) fn all_nulls(node: &Node, value: &mut Value) {
    strip(node, value, true);
}

fn strip(node: &Node, value: &mut Value, nullable_too: bool) {
    match value {
        Value::Object(members) => {
            members.retain(|name, value| {
                let Some(node) = node.member(name) else { return true };
                strip(node, value, nullable_too);
                !value.is_null() || (node.nullable && !nullable_too)
            });
        }
        Value::Array(items) => {
            if let Some(node) = &node.items {
                items.iter_mut().for_each(|item| strip(node, item, nullable_too));
            }
        }
        _ => {}
    }
}
