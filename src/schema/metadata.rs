//! Object metadata, in the words of the API server (apimachinery `pkg/util/validation`).

use serde_json::{Map, Value};

use super::{Report, path::Path, prune::unknown_field};

/// Every member of `ObjectMeta`.
const MEMBERS: [&str; 15] = [
    "name",
    "namespace",
    "labels",
    "annotations",
    "generateName",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "ownerReferences",
    "finalizers",
    "managedFields",
];
/// The most bytes of all annotations together.
const MAX_ANNOTATIONS: usize = 256 * 1024;
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', \
                     and must start and end with an alphanumeric character (e.g. 'my-name')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
     '.', and must start and end with an alphanumeric character (e.g. 'example.com')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
     '.', and must start and end with an alphanumeric character (e.g. 'MyValue')";
const NAME_PART: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end \
     with an alphanumeric character (e.g. 'my.name')";

/// What the name of a kind may look like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// DNS-1123 label, at most 63 bytes.
    Label,
    /// DNS-1123 subdomain, at most 253 bytes.
    Subdomain,
}

/// Reports what is wrong in the object's `metadata`.
pub(super) fn check(object: &Value, naming: Naming, report: &mut Report) {
    let root = Path::default();
    let path = root.member("metadata");
    let empty = Map::new();
    let members = match object.get("metadata") {
        None | Some(Value::Null) => &empty,
        Some(Value::Object(members)) => members,
        Some(_) => return mistyped(&path, "metadata", "object", report),
    };
    for member in members.keys().filter(|member| !MEMBERS.contains(&member.as_str())) {
        let path = path.member(member);
        report.add(&path, unknown_field(&path, member, MEMBERS.into_iter().take(4)));
    }
    name(members, naming, &path, report);
    if let Some(namespace) = text(members, "namespace", &path, report)
        && !namespace.is_empty()
        && !is_label(namespace)
    {
        report.at(&path.member("namespace"), format!("Invalid value: \"{namespace}\": {LABEL}"));
    }
    pairs(members, "labels", &path, report);
    pairs(members, "annotations", &path, report);
}

fn name(members: &Map<String, Value>, naming: Naming, path: &Path<'_>, report: &mut Report) {
    let at = path.member("name");
    if members.get("name").is_some_and(|name| !name.is_string() && !name.is_null()) {
        return mistyped(&at, "metadata.name", "string", report);
    }
    let name = members.get("name").and_then(Value::as_str).unwrap_or_default();
    let (good, rule) = match naming {
        Naming::Label => (is_label(name), LABEL),
        Naming::Subdomain => (is_subdomain(name), SUBDOMAIN),
    };
    if name.is_empty() {
        report.at(&at, "Required value: resource name may not be empty");
    } else if name.len() > 253 {
        report.at(&at, format!("Invalid value: \"{name}\": must be no more than 253 characters"));
    } else if !good {
        report.at(&at, format!("Invalid value: \"{name}\": {rule}"));
    }
}

fn pairs(members: &Map<String, Value>, field: &str, path: &Path<'_>, report: &mut Report) {
    let whole = path.member(field);
    let pairs = match members.get(field) {
        None | Some(Value::Null) => return,
        Some(Value::Object(pairs)) => pairs,
        Some(_) => return mistyped(&whole, &whole.dotted(), "object", report),
    };
    let mut bytes = 0;
    for (key, value) in pairs {
        // The server names the map, not the entry; the pointer still leads to the entry.
        let invalid = |shown: &str, message: &str, report: &mut Report| {
            let message = format!("{}: Invalid value: \"{shown}\": {message}", whole.dotted());
            report.add(&whole.member(key), message);
        };
        if let Some(message) = bad_key(key) {
            invalid(key, &message, report);
        }
        let value = match value {
            Value::String(value) => value.as_str(),
            Value::Null => "",
            _ => {
                mistyped(&whole.member(key), &whole.dotted(), "string", report);
                continue;
            }
        };
        bytes += key.len() + value.len();
        if field == "labels" && value.len() > 63 {
            invalid(value, "must be no more than 63 bytes", report);
        } else if field == "labels" && !value.is_empty() && !is_name_part(value) {
            invalid(value, LABEL_VALUE, report);
        }
    }
    if field == "annotations" && bytes > MAX_ANNOTATIONS {
        report.at(&whole, format!("Too long: may not be more than {MAX_ANNOTATIONS} bytes"));
    }
}

fn text<'a>(
    members: &'a Map<String, Value>,
    field: &str,
    path: &Path<'_>,
    report: &mut Report,
) -> Option<&'a str> {
    let value = members.get(field).filter(|value| !value.is_null())?;
    if !value.is_string() {
        let path = path.member(field);
        mistyped(&path, &path.dotted(), "string", report);
    }
    value.as_str()
}

fn mistyped(path: &Path<'_>, field: &str, kind: &str, report: &mut Report) {
    let hint = if kind == "string" { ": put the value in quotes" } else { "" };
    report.at(path, format!("Invalid value: {field} of type {kind} is expected{hint}"));
}

/// What is wrong with a label or annotation key: `[prefix/]name`.
pub(super) fn bad_key(key: &str) -> Option<String> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if name.is_empty() {
        return Some("name part must be non-empty".into());
    }
    if name.len() > 63 {
        return Some("name part must be no more than 63 bytes".into());
    }
    if !is_name_part(name) {
        return Some(NAME_PART.into());
    }
    match prefix {
        Some("") => Some("prefix part must be non-empty".into()),
        Some(prefix) if !is_subdomain(&prefix.to_ascii_lowercase()) => {
            Some(format!("prefix part {SUBDOMAIN}"))
        }
        _ => None,
    }
}

fn is_name_part(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    edge(text.as_bytes().first())
        && edge(text.as_bytes().last())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// RFC 1123 label in lower case, at most 63 bytes.
fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_lower_label(text)
}

fn is_lower_label(text: &str) -> bool {
    !text.starts_with('-')
        && !text.ends_with('-')
        && !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// RFC 1123 subdomain in lower case, at most 253 bytes.
fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_lower_label)
}
