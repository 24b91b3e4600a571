//! A request's `input`: items to messages and back.

use serde_json::value::RawValue;

use super::item::{attach, call, reasoning};
use super::part::{decode_content, encode_content, output_text, refusal};
use super::wire::{WireItem, WirePart};
use crate::llm::chat::{ChatRequest, Content, Message, Part, Role, Signer};
use crate::llm::codec::{Dropped, safe_id};
use crate::llm::error::{RequestError, in_words};
use crate::llm::one_or_many::OneOrMany;

/// The longest call id that Responses takes.
const MAX_ID: usize = 64;

/// Searches of OpenAI's own tools: what they found stands in the message that follows, so that an agent
/// can go on with another provider's model.
const SEARCHES: [&str; 2] = ["web_search_call", "file_search_call"];

/// Items to messages: neighbouring items of the model are one turn, and so are results.
pub fn decode(
    items: OneOrMany<Box<RawValue>>,
    request: &mut ChatRequest,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    match items {
        OneOrMany::One(text) => {
            let parts = vec![Content::Text(text).into()];
            request.messages.push(Message { role: Role::User, parts });
        }
        OneOrMany::Many(items) => {
            for (at, raw) in items.iter().enumerate() {
                decode_item(at, raw, request, dropped)?;
            }
        }
        OneOrMany::Foreign => {
            let message = "\"input\" must be a string or a list of items";
            return Err(RequestError::field("input", message));
        }
    }
    Ok(())
}

fn decode_item(
    at: usize,
    raw: &RawValue,
    request: &mut ChatRequest,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    let kind = WireItem::kind_of(raw);
    let known = [
        "message",
        "reasoning",
        "function_call",
        "custom_tool_call",
        "function_call_output",
        "custom_tool_call_output",
    ];
    if SEARCHES.contains(&kind.as_str()) {
        dropped.add(format!("input.{kind}"));
        return Ok(());
    }
    if !known.contains(&kind.as_str()) {
        return Err(foreign(at, &kind));
    }
    let item: WireItem = serde_json::from_str(raw.get()).map_err(|error| {
        let error = in_words(&error);
        RequestError::field("input", format!("input[{at}] is not understood: {error}"))
    })?;
    let no_id = || RequestError::field("input", format!("input[{at}] needs a \"call_id\""));
    match kind.as_str() {
        "message" => decode_message(at, item, request, dropped)?,
        "reasoning" => {
            if let Some(content) = reasoning(item) {
                attach(turn(request), content.into());
            }
        }
        "function_call" | "custom_tool_call" => {
            let call = call(item).ok_or_else(no_id)?;
            turn(request).push(call.into());
        }
        _ => {
            let call_id = item.call_id.ok_or_else(no_id)?;
            let parts = decode_content(item.output)?;
            results(request).push(Content::ToolResult { call_id, parts, is_error: false }.into());
        }
    }
    Ok(())
}

fn foreign(at: usize, kind: &str) -> RequestError {
    let (code, message) = match kind {
        "item_reference" => (
            "unsupported_item_reference",
            format!(
                "input[{at}] refers to an item that OpenAI keeps, which this model's provider does \
                 not know: send the item itself, as clients do that are told store: false"
            ),
        ),
        "" => ("invalid_request", format!("input[{at}] must be an object with a \"type\"")),
        kind => (
            "unsupported_item",
            format!(
                "input[{at}] is of type \"{kind}\", which belongs to a tool that OpenAI runs and \
                 cannot be given to this model's provider: leave it out, or use a route to a \
                 provider that speaks Responses"
            ),
        ),
    };
    RequestError::unsupported("input", code, message)
}

fn decode_message(
    at: usize,
    item: WireItem,
    request: &mut ChatRequest,
    dropped: &mut Dropped,
) -> Result<(), RequestError> {
    if item.phase.is_some() {
        dropped.add("input.phase");
    }
    let parts = decode_content(item.content)?;
    let role = match item.role.as_deref().unwrap_or_default() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" | "developer" => Role::System,
        other => {
            let text = format!(
                "input[{at}].role is \"{other}\": use user, assistant, system or developer"
            );
            return Err(RequestError::field("input", text));
        }
    };
    match role {
        Role::System if request.messages.is_empty() => request.system.extend(parts),
        Role::Assistant if !ends_in_words(request) => turn(request).extend(parts),
        _ => request.messages.push(Message { role, parts }),
    }
    Ok(())
}

/// Whether the last turn is the model's words and no calls: what it says next is another message,
/// lest other dialects run the two texts together.
fn ends_in_words(request: &ChatRequest) -> bool {
    let is = |parts: &[Part], test: fn(&Content) -> bool| parts.iter().any(|p| test(&p.content));
    request.messages.last().is_some_and(|last| {
        last.role == Role::Assistant
            && is(&last.parts, |c| matches!(c, Content::Text(_) | Content::Refusal(_)))
            && !is(&last.parts, |c| matches!(c, Content::ToolCall { .. }))
    })
}

