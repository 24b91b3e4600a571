//! Whether a request may be sent twice at the same time: what a provider stores, runs or sells by the
//! piece must happen once. Who sends it, and when, is the proxy's to decide.

use serde_json::{Map, Value};

use super::endpoint::{Endpoint, Work};

/// Members that make the provider keep something or act on it.
const KEEPING: [&str; 5] =
    ["previous_response_id", "conversation", "background", "container", "mcp_servers"];
/// Types of tools that the caller runs: OpenAI's own words, and Anthropic's for tools without a type.
const CALLERS_OWN: [&str; 2] = ["function", "custom"];
/// What Gemini calls the tools that the caller runs.
const DECLARATIONS: [&str; 2] = ["functionDeclarations", "function_declarations"];

/// Whether a second copy of the request does no harm beyond its price: text without state and without
/// tools that the provider runs, vectors, judgements and orders. Pictures and sound are large and sold
/// by the piece, and counts are free of waiting.
pub fn is_repeatable(endpoint: Endpoint, body: &[u8]) -> bool {
    match endpoint.work() {
        Work::Media | Work::Transcript | Work::Count => return false,
        Work::Vectors | Work::Verdict | Work::Order => return true,
        Work::Chat | Work::Text => {}
    }
    let Ok(request) = serde_json::from_slice::<Map<String, Value>>(body) else { return false };
    let is_set = |name: &&str| {
        request.get(*name).is_some_and(|value| !value.is_null() && *value != Value::Bool(false))
    };
    if KEEPING.iter().any(is_set) {
        return false;
    }
    // A second answer that Responses stores is in nobody's way: nobody knows its id.
    let tools = request.get("tools").and_then(Value::as_array);
    tools.is_none_or(|tools| tools.iter().all(is_callers_own))
}

fn is_callers_own(tool: &Value) -> bool {
    let Some(tool) = tool.as_object() else { return false };
    match tool.get("type") {
        Some(kind) => kind.as_str().is_some_and(|kind| CALLERS_OWN.contains(&kind)),
        // Anthropic's own shape names the tool, Gemini's holds a list of them.
        None => {
            tool.contains_key("name")
                || (!tool.is_empty() && tool.keys().all(|name| DECLARATIONS.contains(&&**name)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeats(endpoint: Endpoint, body: &str) -> bool {
        is_repeatable(endpoint, body.as_bytes())
    }

    #[test]
    fn what_has_no_state_may_be_sent_twice() {
        for (endpoint, body) in [
            (Endpoint::ChatCompletions, r#"{"messages":[],"tools":[{"type":"function"}]}"#),
            (Endpoint::Messages, r#"{"messages":[],"tools":[{"name":"f","input_schema":{}}]}"#),
            (Endpoint::GenerateContent, r#"{"tools":[{"functionDeclarations":[]}]}"#),
            (
                Endpoint::Responses,
                r#"{"input":"x","previous_response_id":null,"background":false}"#,
            ),
            (
                Endpoint::Responses,
                r#"{"input":"x","store":true,"tools":[{"type":"custom","name":"f"}]}"#,
            ),
            (Endpoint::Embeddings, "{}"),
            (Endpoint::Rerank, "{}"),
        ] {
            assert!(repeats(endpoint, body), "{body}");
        }
    }

    #[test]
    fn what_a_provider_keeps_or_runs_is_sent_once() {
        for (endpoint, body) in [
            (Endpoint::Responses, r#"{"previous_response_id":"resp_1"}"#),
            (Endpoint::Responses, r#"{"conversation":{"id":"conv_1"}}"#),
            (Endpoint::Responses, r#"{"background":true}"#),
            (Endpoint::Responses, r#"{"tools":[{"type":"mcp","server_url":"https://x"}]}"#),
            (Endpoint::ChatCompletions, r#"{"tools":[{"type":"web_search"}]}"#),
            (Endpoint::Messages, r#"{"tools":[{"type":"code_execution_20250522","name":"c"}]}"#),
            (Endpoint::Messages, r#"{"mcp_servers":[{"url":"https://x"}]}"#),
            (Endpoint::GenerateContent, r#"{"tools":[{"googleSearch":{}}]}"#),
            (Endpoint::Images, "{}"),
            (Endpoint::Speech, "{}"),
            (Endpoint::Transcriptions, "{}"),
        ] {
            assert!(!repeats(endpoint, body), "{body}");
        }
    }
}
