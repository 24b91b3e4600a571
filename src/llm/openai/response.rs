//! Whole answers of chat completions: wire to canonical form and back.

use serde_json::json;

use super::part::{decode_assistant, encode_assistant};
use super::wire::{WireAnswer, WireUsage, finish_reason, finish_word, usage_of};
use crate::llm::chat::{ChatResponse, Content, FinishReason};
use crate::llm::codec::Dropped;
use crate::llm::translate::ResponseContext;

/// Wire to canonical: the first choice.
pub fn decode(body: &[u8]) -> Result<ChatResponse, String> {
    let answer: WireAnswer = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let choice = answer.choices.unwrap_or_default().into_iter().next();
    let choice = choice.ok_or("it has no choices")?;
    let message = choice.message.ok_or("its choice has no message")?;
    let minted = answer.id.as_deref().unwrap_or("0");
    let parts = decode_assistant(message, minted).map_err(|error| error.to_string())?;
    let called = parts.iter().any(|part| matches!(part.content, Content::ToolCall { .. }));
    let reason = choice.finish_reason.filter(|word| !word.is_empty());
    Ok(ChatResponse {
        finish_reason: reason.map(|word| trust_calls(finish_reason(&word), called)),
        id: answer.id.filter(|id| !id.is_empty()),
        model: answer.model.filter(|model| !model.is_empty()),
        parts,
        stop_sequence: None,
        usage: usage_of(body),
    })
}

/// Some servers say `stop` beside tool calls: the calls are right.
pub fn trust_calls(reason: FinishReason, called: bool) -> FinishReason {
    match reason {
        FinishReason::Stop if called => FinishReason::ToolCalls,
        other => other,
    }
}

/// Canonical to wire.
pub fn encode(response: &ChatResponse, context: &ResponseContext) -> Vec<u8> {
    let mut message = json!(encode_assistant(&response.parts, true, &mut Dropped::default()));
    for absent in ["content", "refusal"] {
        if message.get(absent).is_none() {
            message[absent] = serde_json::Value::Null;
        }
    }
    let reason = response.finish_reason.as_ref().unwrap_or(&FinishReason::Stop);
    let mut answer = json!({
        "id": answer_id(response.id.as_deref(), context),
        "object": "chat.completion",
        "created": context.created,
        "model": response.model.as_deref().unwrap_or(&context.model),
        "choices": [{
            "index": 0,
            "message": message,
            "logprobs": null,
            "finish_reason": finish_word(reason),
        }],
    });
    if let Some(usage) = response.usage {
        answer["usage"] = json!(WireUsage::from(usage));
    }
    answer.to_string().into_bytes()
}

/// The provider's id, else one made of the request's.
pub fn answer_id(id: Option<&str>, context: &ResponseContext) -> String {
    id.map_or_else(|| format!("chatcmpl-{}", context.request_id), str::to_owned)
}
