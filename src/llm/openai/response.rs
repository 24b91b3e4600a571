//! Whole answers of chat completions: wire to canonical form and back.

use serde_json::{Value, json};

use super::beside::{decode_logprobs, encode_logprobs};
use super::extension;
use super::part::{Reader, decode_assistant, encode_assistant};
use super::wire::{WireAnswer, WireChoice, WireUsage, finish_reason, finish_word, usage_of};
use crate::llm::chat::{ChatResponse, Choice, Content, FinishReason, Part};
use crate::llm::codec::Dropped;
use crate::llm::quirks::Quirks;
use crate::llm::translate::ResponseContext;

/// Wire to canonical.
pub fn decode(body: &[u8]) -> Result<ChatResponse, String> {
    let answer: WireAnswer = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let id = answer.id.filter(|id| !id.is_empty());
    let minted = id.as_deref().unwrap_or("0");
    let mut choices = Vec::new();
    for (at, choice) in answer.choices.unwrap_or_default().into_iter().enumerate() {
        let minted = if at == 0 { minted.to_owned() } else { format!("{minted}_{at}") };
        choices.push(decode_choice(choice, &minted)?);
    }
    if choices.is_empty() {
        return Err("it has no choices".to_owned());
    }
    let model = answer.model.filter(|model| !model.is_empty());
    Ok(ChatResponse { id, model, choices, usage: usage_of(body, Quirks::NONE) })
}

fn decode_choice(choice: WireChoice, minted: &str) -> Result<Choice, String> {
    let mut message = choice.message.ok_or("its choice has no message")?;
    let texts = extension::texts(&message);
    message.tool_calls = Some(extension::calls(&mut message));
    let mut parts = decode_assistant(message, minted).map_err(|error| error.to_string())?;
    let is_call = |part: &Part| matches!(part.content, Content::ToolCall { .. });
    let before_calls = parts.iter().position(is_call).unwrap_or(parts.len());
    let texts = texts.into_iter().map(|text| Content::Text(text).into());
    parts.splice(before_calls..before_calls, texts);
    let called = parts.iter().any(is_call);
    let reason = choice.finish_reason.filter(|word| !word.is_empty());
    Ok(Choice {
        finish_reason: reason.map(|word| trust_calls(finish_reason(&word), called)),
        logprobs: decode_logprobs(choice.logprobs.as_ref()),
        stop_sequence: None,
        parts,
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
    let empty = [Choice::default()];
    let choices = if response.choices.is_empty() { &empty[..] } else { &response.choices };
    let choices = choices.iter().enumerate().map(|(index, choice)| encode_choice(index, choice));
    let mut answer = json!({
        "id": answer_id(response.id.as_deref(), context),
        "object": "chat.completion",
        "created": context.created,
        "model": response.model.as_deref().unwrap_or(&context.model),
        "choices": choices.collect::<Value>(),
    });
    if let Some(usage) = response.usage {
        answer["usage"] = json!(WireUsage::from(usage));
    }
    answer.to_string().into_bytes()
}

fn encode_choice(index: usize, choice: &Choice) -> Value {
    let message = encode_assistant(&choice.parts, Reader::Client, &mut Dropped::default());
    let mut message = json!(message);
    for absent in ["content", "refusal"] {
        if message.get(absent).is_none() {
            message[absent] = Value::Null;
        }
    }
    let reason = choice.finish_reason.as_ref().unwrap_or(&FinishReason::Stop);
    json!({
        "index": index,
        "message": message,
        "logprobs": choice.logprobs.as_deref().map(encode_logprobs),
        "finish_reason": finish_word(reason),
    })
}

/// The provider's id, else one made of the request's.
pub fn answer_id(id: Option<&str>, context: &ResponseContext) -> String {
    id.map_or_else(|| format!("chatcmpl-{}", context.request_id), str::to_owned)
}
