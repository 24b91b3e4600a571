//! What a request's body mentions beside the conversation and that only some routes decide by: names of
//! tools, metadata. Read from any dialect, and only when somebody asks.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::members::Members;

/// Bytes of metadata that are read.
const MAX_METADATA: usize = 64 * 1024;
/// Members of metadata that are read.
const MAX_MEMBERS: usize = 256;

/// A tool, in the shapes of all dialects: OpenAI's chat has a function or a custom tool inside, the
/// Responses API, Anthropic and Cohere have the name at the top, Gemini lists functions, and tools that
/// a provider runs itself have only a type.
#[derive(Deserialize)]
struct Tool<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    function: Option<Named<'a>>,
    #[serde(borrow)]
    custom: Option<Named<'a>>,
    #[serde(rename = "functionDeclarations", alias = "function_declarations", borrow)]
    declarations: Option<Vec<Named<'a>>>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
}

/// The names of the tools that the model may call, in order; for one without a name its type, and for
/// Gemini's own the member that switches it on. What is no list of tools has none: providers refuse it.
pub fn tool_names(body: &[u8]) -> Vec<Cow<'_, str>> {
    let tools = |member: &str| {
        let value = find(body, member)?;
        serde_json::from_str::<Vec<&RawValue>>(value.get()).ok()
    };
    let mut names = Vec::new();
    for tool in tools("tools").into_iter().flatten() {
        add(tool, &mut names);
    }
    // OpenAI's form before tools.
    for function in tools("functions").into_iter().flatten() {
        add(function, &mut names);
    }
    names
}

fn add<'a>(tool: &'a RawValue, names: &mut Vec<Cow<'a, str>>) {
    let Ok(found) = serde_json::from_str::<Tool<'a>>(tool.get()) else { return };
    if let Some(declarations) = found.declarations {
        names.extend(declarations.into_iter().filter_map(|function| function.name));
        return;
    }
    let inside = || found.function.or(found.custom).and_then(|named| named.name);
    if let Some(name) = found.name.or_else(inside).or(found.kind) {
        names.push(name);
    } else if let Ok(Members(members)) = serde_json::from_str(tool.get()) {
        names.extend(members.into_iter().map(|member| member.name));
    }
}

/// `metadata` of the body; empty without one. `None` if it is larger than what is read.
pub fn metadata(body: &[u8]) -> Option<Map<String, Value>> {
    let Some(value) = find(body, "metadata") else { return Some(Map::new()) };
    if value.get().len() > MAX_METADATA {
        return None;
    }
    let members: Map<String, Value> = serde_json::from_str(value.get()).unwrap_or_default();
    (members.len() <= MAX_MEMBERS).then_some(members)
}

fn find<'a>(body: &'a [u8], name: &str) -> Option<&'a RawValue> {
    let Members(members) = Members::parse(body).ok()?;
    members.into_iter().find(|member| member.name == name).map(|member| member.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_of_every_dialect_have_their_names() {
        let body = br#"{"tools":[
            {"type":"function","function":{"name":"chat"}},
            {"type":"custom","custom":{"name":"free"}},
            {"type":"function","name":"responses"},
            {"name":"anthropic","input_schema":{}},
            {"type":"web_search"},
            {"functionDeclarations":[{"name":"gem"},{"name":"ini"}]},
            {"googleSearch":{}},
            7
        ],"functions":[{"name":"old"}]}"#;
        let expected = [
            "chat",
            "free",
            "responses",
            "anthropic",
            "web_search",
            "gem",
            "ini",
            "googleSearch",
            "old",
        ];
        assert_eq!(tool_names(body), expected);
        for none in [&b"{}"[..], b"{\"tools\":5}", b"{\"tools\":null}", b"no json"] {
            assert!(tool_names(none).is_empty());
        }
    }

    #[test]
    fn metadata_is_read_within_its_bounds() {
        let read = |text: &str| metadata(text.as_bytes());
        assert_eq!(read("{}"), Some(Map::new()));
        assert_eq!(read(r#"{"metadata":5}"#), Some(Map::new()));
        assert_eq!(read(r#"{"metadata":{"a":[1]}}"#).unwrap()["a"], serde_json::json!([1]));
        let large = format!(r#"{{"metadata":{{"a":"{}"}}}}"#, "x".repeat(MAX_METADATA));
        assert_eq!(read(&large), None);
        let many: Map<String, Value> =
            (0..=MAX_MEMBERS).map(|n| (n.to_string(), Value::Null)).collect();
        assert_eq!(read(&serde_json::json!({"metadata": many}).to_string()), None);
    }
}
