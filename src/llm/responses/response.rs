//! Whole answers: wire to canonical form and back.

use serde_json::Value;
use serde_json::value::RawValue;

use super::echo::{Echo, Envelope, Status, answer_id, item_id};
use super::item::{attach, call, reasoning};
use super::output::items;
use super::part::{decode_annotation, decode_content};
use super::wire::{WireAnswer, WireItem, WirePart};
use crate::llm::chat::{ChatResponse, Choice, Content, FinishReason, Part};
use crate::llm::one_or_many::OneOrMany;
use crate::llm::translate::ResponseContext;

/// Wire to canonical. Items of OpenAI's own tools are left out: no other dialect has them.
pub fn decode(body: &[u8]) -> Result<ChatResponse, String> {
    let answer: WireAnswer = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let output = answer.output.ok_or("it has no output")?;
    let mut choice = Choice::default();
    for raw in &output {
        decode_item(raw, &mut choice)?;
    }
    let called = choice.parts.iter().any(|part| matches!(part.content, Content::ToolCall { .. }));
    let reason = answer.incomplete_details.and_then(|details| details.reason);
    let status = answer.status.as_deref().unwrap_or("completed");
    choice.finish_reason = Some(
        finish_reason(status, reason.as_deref(), called)
            .ok_or_else(|| format!("its status is \"{status}\""))?,
    );
    Ok(ChatResponse {
        id: answer.id,
        model: answer.model,
        choices: vec![choice],
        usage: answer.usage.and_then(|usage| usage.canonical()),
    })
}

/// Why an answer ended; `None`: it has not.
pub fn finish_reason(status: &str, incomplete: Option<&str>, called: bool) -> Option<FinishReason> {
    Some(match (status, incomplete) {
        ("completed", _) if called => FinishReason::ToolCalls,
        ("completed", _) => FinishReason::Stop,
        ("incomplete", Some("content_filter")) => FinishReason::ContentFilter,
        ("incomplete", Some("max_output_tokens") | None) => FinishReason::Length,
        ("incomplete", Some(other)) => FinishReason::Other(other.to_owned()),
        _ => return None,
    })
}

fn decode_item(raw: &RawValue, choice: &mut Choice) -> Result<(), String> {
    let kind = WireItem::kind_of(raw);
    if !["message", "reasoning", "function_call", "custom_tool_call"].contains(&kind.as_str()) {
        return Ok(());
    }
    let item: WireItem = serde_json::from_str(raw.get()).map_err(|error| error.to_string())?;
    match kind.as_str() {
        "message" => {
            let Some(OneOrMany::Many(parts)) = item.content else { return Ok(()) };
            parts.into_iter().for_each(|part| decode_words(part, choice));
        }
        "reasoning" => {
            if let Some(content) = reasoning(item) {
                attach(&mut choice.parts, content.into());
            }
        }
        _ => choice.parts.push(call(item).ok_or("a call has no call_id")?.into()),
    }
    Ok(())
}

/// Parts of types unknown here are left out.
fn decode_words(mut wire: WirePart, choice: &mut Choice) {
    let said = |part: &Part| match &part.content {
        Content::Text(text) | Content::Refusal(text) => text.chars().count() as u64,
        _ => 0,
    };
    let before = choice.parts.iter().map(said).sum();
    let annotations = wire.annotations.take().unwrap_or_default();
    let logprobs = wire.logprobs.take().filter(|logprobs| !logprobs.is_empty());
    for mut part in decode_content(Some(OneOrMany::Many(vec![wire]))).unwrap_or_default() {
        let found = annotations.iter().cloned();
        part.citations = found.filter_map(|wire| decode_annotation(wire, before)).collect();
        choice.parts.push(part);
    }
    if let Some(logprobs) = logprobs {
        let known = choice.logprobs.get_or_insert_default();
        known.extend(logprobs.into_iter().map(Into::into));
    }
}

/// Canonical to wire.
pub fn encode(response: &ChatResponse, context: &ResponseContext) -> Vec<u8> {
    let empty = Choice::default();
    let choice = response.first().unwrap_or(&empty);
    let echo = Echo::read(&context.request);
    let id = answer_id(response.id.as_deref(), context);
    let refused = choice.parts.iter().any(|part| matches!(part.content, Content::Refusal(_)));
    let status = Status::of(choice.finish_reason.as_ref(), refused);
    let items = items(&choice.parts, choice.logprobs.as_deref(), &echo.origins);
    let last = items.len().saturating_sub(1);
    let json = |(at, item): (usize, &super::output::Item)| {
        // What was cut off is the last of it.
        let word = if at == last { status.item_word() } else { "completed" };
        item.json(&item_id(item.prefix(), &id, at), word)
    };
    let output: Vec<Value> = items.iter().enumerate().map(json).collect();
    let envelope = Envelope {
        echo: &echo,
        context,
        id: &id,
        model: response.model.as_deref().unwrap_or(&context.model),
        status,
        output: &output,
        usage: response.usage,
    };
    serde_json::to_vec(&envelope).unwrap_or_default()
}
