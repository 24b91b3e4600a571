//! Whole answers of Messages: wire to canonical form and back.

use serde_json::json;

use super::beside::{attach_signatures, encode_citations, signature_after, signature_before};
use super::block::{decode_block, object};
use super::wire::{WireAnswer, WireBlock, WireUsage, finish_reason, finish_word};
use crate::llm::chat::{
    ChatResponse, Choice, Content, FinishReason, Json, Part, Signature, Signer,
};
use crate::llm::codec::{Dropped, safe_id};
use crate::llm::structured;
use crate::llm::translate::ResponseContext;

/// Wire to canonical. Blocks of Anthropic's own tools are left out: no other dialect has them.
pub fn decode(body: &[u8]) -> Result<ChatResponse, String> {
    let answer: WireAnswer = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let content = answer.content.ok_or("it has no content")?;
    let mut parts = Vec::with_capacity(content.len());
    for block in content {
        let part = decode_block(block, &mut Dropped::default());
        parts.extend(part.map_err(|error| error.to_string())?);
    }
    let mut parts = attach_signatures(parts);
    let answered = structured::unwrap(&mut parts);
    let calls = parts.iter().any(|part| matches!(part.content, Content::ToolCall { .. }));
    let reason = answer.stop_reason.as_deref().map(finish_reason);
    let choice = Choice {
        parts,
        finish_reason: reason.map(|reason| structured::finish(reason, answered, calls)),
        stop_sequence: answer.stop_sequence,
        logprobs: None,
    };
    Ok(ChatResponse {
        id: answer.id,
        model: answer.model,
        choices: vec![choice],
        usage: answer.usage.and_then(|usage| usage.canonical()),
    })
}

/// Canonical to wire.
pub fn encode(response: &ChatResponse, context: &ResponseContext) -> Vec<u8> {
    let empty = Choice::default();
    let choice = response.first().unwrap_or(&empty);
    let content = encode_parts(&choice.parts);
    let refused = choice.parts.iter().any(|part| matches!(part.content, Content::Refusal(_)));
    let reason = choice.finish_reason.as_ref().unwrap_or(&FinishReason::Stop);
    let reason = if refused { &FinishReason::ContentFilter } else { reason };
    let answer = json!({
        "id": answer_id(response.id.as_deref(), context),
        "type": "message",
        "role": "assistant",
        "model": response.model.as_deref().unwrap_or(&context.model),
        "content": content,
        "stop_reason": finish_word(reason, choice.stop_sequence.as_deref()),
        "stop_sequence": choice.stop_sequence,
        "usage": WireUsage::from(response.usage.unwrap_or_default()),
    });
    answer.to_string().into_bytes()
}

fn encode_parts(parts: &[Part]) -> Vec<WireBlock> {
    let mut blocks = Vec::with_capacity(parts.len());
    let mut said = String::new();
    for part in parts {
        let is_call = matches!(part.content, Content::ToolCall { .. });
        blocks.extend(part.signature.as_ref().filter(|_| is_call).map(signature_before));
        if let Content::Text(text) = &part.content {
            said.push_str(text);
        }
        if let Some(block) = encode_part(part) {
            let citations = encode_citations(&part.citations, &said);
            blocks.push(WireBlock { citations, ..block });
        }
        blocks.extend(part.signature.as_ref().filter(|_| !is_call).map(signature_after));
    }
    blocks
}

/// A part for a client: unlike in a request, thinking without signature is shown, and arguments that
/// are no object are kept as a text in one.
fn encode_part(part: &Part) -> Option<WireBlock> {
    Some(match &part.content {
        Content::Text(text) | Content::Refusal(text) if text.is_empty() => return None,
        Content::Text(text) | Content::Refusal(text) => WireBlock::text(text),
        Content::Thinking { text, signature } => WireBlock {
            thinking: Some(text.clone()),
            signature: Some(tagged(signature.as_ref())),
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

/// Clients expect the member even where there is no signature.
fn tagged(signature: Option<&Signature>) -> String {
    signature.map(|signature| signature.tagged(Signer::Anthropic)).unwrap_or_default()
}

fn invalid_arguments(arguments: &str) -> Json {
    Json::parse(&json!({"INVALID_JSON": arguments}).to_string()).unwrap_or_else(Json::empty_object)
}

/// An id in Anthropic's form, made of the provider's or else of the request's.
pub fn answer_id(id: Option<&str>, context: &ResponseContext) -> String {
    let id = id.unwrap_or(&context.request_id);
    if id.starts_with("msg_") { id.to_owned() } else { format!("msg_{id}") }
}
