//! The CRDs themselves: in step with the code, bounded, documented.

use std::path::Path;

use serde_json::Value;
use sluice::{api::definitions, manifest};

/// An API server refuses objects over 1.5 MiB; annotations of `kubectl apply` hold 256 KiB.
const MAX_BYTES: usize = 100 * 1024;

/// Each CRD's name and schema of spec and status.
fn schemas() -> Vec<(String, Value)> {
    let definitions = definitions().into_iter();
    definitions
        .map(|definition| {
            let name = definition.spec.names.kind.clone();
            let schema = definition.spec.versions[0].schema.clone().unwrap();
            (name, serde_json::to_value(schema.open_api_v3_schema.unwrap()).unwrap())
        })
        .collect()
}

/// Calls `visit` with the path and schema of every property, item and map value.
fn walk(path: &str, schema: &Value, visit: &mut dyn FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, visit);
    }
    for (key, sign) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[key].is_object() {
            walk(&format!("{path}{sign}"), &schema[key], visit);
        }
    }
}

fn offenders(is_bad: impl Fn(&str, &Value) -> bool) -> Vec<String> {
    let mut bad = Vec::new();
    for (kind, schema) in schemas() {
        walk(&kind, &schema, &mut |path, schema| {
            if is_bad(path, schema) {
                bad.push(path.to_owned());
            }
        });
    }
    bad
}

#[test]
fn files_in_crds_are_those_of_this_code_and_small() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    let count = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(count, definitions().len(), "crds/ holds files of no kind");
    for definition in definitions() {
        let name = format!("{}.yaml", definition.spec.names.plural);
        let text = std::fs::read_to_string(folder.join(&name)).unwrap();
        assert!(text.len() < MAX_BYTES, "{name} has {} bytes", text.len());
        let written = manifest::parse(Path::new(&name), &text).unwrap();
        let json = serde_json::to_string(&definition).unwrap();
        let current = manifest::parse(Path::new("current.json"), &json).unwrap();
        assert!(
            written[0].value == current[0].value,
            "crds/{name} is out of date: run `sluice crds`"
        );
    }
}

#[test]
fn every_property_is_documented() {
    let of_core = [".apiVersion", ".kind", ".metadata"];
    let bad = offenders(|path, schema| {
        let is_property = path.contains('.') && !path.ends_with("[]") && !path.ends_with("{}");
        let text = schema["description"].as_str().unwrap_or_default();
        is_property && text.is_empty() && !of_core.iter().any(|name| path.ends_with(name))
    });
    assert!(bad.is_empty(), "no description: {bad:?}");
}

#[test]
fn every_list_map_and_string_of_a_spec_is_bounded() {
    let in_spec = |path: &str| path.contains(".spec");
    let bad = offenders(|path, schema| {
        let has = |key: &str| !schema[key].is_null();
        match schema["type"].as_str() {
            Some("array") => !has("maxItems"),
            Some("object") if has("additionalProperties") => in_spec(path) && !has("maxProperties"),
            Some("string") => {
                let bounded = ["maxLength", "enum", "format"].into_iter().any(has);
                in_spec(path) && !bounded
            }
            Some("integer") => in_spec(path) && !(has("minimum") && has("maximum")),
            _ => false,
        }
    });
    assert!(bad.is_empty(), "no bound: {bad:?}");
}

#[test]
fn every_rule_says_what_to_write() {
    let bad = offenders(|_, schema| {
        let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
        rules.into_iter().any(|rule| rule["message"].as_str().is_none_or(|text| text.len() < 16))
    });
    assert!(bad.is_empty(), "no message: {bad:?}");
}

#[test]
fn no_default_and_no_null_gets_into_stored_specs() {
    // A nullable enum refuses null, which a field that is not nullable takes as absent.
    let bad = offenders(|_, schema| !schema["default"].is_null() || !schema["nullable"].is_null());
    assert!(bad.is_empty(), "default or nullable: {bad:?}");
}
