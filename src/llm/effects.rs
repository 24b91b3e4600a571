//! Whether a request may be sent twice at the same time: what a provider stores, runs or sells by the
//! piece must happen once. Who sends it, and when, is the proxy's to decide.

use super::endpoint::{Endpoint, Work};
use super::members::{Member, Members};

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
    let Ok(Members(members)) = Members::parse(body) else { return false };
    members.iter().all(|Member { name, value }| match &**name {
        "tools" => serde_json::from_str::<Vec<Members<'_>>>(value.get())
            .is_ok_and(|tools| tools.iter().all(is_callers_own)),
        name => !KEEPING.contains(&name) || matches!(value.get(), "null" | "false"),
    })
}

fn is_callers_own(Members(tool): &Members<'_>) -> bool {
    let named = |name: &str| tool.iter().find(|member| member.name == name);
    match named("type") {
        Some(kind) => {
            let kind: Option<String> = serde_json::from_str(kind.value.get()).ok();
            kind.is_some_and(|kind| CALLERS_OWN.contains(&&*kind))
        }
        // Anthropic's own shape names the tool, Gemini's holds a list of them.
        None => {
            let is_declaration = |member: &Member<'_>| DECLARATIONS.contains(&&*member.name);
            named("name").is_some() || (!tool.is_empty() && tool.iter().all(is_declaration))
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
            (Endpoint::ChatCompletions, r#"{"messages":[],"tools":[]}"#),
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
