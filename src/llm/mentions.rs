//! What a request's body mentions beside the conversation and that only some routes decide by: names of
//! tools, metadata. Read from any dialect, and only when somebody asks.

use std::borrow::Cow;

use serde_json::{Map, Value, value::RawValue};

use super::members::Members;

/// Bytes of metadata that are read.
const MAX_METADATA: usize = 64 * 1024;
/// Members of metadata that are read.
const MAX_MEMBERS: usize = 256;

/// Types that say no more than that the tool is the caller's own, and has a name.
const OWN_TYPES: [&str; 3] = ["function", "custom", "namespace"];
/// What tools without a type are described by. Every other member is one of Gemini's own tools.
const DESCRIPTION: [&str; 15] = [
    "name",
    "description",
    "parameters",
    "input_schema",
    "input_examples",
    "strict",
    "cache_control",
    "defer_loading",
    "eager_input_streaming",
    "allowed_callers",
    "function",
    "custom",
    "functionDeclarations",
    "function_declarations",
    "tools",
];

/// The names of the tools that the model may call, in order; of those that a provider runs itself the
/// type, and of Gemini's own the member that switches it on.
///
/// OpenAI's chat has a function or a custom tool inside, the Responses API, Anthropic and Cohere have the
/// name at the top, Gemini lists functions, and a namespace lists tools. Which of several names counts,
/// the provider's reader decides: all of them are given, also of members that are there twice. What is no
/// list of tools has none: providers refuse it.
pub fn tool_names(body: &[u8]) -> Vec<Cow<'_, str>> {
    let mut names = Vec::new();
    // The second is OpenAI's form before tools.
    for member in ["tools", "functions"] {
        let tools = find(body, member).map(list).unwrap_or_default();
        tools.into_iter().for_each(|tool| add(tool, &mut names));
    }
    names
}

fn add<'a>(tool: &'a RawValue, names: &mut Vec<Cow<'a, str>>) {
    let Ok(Members(members)) = serde_json::from_str(tool.get()) else { return };
    let before = names.len();
    let mut types = Vec::new();
    for member in &members {
        match &*member.name {
            "name" => names.extend(text(member.value)),
            "type" => types.extend(text(member.value)),
            "function" | "custom" => names.extend(named(member.value)),
            "functionDeclarations" | "function_declarations" => {
                list(member.value).into_iter().for_each(|one| names.extend(named(one)));
            }
            "tools" => list(member.value).into_iter().for_each(|one| add(one, names)),
            _ => {}
        }
    }
    let is_nameless = names.len() == before;
    if types.is_empty() {
        let others = members.into_iter().map(|member| member.name);
        names.extend(others.filter(|name| !DESCRIPTION.contains(&&**name)));
    }
    names.extend(types.into_iter().filter(|kind| is_nameless || !OWN_TYPES.contains(&&**kind)));
}

/// The names of one function.
fn named<'a>(function: &'a RawValue) -> Vec<Cow<'a, str>> {
    let Ok(Members(members)) = serde_json::from_str::<Members<'a>>(function.get()) else {
        return Vec::new();
    };
    members.into_iter().filter(|it| it.name == "name").filter_map(|it| text(it.value)).collect()
}

fn list(value: &RawValue) -> Vec<&RawValue> {
    serde_json::from_str(value.get()).unwrap_or_default()
}

fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    let inside = value.get().strip_prefix('"')?.strip_suffix('"')?;
    match inside.contains('\\') {
        true => serde_json::from_str(value.get()).ok().map(Cow::Owned),
        false => Some(Cow::Borrowed(inside)),
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
    fn no_reader_finds_a_tool_that_is_not_named() {
        let names = |tool: &str| tool_names(format!("{{\"tools\":[{tool}]}}").leak().as_bytes());
        for tool in [
            r#"{"type":"function","name":"a","function":{"name":"db_drop","parameters":{}}}"#,
            r#"{"type":"function","name":["x"],"function":{"name":"db_drop"}}"#,
            r#"{"type":"function","function":{"name":"a","name":"db_drop"}}"#,
            r#"{"type":"function","type":"function","function":{"name":"db_drop"}}"#,
            r#"{"type":"function","function":{"name":"a"},"function":{"name":"db_\u0064rop"}}"#,
            r#"{"type":"function","function":{"name":"db_drop"},"functionDeclarations":[]}"#,
            r#"{"type":"namespace","name":"crm","tools":[{"type":"function","name":"db_drop"}]}"#,
            r#"{"type":"db_drop","name":"a"}"#,
            r#"{"functionDeclarations":[{"name":"f"}],"db_drop":{}}"#,
            r#"{"functionDeclarations":[],"name":"a","db_drop":{}}"#,
        ] {
            assert!(names(tool).iter().any(|name| name == "db_drop"), "{tool}: {:?}", names(tool));
        }
        assert_eq!(names(r#"{"type":"function"}"#), ["function"]);
        assert_eq!(names(r#"{"type":"custom","custom":{"name":"free"}}"#), ["free"]);
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
