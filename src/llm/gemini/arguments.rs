//! Arguments that Vertex AI streams in pieces (`partialArgs`), each with its place, put together.
//!
//! Source: Vertex AI, "Streaming function call arguments".

use serde_json::{Map, Value};

use super::wire::{PartialArg, WireCall};

/// A list may not be made longer than this by one index.
const MAX_INDEX: usize = 4096;

/// A call whose arguments are still coming.
#[derive(Debug)]
pub struct Partial {
    /// Its place among the calls of the answer.
    pub index: usize,
    arguments: Value,
}

impl Partial {
    /// The call begins; `index` is its place among the calls of the answer.
    pub fn new(index: usize) -> Self {
        Self { index, arguments: Value::Object(Map::new()) }
    }

    /// Takes the pieces of one part.
    pub fn take(&mut self, call: &WireCall) {
        for piece in call.partial_args.iter().flatten() {
            set(&mut self.arguments, piece);
        }
        if let Some(Value::Object(whole)) =
            call.args.as_ref().and_then(|args| serde_json::from_str(args.text()).ok())
            && let Value::Object(mine) = &mut self.arguments
        {
            mine.extend(whole);
        }
    }

    /// The arguments as they are now.
    pub fn json(&self) -> String {
        self.arguments.to_string()
    }
}

/// Puts one piece in its place. Texts come in pieces of their own and are joined.
fn set(root: &mut Value, piece: &PartialArg) {
    let Some(slot) = slot(root, &piece.json_path) else { return };
    if let Some(text) = &piece.string_value {
        match slot {
            Value::String(so_far) => so_far.push_str(text),
            other => *other = Value::String(text.clone()),
        }
    } else if let Some(number) = &piece.number_value {
        *slot = Value::Number(number.clone());
    } else if let Some(flag) = piece.bool_value {
        *slot = Value::Bool(flag);
    }
}

/// The value at a path such as `$.a[0].b` or `$['a b']`, made if it is not there.
fn slot<'a>(root: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    let mut rest = path.strip_prefix('$')?;
    let mut here = root;
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix("['") {
            let (name, after) = quoted.split_once("']")?;
            (here, rest) = (member(here, name)?, after);
        } else if let Some(bracket) = rest.strip_prefix('[') {
            let (index, after) = bracket.split_once(']')?;
            (here, rest) = (item(here, index.parse().ok()?)?, after);
        } else {
            let name = rest.strip_prefix('.')?;
            let end = name.find(['.', '[']).unwrap_or(name.len());
            let (name, after) = name.split_at(end);
            (here, rest) = (member(here, name)?, after);
        }
    }
    Some(here)
}

fn member<'a>(value: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    Some(value.as_object_mut()?.entry(name.to_owned()).or_insert(Value::Null))
}

fn item(value: &mut Value, index: usize) -> Option<&mut Value> {
    if value.is_null() {
        *value = Value::Array(Vec::new());
    }
    let list = value.as_array_mut()?;
    if index >= MAX_INDEX {
        return None;
    }
    if index >= list.len() {
        list.resize(index + 1, Value::Null);
    }
    list.get_mut(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_together_in_their_places() {
        let mut partial = Partial::new(0);
        for piece in [
            r#"{"jsonPath": "$.a", "stringValue": "x", "willContinue": true}"#,
            r#"{"jsonPath": "$.a", "stringValue": "y"}"#,
            r#"{"jsonPath": "$.l[1].n", "numberValue": 2}"#,
            r#"{"jsonPath": "$['b c']", "boolValue": true}"#,
            r#"{"jsonPath": "$.z", "nullValue": "NULL_VALUE"}"#,
        ] {
            let json = format!("{{\"partialArgs\": [{piece}]}}");
            partial.take(&serde_json::from_str(&json).unwrap());
        }
        assert_eq!(partial.json(), r#"{"a":"xy","b c":true,"l":[null,{"n":2}],"z":null}"#);
    }

    #[test]
    fn a_path_that_leads_nowhere_is_left_out() {
        let mut partial = Partial::new(0);
        for path in ["a", "$.a[9999999]", "$.a[x]", "$['a", "$x"] {
            let json = serde_json::json!({"partialArgs": [{"jsonPath": path, "boolValue": true}]});
            partial.take(&serde_json::from_value(json).unwrap());
        }
        assert!(!partial.json().contains("true"));
    }
}
