//! The smallest JSON value that a JSON Schema accepts, for structured answers and tool arguments.
//! Patterns and conditions are not solved: a schema that needs them gets a value that may not fit.
//! A schema multiplies along its depth, so all that is built shares one allowance.

use std::cell::Cell;

use serde_json::{Value, json};

/// How deep references are followed before `null` is written.
const MAX_DEPTH: usize = 24;
/// The most items and characters that `minItems` and `minLength` may ask for.
const MAX_LENGTH: u64 = 256;
/// What one value may cost: a unit for each node that is visited or copied, and one more for every
/// [`UNIT`] bytes of its text. What comes after is left out, or `null`.
const ALLOWANCE: usize = 4096;
/// Bytes of text that cost as much as a node.
const UNIT: usize = 64;

/// A value that fits a schema; an empty object for a schema that says nothing.
pub fn instance(schema: &Value) -> Value {
    let value = Builder { root: schema, left: Cell::new(ALLOWANCE) }.build(schema, 0);
    if value.is_null() { json!({}) } else { value }
}

struct Builder<'a> {
    root: &'a Value,
    left: Cell<usize>,
}

impl Builder<'_> {
    fn build(&self, schema: &Value, depth: usize) -> Value {
        if depth > MAX_DEPTH || !self.pay(1) {
            return Value::Null;
        }
        if let Some(value) = given(schema) {
            return if self.pay_for(value) { value.clone() } else { Value::Null };
        }
        if let Some(target) = schema["$ref"].as_str().and_then(|path| self.resolve(path)) {
            return self.build(target, depth + 1);
        }
        for branch in ["anyOf", "oneOf"] {
            if let Some(first) = schema[branch].as_array().and_then(|options| options.first()) {
                return self.build(first, depth + 1);
            }
        }
        if let Some(parts) = schema["allOf"].as_array() {
            return self.all_of(parts, schema, depth);
        }
        self.of_type(type_of(schema), schema, depth)
    }

    /// Takes units from the allowance; the first that it cannot pay uses it up.
    fn pay(&self, units: usize) -> bool {
        let rest = self.left.get().checked_sub(units);
        self.left.set(rest.unwrap_or(0));
        rest.is_some()
    }

    fn pay_for(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.pay(cost(text)),
            Value::Array(items) => self.pay(1) && items.iter().all(|item| self.pay_for(item)),
            Value::Object(members) => {
                self.pay(1)
                    && members.iter().all(|(name, item)| self.pay(cost(name)) && self.pay_for(item))
            }
            _ => self.pay(1),
        }
    }

    fn of_type(&self, kind: &str, schema: &Value, depth: usize) -> Value {
        match kind {
            "object" => self.object(schema, depth),
            "array" => {
                let count = schema["minItems"].as_u64().unwrap_or(0).min(MAX_LENGTH);
                let items = (0..count).take_while(|_| self.left.get() > 0);
                items.map(|_| self.build(&schema["items"], depth + 1)).collect()
            }
            "string" => {
                let text = text(schema);
                if self.pay(cost(&text)) { Value::String(text) } else { Value::Null }
            }
            "integer" => json!(integer(schema)),
            "number" => number(schema),
            "boolean" => json!(true),
            _ => Value::Null,
        }
    }

    /// The required properties; in strict schemas these are all.
    fn object(&self, schema: &Value, depth: usize) -> Value {
        let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
        let members = required
            .iter()
            .filter_map(Value::as_str)
            .take_while(|name| self.pay(cost(name)))
            .map(|name| (name.to_owned(), self.build(&schema["properties"][name], depth + 1)));
        Value::Object(members.collect())
    }

    /// All parts as one schema; of two bounds the later counts.
    fn all_of(&self, parts: &[Value], schema: &Value, depth: usize) -> Value {
        if !self.pay_for(schema) {
            return Value::Null;
        }
        let mut merged = schema.as_object().cloned().unwrap_or_default();
        merged.remove("allOf");
        for part in parts {
            let target = part["$ref"].as_str().and_then(|path| self.resolve(path)).unwrap_or(part);
            if !self.pay_for(target) {
                return Value::Null;
            }
            for (word, value) in target.as_object().into_iter().flatten() {
                match (merged.get_mut(word), value) {
                    (Some(Value::Object(have)), Value::Object(more)) => have.extend(more.clone()),
                    (Some(Value::Array(have)), Value::Array(more)) => have.extend(more.clone()),
                    _ => _ = merged.insert(word.clone(), value.clone()),
                }
            }
        }
        self.build(&Value::Object(merged), depth + 1)
    }

    fn resolve(&self, path: &str) -> Option<&Value> {
        self.root.pointer(path.strip_prefix('#')?)
    }
}