/// The model's turn that goes on, or a new one.
fn turn(request: &mut ChatRequest) -> &mut Vec<Part> {
    continued(request, |last| last.role == Role::Assistant, Role::Assistant)
}

/// The results that go on, or new ones.
fn results(request: &mut ChatRequest) -> &mut Vec<Part> {
    let is_result = |part: &Part| matches!(part.content, Content::ToolResult { .. });
    let goes_on = |last: &Message| last.role == Role::User && last.parts.iter().all(is_result);
    continued(request, goes_on, Role::User)
}

fn continued(
    request: &mut ChatRequest,
    goes_on: impl Fn(&Message) -> bool,
    role: Role,
) -> &mut Vec<Part> {
    let messages = &mut request.messages;
    if !messages.last().is_some_and(goes_on) {
        messages.push(Message { role, parts: Vec::new() });
    }
    let last = messages.len() - 1;
    &mut messages[last].parts
}

/// Messages to items.
pub fn encode(messages: &[Message], takes_marks: bool, dropped: &mut Dropped) -> Vec<WireItem> {
    let mut items = Vec::with_capacity(messages.len());
    for message in messages {
        match message.role {
            Role::System => items.extend(said("developer", &message.parts, takes_marks, dropped)),
            Role::User => encode_user(&message.parts, takes_marks, &mut items, dropped),
            Role::Assistant => encode_assistant(&message.parts, &mut items, dropped),
        }
    }
    items
}

fn of(kind: &str) -> WireItem {
    WireItem { kind: kind.to_owned(), ..WireItem::default() }
}

/// A message.
fn message(role: &str, content: OneOrMany<WirePart>) -> WireItem {
    WireItem { role: Some(role.to_owned()), content: Some(content), ..of("message") }
}

/// What somebody other than the model says; `None`: nothing.
pub fn said(
    role: &str,
    parts: &[Part],
    takes_marks: bool,
    dropped: &mut Dropped,
) -> Option<WireItem> {
    (!parts.is_empty()).then(|| message(role, encode_content(parts, takes_marks, dropped)))
}

fn encode_user(
    parts: &[Part],
    takes_marks: bool,
    items: &mut Vec<WireItem>,
    dropped: &mut Dropped,
) {
    let mut words: Vec<Part> = Vec::new();
    for part in parts {
        let Content::ToolResult { call_id, parts, is_error } = &part.content else {
            words.push(part.clone());
            continue;
        };
        if *is_error {
            dropped.add("tool_result.is_error");
        }
        if part.cache.is_some() {
            dropped.add("cache_control");
        }
        items.push(WireItem {
            call_id: Some(safe_id(call_id, MAX_ID)),
            output: Some(encode_content(parts, takes_marks, dropped)),
            ..of("function_call_output")
        });
    }
    items.extend(said("user", &words, takes_marks, dropped));
}

fn encode_assistant(parts: &[Part], items: &mut Vec<WireItem>, dropped: &mut Dropped) {
    let mut words: Vec<WirePart> = Vec::new();
    for part in parts {
        if part.cache.is_some() {
            dropped.add("cache_control");
        }
        match &part.content {
            Content::Text(text) if text.is_empty() => {}
            Content::Text(text) => words.push(output_text(text)),
            Content::Refusal(text) => words.push(refusal(text)),
            Content::ToolCall { id, name, arguments } => {
                flush(&mut words, items);
                items.push(WireItem {
                    call_id: Some(safe_id(id, MAX_ID)),
                    name: Some(name.clone()),
                    arguments: Some(arguments.clone()),
                    ..of("function_call")
                });
            }
            Content::Thinking { text, signature } => {
                flush(&mut words, items);
                match signature.as_ref().and_then(|by| by.by(Signer::OpenAi)) {
                    Some(proof) => items.push(encode_reasoning(text, proof)),
                    None => dropped.add("thinking"),
                }
            }
            Content::RedactedThinking(_) => dropped.add("thinking"),
            Content::Image { .. } | Content::File { .. } | Content::ToolResult { .. } => {
                dropped.add("messages.content");
            }
        }
    }
    flush(&mut words, items);
}

fn flush(words: &mut Vec<WirePart>, items: &mut Vec<WireItem>) {
    if !words.is_empty() {
        items.push(message("assistant", OneOrMany::Many(std::mem::take(words))));
    }
}

/// Reasoning that goes back to its maker. Without an id: ids name what a server keeps.
fn encode_reasoning(text: &str, proof: &str) -> WireItem {
    let summary = WirePart {
        kind: "summary_text".to_owned(),
        text: Some(text.to_owned()),
        ..WirePart::default()
    };
    WireItem {
        summary: Some(if text.is_empty() { Vec::new() } else { vec![summary] }),
        encrypted_content: Some(proof.to_owned()),
        ..of("reasoning")
    }
}
