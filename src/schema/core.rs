//! Core kinds that Sluice reads: what the API server checks of them, and what we expect.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::{
    Report,
    metadata::{self, Naming},
    path::Path,
    prune::unknown_field,
};
use crate::api::{
    consumer::{API_KEY_SECRET_TYPE, EXPIRES_ANNOTATION, KEY, KEY_HASH},
    pricing::PRICES_LABEL,
};

const SECRET_MEMBERS: [&str; 7] =
    ["apiVersion", "kind", "metadata", "data", "stringData", "type", "immutable"];
const CONFIG_MAP_MEMBERS: [&str; 6] =
    ["apiVersion", "kind", "metadata", "data", "binaryData", "immutable"];
const NAMESPACE_MEMBERS: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];

/// Reports what is wrong with a Namespace.
pub(super) fn namespace(object: &Value, report: &mut Report) {
    metadata::check(object, Naming::Label, report);
    members(object, &NAMESPACE_MEMBERS, report);
}

/// Whether a ConfigMap is labelled as one with prices.
pub(super) fn is_price_list(object: &Value) -> bool {
    object.pointer("/metadata/labels").is_some_and(|labels| labels.get(PRICES_LABEL).is_some())
}

/// Reports what is wrong with a ConfigMap, whatever its data means.
pub(super) fn config_map(object: &Value, report: &mut Report) {
    metadata::check(object, Naming::Subdomain, report);
    members(object, &CONFIG_MAP_MEMBERS, report);
    let root = Path::default();
    let path = root.member("data");
    match object.get("data") {
        None | Some(Value::Null) => {}
        Some(Value::Object(values)) => {
            for (key, _) in
                values.iter().filter(|(_, value)| !value.is_string() && !value.is_null())
            {
                let at = path.member(key);
                report.at(&at, "Invalid value: data of type string is expected: write the text as a block, after |");
            }
        }
        Some(_) => report.at(&path, "Invalid value: must be an object of names and values"),
    }
}

/// Reports what is wrong with a Secret. One of type `sluice.dev/api-key` must hold a key.
///
/// No message repeats a value: it may be a secret.
pub(super) fn secret(object: &Value, report: &mut Report) {
    metadata::check(object, Naming::Subdomain, report);
    members(object, &SECRET_MEMBERS, report);
    let before = report.violations.len();
    let entries = entries(object, report);
    let is_key = object.get("type").is_some_and(|kind| kind == API_KEY_SECRET_TYPE);
    if is_key && report.violations.len() == before {
        api_key(&entries, report);
    }
    if is_key {
        expiry(object, report);
    }
}

fn members(object: &Value, known: &[&'static str], report: &mut Report) {
    let root = Path::default();
    for name in object.as_object().into_iter().flat_map(Map::keys) {
        if !known.contains(&name.as_str()) {
            let path = root.member(name);
            report.add(&path, unknown_field(&path, name, known.iter().copied()));
        }
    }
}

/// What the Secret holds: `data` decoded, overlaid with `stringData`; not UTF-8 is empty.
fn entries(object: &Value, report: &mut Report) -> Map<String, Value> {
    let root = Path::default();
    let mut entries = Map::new();
    for field in ["data", "stringData"] {
        let path = root.member(field);
        let values = match object.get(field) {
            None | Some(Value::Null) => continue,
            Some(Value::Object(values)) => values,
            Some(_) => {
                report.at(&path, "Invalid value: must be an object of names and values");
                continue;
            }
        };
        for (key, value) in values {
            let at = path.member(key);
            let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            if key.is_empty() || key.len() > 253 || !key.bytes().all(good) {
                report.at(&at, "Invalid value: a valid config key must consist of alphanumeric characters, '-', '_' or '.'");
            }
            let text = match value {
                Value::Null => String::new(),
                Value::String(text) if field == "stringData" => text.clone(),
                Value::String(text) => match STANDARD.decode(text) {
                    Ok(bytes) => String::from_utf8(bytes).unwrap_or_default(),
                    Err(_) => {
                        report.at(&at, "Invalid value: illegal base64 data: write plain text under stringData instead");
                        continue;
                    }
                },
                _ => {
                    report.at(&at, format!("Invalid value: {field} of type string is expected: put the value in quotes"));
                    continue;
                }
            };
            entries.insert(key.clone(), text.into());
        }
    }
    entries
}

fn api_key(entries: &Map<String, Value>, report: &mut Report) {
    let root = Path::default();
    let path = root.member("stringData");
    let filled = |name: &str| {
        entries.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty())
    };
    match (filled(KEY), filled(KEY_HASH)) {
        (None, None) => report.at(
            &path,
            format!(
                "Required value: a Secret of type {API_KEY_SECRET_TYPE} needs {KEY} (the API key \
                 itself) or {KEY_HASH} (sha256: and 64 hex digits of it)"
            ),
        ),
        (_, Some(hash)) if !is_hash(hash) => report.at(
            &path.member(KEY_HASH),
            "Invalid value: must be sha256: followed by the 64 hex digits of the key's SHA-256",
        ),
        _ => {}
    }
}

fn is_hash(text: &str) -> bool {
    text.strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn expiry(object: &Value, report: &mut Report) {
    let annotations = object.get("metadata").and_then(|metadata| metadata.get("annotations"));
    let expires = annotations.and_then(|all| all.get(EXPIRES_ANNOTATION)).and_then(Value::as_str);
    if let Some(expires) = expires.filter(|text| text.parse::<jiff::Timestamp>().is_err()) {
        let root = Path::default();
        let metadata = root.member("metadata");
        let annotations = metadata.member("annotations");
        report.at(
            &annotations.member(EXPIRES_ANNOTATION),
            format!(
                "Invalid value: \"{expires}\": must be an RFC 3339 time, for example \
                 2027-01-31T00:00:00Z"
            ),
        );
    }
}