/// A value that the schema itself writes down.
fn given(schema: &Value) -> Option<&Value> {
    let first = schema["enum"].as_array().and_then(|values| values.first());
    schema.get("const").or(first).or_else(|| schema.get("default"))
}

/// Units of a text, the node that it is included.
fn cost(text: &str) -> usize {
    1 + text.len() / UNIT
}

/// The first type that is named, or the one that the other words imply.
fn type_of(schema: &Value) -> &str {
    match &schema["type"] {
        Value::String(kind) => kind,
        Value::Array(kinds) => kinds.first().and_then(Value::as_str).unwrap_or("null"),
        _ if schema.get("properties").is_some() => "object",
        _ if schema.get("items").is_some() => "array",
        _ => "string",
    }
}

fn text(schema: &Value) -> String {
    let mut text = match schema["format"].as_str() {
        Some("date-time") => "2023-11-14T22:13:20Z",
        Some("date") => "2023-11-14",
        Some("time") => "22:13:20Z",
        Some("duration") => "PT1S",
        Some("email") => "mock@example.com",
        Some("uri") => "https://example.com/",
        Some("uuid") => "00000000-0000-4000-8000-000000000000",
        Some("ipv4") => "192.0.2.1",
        Some("ipv6") => "2001:db8::1",
        Some("hostname") => "example.com",
        _ => "mock",
    }
    .to_owned();
    let shortest = schema["minLength"].as_u64().unwrap_or(0).min(MAX_LENGTH) as usize;
    while text.len() < shortest {
        text.push('k');
    }
    if let Some(longest) = schema["maxLength"].as_u64() {
        text.truncate(usize::try_from(longest).unwrap_or(usize::MAX).min(text.len()));
    }
    text
}

fn integer(schema: &Value) -> i64 {
    let least = schema["minimum"].as_f64().map(f64::ceil);
    let above = schema["exclusiveMinimum"].as_f64().map(|bound| bound.floor() + 1.0);
    let most = schema["maximum"].as_f64().map_or(1.0, |bound| bound.floor().min(1.0));
    let below = schema["exclusiveMaximum"].as_f64().map_or(1.0, |bound| bound.ceil() - 1.0);
    let start = least.into_iter().chain(above).fold(most.min(below), f64::max);
    let step = schema["multipleOf"].as_f64().filter(|step| *step >= 1.0).unwrap_or(1.0);
    ((start / step).ceil() * step) as i64
}

fn number(schema: &Value) -> Value {
    match schema["exclusiveMinimum"].as_f64() {
        Some(bound) => json!(bound + 0.5),
        None => json!(integer(schema)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_passes_its_own_schema() {
        let schemas = [
            json!({"type": "object", "required": ["city", "unit"], "properties": {
                "city": {"type": "string", "minLength": 6}, "unit": {"enum": ["c", "f"]}}}),
            json!({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "required": ["next"],
                "properties": {"next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/node"}]}}}}}),
            json!({"type": "object", "required": ["list"], "properties": {"list": {"type": "array",
                "minItems": 2, "items": {"type": "integer", "minimum": 10, "multipleOf": 4}}}}),
            json!({"type": ["integer", "null"], "maximum": -3}),
            json!({"allOf": [{"type": "object", "required": ["a"]}, {"required": ["b"]}]}),
            json!({"const": {"fixed": true}}),
            json!({"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
        ];
        for schema in schemas {
            let value = instance(&schema);
            assert!(jsonschema::is_valid(&schema, &value), "{schema} is not met by {value}");
        }
    }

    #[test]
    fn a_small_schema_cannot_ask_for_a_large_value() {
        let nest = |inner: Value, levels: usize| {
            (0..levels)
                .fold(inner, |items, _| json!({"type": "array", "minItems": 256, "items": items}))
        };
        let long = "x".repeat(100_000);
        let many: Vec<String> = (0..20_000).map(|number| format!("p{number}")).collect();
        for inner in [
            json!({"type": "string", "minLength": 256}),
            json!({"const": long}),
            json!({"const": many}),
            json!({"type": "object", "required": [long]}),
            json!({"type": "object", "required": many}),
            json!({"allOf": [{"const": long}, {"description": long}]}),
        ] {
            let size = instance(&nest(inner, 8)).to_string().len();
            assert!(size < 1 << 20, "{size}");
        }
    }

    #[test]
    fn a_schema_that_refers_to_itself_for_ever_still_ends() {
        let schema = json!({"$ref": "#"});
        assert_eq!(instance(&schema), json!({}));
    }
}
