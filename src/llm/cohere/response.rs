//! Whole answers of Cohere's chat: wire to canonical form.

use super::citation;
use super::wire::{Answer, AnswerCall, AnswerMessage, AnswerPart, WireCitation, finish_reason};
use crate::llm::chat::{ChatResponse, Choice, Content, Part};
use crate::llm::one_or_many::OneOrMany;

/// Wire to canonical.
pub fn decode(body: &[u8]) -> Result<ChatResponse, String> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let message = answer.message.ok_or("it has no message")?;
    let reason = match answer.finish_reason.as_deref() {
        None | Some("") => None,
        Some(word) => Some(finish_reason(word).ok_or_else(|| failed(word))?),
    };
    let logprobs = answer.logprobs.filter(|list| !list.is_empty());
    let choice = Choice {
        parts: parts(message),
        finish_reason: reason,
        stop_sequence: None,
        logprobs: logprobs.map(|list| list.into_iter().map(|item| item.canonical()).collect()),
    };
    Ok(ChatResponse {
        id: answer.id.filter(|id| !id.is_empty()),
        usage: answer.usage.and_then(|usage| usage.canonical()),
        ..ChatResponse::of(choice)
    })
}

/// What a finish reason of failure means.
pub fn failed(word: &str) -> String {
    format!("the model stopped with finish_reason \"{word}\"")
}

fn parts(message: AnswerMessage) -> Vec<Part> {
    let wire = match message.content {
        None | Some(OneOrMany::Foreign) => Vec::new(),
        Some(OneOrMany::One(text)) => vec![AnswerPart { text: Some(text), thinking: None }],
        Some(OneOrMany::Many(parts)) => parts,
    };
    let mut parts: Vec<Part> = wire.into_iter().map(decode_part).collect();
    cite(&mut parts, message.citations.unwrap_or_default());
    parts.retain(|part| !is_empty(part));
    if let Some(plan) = message.tool_plan.filter(|plan| !plan.is_empty()) {
        parts.push(Content::Text(plan).into());
    }
    parts.extend(message.tool_calls.unwrap_or_default().into_iter().map(decode_call));
    parts
}

fn decode_part(wire: AnswerPart) -> Part {
    match wire.thinking {
        Some(text) => Content::Thinking { text, signature: None }.into(),
        None => Content::Text(wire.text.unwrap_or_default()).into(),
    }
}

fn is_empty(part: &Part) -> bool {
    matches!(&part.content, Content::Text(text) | Content::Thinking { text, .. } if text.is_empty())
}

/// Puts citations to the part that they name, else to the first text. What is in a tool plan is not
/// cited in answers.
fn cite(parts: &mut [Part], citations: Vec<WireCitation>) {
    let is_text = |part: &Part| matches!(part.content, Content::Text(_));
    let first = parts.iter().position(is_text);
    for citation in citations {
        let named = citation.content_index.filter(|at| parts.get(*at).is_some_and(is_text));
        if let Some(part) = named.or(first).and_then(|at| parts.get_mut(at)) {
            part.citations.extend(citation::decode(citation));
        }
    }
}

fn decode_call(call: AnswerCall) -> Part {
    let arguments = call.function.arguments.unwrap_or_default();
    let none = matches!(arguments.trim(), "" | "null");
    Content::ToolCall {
        id: call.id.unwrap_or_default(),
        name: call.function.name.unwrap_or_default(),
        arguments: if none { "{}".to_owned() } else { arguments },
    }
    .into()
}
