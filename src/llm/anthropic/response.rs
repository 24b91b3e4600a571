//! Whole answers of Messages: wire to canonical form and back.

use serde_json::json;

use super::block::{decode_block, object};
use super::wire::{WireAnswer, WireBlock, WireUsage, finish_reason, finish_word};
use crate::llm::chat::{ChatResponse, Content, FinishReason, Json, Part};
use crate::llm::codec::safe_id;
use crate::llm::translate::ResponseContext;

/// Wire to canonical. Blocks of Anthropic's own tools are left out: no other dialect has them.
pub fn decode(body: &[u8]) -> Result<ChatResponse, String> {
    let answer: WireAnswer = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let content = answer.content.ok_or("it has no content")?;
    let mut parts = Vec::with_capacity(content.len());
    for block in content {
        parts.extend(decode_block(block).map_err(|error| error.to_string())?);
    }
    Ok(ChatResponse {
        id: answer.id,
        model: answer.model,
        parts,
        finish_reason: answer.stop_reason.as_deref().map(finish_reason),
        stop_sequence: answer.stop_sequence,
        usage: answer.usage.and_then(|usage| usage.canonical()),
    })
}

/// Canonical to wire.
pub fn encode(response: &ChatResponse, context: &ResponseContext) -> Vec<u8> {
    let content: Vec<WireBlock> = response.parts.iter().filter_map(encode_part).collect();
    let refused = response.parts.iter().any(|part| matches!(part.content, Content::Refusal(_)));
    let reason = response.finish_reason.as_ref().unwrap_or(&FinishReason::Stop);
    let reason = if refused { &FinishReason::ContentFilter } else { reason };
    let answer = json!({
        "id": answer_id(response.id.as_deref(), context),
        "type": "message",
        "role": "assistant",
        "model": response.model.as_deref().unwrap_or(&context.model),
        "content": content,
        "stop_reason": finish_word(reason, response.stop_sequence.as_deref()),
        "stop_sequence": response.stop_sequence,
        "usage": WireUsage::from(response.usage.unwrap_or_default()),
    });
    answer.to_string().into_bytes()
}

/// A part for a client: unlike in a request, thinking without signature is shown, and arguments that
/// are no object are kept as a text in one.
fn encode_part(part: &Part) -> Option<WireBlock> {
    Some(match &part.content {
        Content::Text(text) | Content::Refusal(text) if text.is_empty() => return None,
        Content::Text(text) | Content::Refusal(text) => WireBlock::text(text),
        Content::Thinking { text, signature } => WireBlock {
            thinking: Some(text.clone()),
            signature: Some(signature.clone().unwrap_or_default()),
            ..WireBlock::of("thinking")
        },
        Content::RedactedThinking(data) => {
            WireBlock { data: Some(data.clone()), ..WireBlock::of("redacted_thinking") }
        }
        Content::ToolCall { id, name, arguments } => WireBlock {
            id: Some(safe_id(id, usize::MAX)),
            name: Some(name.clone()),
            input: Some(object(arguments).unwrap_or_else(|_| invalid_arguments(arguments))),
            ..WireBlock::of("tool_use")
        },
        Content::Image { .. } | Content::File { .. } | Content::ToolResult { .. } => return None,
    })
}

fn invalid_arguments(arguments: &str) -> Json {
    Json::parse(&json!({"INVALID_JSON": arguments}).to_string()).unwrap_or_else(Json::empty_object)
}

/// An id in Anthropic's form, made of the provider's or else of the request's.
pub fn answer_id(id: Option<&str>, context: &ResponseContext) -> String {
    let id = id.unwrap_or(&context.request_id);
    if id.starts_with("msg_") { id.to_owned() } else { format!("msg_{id}") }
}
