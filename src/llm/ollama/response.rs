//! Whole answers of Ollama's chat: wire to canonical form.

use super::wire::{Answer, WireCall, WireLogprob, finish_reason};
use crate::llm::chat::{ChatResponse, Choice, Content, Part};
use crate::llm::codec::fnv1a;

/// Wire to canonical.
pub fn decode(body: &[u8]) -> Result<ChatResponse, String> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let usage = answer.usage();
    let created_at = answer.created_at.unwrap_or_default();
    let message = answer.message.ok_or("it has no message")?;
    let mut parts: Vec<Part> = Vec::new();
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    if let Some(text) = given(message.thinking) {
        parts.push(Content::Thinking { text, signature: None }.into());
    }
    parts.extend(given(message.content).map(|text| Part::from(Content::Text(text))));
    let calls = message.tool_calls.unwrap_or_default();
    let called = !calls.is_empty();
    for (index, WireCall { id, function }) in calls.into_iter().enumerate() {
        let arguments = function.arguments_text();
        let id = given(id).unwrap_or_else(|| minted(&created_at, index));
        parts.push(Content::ToolCall { id, name: function.name, arguments }.into());
    }
    let logprobs = answer.logprobs.filter(|list| !list.is_empty());
    let choice = Choice {
        parts,
        finish_reason: Some(finish_reason(answer.done_reason.as_deref().unwrap_or(""), called)),
        stop_sequence: None,
        logprobs: logprobs.map(|list| list.into_iter().map(WireLogprob::canonical).collect()),
    };
    let model = given(answer.model);
    Ok(ChatResponse { model, usage, ..ChatResponse::of(choice) })
}

/// An id for a call that came without one. The answer's time, to the nanosecond, keeps those of two
/// turns apart.
pub fn minted(created_at: &str, index: usize) -> String {
    format!("call_{:016x}_{index}", fnv1a(created_at.as_bytes()))
}
