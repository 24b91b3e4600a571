//! Anthropic's `anthropic-beta` header for Claude on Bedrock, where it is a field of the model's own.

use bytes::Bytes;
use serde_json::Value;

use super::model::Model;
use super::wire::WireRequest;
use crate::llm::translate::UpstreamRequest;

/// Betas that Converse takes; it refuses requests with others.
/// Source: the Bedrock User Guide, "Anthropic Claude Messages API", and what gateways forward.
const TAKEN: [&str; 8] = [
    "computer-use-2025-01-24",
    "computer-use-2025-11-24",
    "context-1m-2025-08-07",
    "effort-2025-11-24",
    "fine-grained-tool-streaming-2025-05-14",
    "interleaved-thinking-2025-05-14",
    "thinking-binding-controls-2026-08-01",
    "thinking-display-updates-2026-08-18",
];

/// Adds the betas of a header to a request that was put into Converse.
pub fn add(request: &mut UpstreamRequest, model: &str, header: &str) {
    let asked = || header.split(',').map(str::trim).filter(|beta| !beta.is_empty());
    let claude = Model::of(model).is_claude();
    let taken: Vec<Value> =
        asked().filter(|beta| claude && TAKEN.contains(beta)).map(Value::from).collect();
    let name = "anthropic-beta";
    if taken.len() < asked().count() && !request.dropped.iter().any(|dropped| dropped == name) {
        request.dropped.push(name.to_owned());
        request.dropped.sort();
    }
    if taken.is_empty() {
        return;
    }
    // It was written here a moment ago, so it reads.
    if let Ok(mut wire) = serde_json::from_slice::<WireRequest>(&request.body) {
        let fields = &mut wire.additional_model_request_fields;
        let list = fields.entry("anthropic_beta").or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = list {
            list.extend(taken);
        }
        if let Ok(body) = serde_json::to_vec(&wire) {
            request.body = Bytes::from(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_bedrock_takes_is_added_and_only_for_claude() {
        let body = r#"{"messages":[{"role":"assistant","content":[{"toolUse":{"toolUseId":"t","name":"f","input":{"n":12345678901234567890123.50}}}]}]}"#;
        let with = |model: &str, header: &str| {
            let mut request = UpstreamRequest {
                body: body.into(),
                dropped: vec!["seed".to_owned()],
                headers: &[],
            };
            add(&mut request, model, header);
            (String::from_utf8(request.body.to_vec()).unwrap(), request.dropped)
        };
        let claude = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
        let (sent, dropped) = with(claude, "context-1m-2025-08-07 , oauth-2025-04-20,");
        assert!(sent.contains(r#""anthropic_beta":["context-1m-2025-08-07"]"#), "{sent}");
        assert!(sent.contains("12345678901234567890123.50"), "{sent}");
        assert_eq!(dropped, ["anthropic-beta", "seed"]);
        let nova = with("amazon.nova-pro-v1:0", "context-1m-2025-08-07");
        assert_eq!(nova, (body.to_owned(), vec!["anthropic-beta".to_owned(), "seed".to_owned()]));
        assert_eq!(with(claude, ""), (body.to_owned(), vec!["seed".to_owned()]));
    }
}
