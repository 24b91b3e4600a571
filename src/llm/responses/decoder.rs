//! Streams as they are read: typed events to canonical ones.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::item::{call, reasoning};
use super::part::decode_annotation;
use super::response::finish_reason;
use super::wire::{WireAnnotation, WireAnswer, WireItem, WireLogprob, WirePart};
use crate::llm::chat::{ChatEvent, Content};
use crate::llm::codec::EventDecoder;
use crate::llm::error::{ApiError, ErrorKind};
use crate::llm::one_or_many::OneOrMany;
use crate::llm::sse::Frame;
use crate::llm::stream::StreamFault;

/// Reads events. Unknown ones and items of OpenAI's own tools are skipped. Items are told apart by
/// their place alone, since some servers change the ids between events.
#[derive(Default)]
pub struct Decoder {
    started: bool,
    items: Vec<Open>,
    calls: usize,
    /// Characters of the answer's text so far, and of it before the part that is open.
    said: u64,
    before: u64,
}

/// An item that has begun.
struct Open {
    at: u64,
    kind: Kind,
    /// Some of it has been told already.
    told: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Message,
    Reasoning,
    Call(usize),
    Freeform(usize),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    response: Option<WireAnswer>,
    output_index: u64,
    summary_index: u64,
    item: Option<Box<RawValue>>,
    delta: Option<Value>,
    logprobs: Option<Vec<WireLogprob>>,
    annotation: Option<WireAnnotation>,
}

impl EventDecoder for Decoder {
    fn decode(
        &mut self,
        frame: &Frame<'_>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), StreamFault> {
        let data = frame.data.trim_ascii();
        if data == b"[DONE]" {
            return Ok(());
        }
        let mut event: Event = serde_json::from_slice(data)
            .map_err(|error| StreamFault::Malformed(format!("an event is not JSON: {error}")))?;
        let at = event.output_index;
        match event.kind.as_str() {
            "error" | "response.failed" => return Err(error_event()),
            "response.created" | "response.in_progress" => self.start(event.response, events),
            "response.completed" | "response.incomplete" => {
                return self.end(event.response.unwrap_or_default(), events);
            }
            "response.output_item.added" => self.item_added(at, event.item, events)?,
            "response.output_item.done" => self.item_done(at, event.item, events)?,
            "response.content_part.added" => self.before = self.said,
            "response.content_part.done" if self.kind(at) == Some(Kind::Message) => {
                events.push(ChatEvent::BlockEnd);
            }
            "response.reasoning_summary_part.added" if event.summary_index > 0 => {
                events.push(ChatEvent::Thinking("\n\n".to_owned()));
            }
            "response.output_text.annotation.added" => {
                let found = event.annotation.and_then(|wire| decode_annotation(wire, self.before));
                events.extend(found.map(ChatEvent::Citation));
            }
            kind if kind.ends_with(".delta") => {
                let logprobs = event.logprobs.take();
                if let Some(Value::String(delta)) = event.delta {
                    self.delta(kind, at, delta, events);
                }
                let logprobs = logprobs.filter(|logprobs| !logprobs.is_empty());
                events.extend(logprobs.map(|logprobs| {
                    ChatEvent::Logprobs(logprobs.into_iter().map(Into::into).collect())
                }));
            }
            _ => {}
        }
        Ok(())
    }
}

/// The crossing reads the error itself from the frame.
fn error_event() -> StreamFault {
    StreamFault::Upstream(ApiError::new(
        http::StatusCode::BAD_GATEWAY,
        ErrorKind::Upstream,
        ErrorKind::Upstream.default_code(),
        "the provider reported an error in its stream",
    ))
}

impl Decoder {
    fn start(&mut self, answer: Option<WireAnswer>, events: &mut Vec<ChatEvent>) {
        if !std::mem::replace(&mut self.started, true) {
            let answer = answer.unwrap_or_default();
            events.push(ChatEvent::Start { id: answer.id, model: answer.model });
        }
    }

    fn kind(&self, at: u64) -> Option<Kind> {
        self.items.iter().find(|open| open.at == at).map(|open| open.kind)
    }

    fn item_added(
        &mut self,
        at: u64,
        raw: Option<Box<RawValue>>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), StreamFault> {
        let Some(raw) = raw else { return Ok(()) };
        let kind = match WireItem::kind_of(&raw).as_str() {
            "message" => Kind::Message,
            "reasoning" => Kind::Reasoning,
            "function_call" => Kind::Call(self.begin_call(&raw, events)?),
            "custom_tool_call" => Kind::Freeform(self.begin_call(&raw, events)?),
            _ => return Ok(()),
        };
        self.items.push(Open { at, kind, told: false });
        Ok(())
    }

    fn begin_call(
        &mut self,
        raw: &RawValue,
        events: &mut Vec<ChatEvent>,
    ) -> Result<usize, StreamFault> {
        let Some(Content::ToolCall { id, name, .. }) = read(raw)?.and_then(call) else {
            return Err(StreamFault::Malformed("a call has no call_id".to_owned()));
        };
        let index = self.calls;
        self.calls += 1;
        events.push(ChatEvent::ToolCall { index, id, name });
        Ok(index)
    }

    fn delta(&mut self, kind: &str, at: u64, delta: String, events: &mut Vec<ChatEvent>) {
        let Some(open) = self.items.iter_mut().find(|open| open.at == at) else { return };
        if delta.is_empty() {
            return;
        }
        let first = !std::mem::replace(&mut open.told, true);
        match (kind, open.kind) {
            ("response.output_text.delta", Kind::Message) => {
                self.said += delta.chars().count() as u64;
                events.push(ChatEvent::Text(delta));
            }
            ("response.refusal.delta", Kind::Message) => {
                self.said += delta.chars().count() as u64;
                events.push(ChatEvent::Refusal(delta));
            }
            (
                "response.reasoning_summary_text.delta" | "response.reasoning_text.delta",
                Kind::Reasoning,
            ) => events.push(ChatEvent::Thinking(delta)),
            ("response.function_call_arguments.delta", Kind::Call(index)) => {
                events.push(ChatEvent::Arguments { index, json: delta });
            }
            ("response.custom_tool_call_input.delta", Kind::Freeform(index)) => {
                let opening = if first { "{\"input\":\"" } else { "" };
                let json = format!("{opening}{}", escaped(&delta));
                events.push(ChatEvent::Arguments { index, json });
            }
            _ => open.told = !first,
        }
    }

    /// An item is whole: what was not told in pieces is told now.
    fn item_done(
        &mut self,
        at: u64,
        raw: Option<Box<RawValue>>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), StreamFault> {
        let Some(raw) = raw else { return Ok(()) };
        if self.kind(at).is_none() {
            self.item_added(at, Some(raw.clone()), events)?;
        }
        let Some(position) = self.items.iter().position(|open| open.at == at) else {
            return Ok(());
        };
        let Open { kind, told, .. } = self.items.swap_remove(position);
        let Some(item) = read(&raw)? else { return Ok(()) };
        match kind {
            Kind::Message if told => {}
            Kind::Message => self.words(item, events),
            Kind::Reasoning => reasoning_done(item, told, events),
            Kind::Call(index) | Kind::Freeform(index) => {
                events.extend(rest_of_call(item, (kind, index), told));
                events.push(ChatEvent::CallEnd(index));
            }
        }
        Ok(())
    }

    fn words(&mut self, item: WireItem, events: &mut Vec<ChatEvent>) {
        let Some(OneOrMany::Many(parts)) = item.content else { return };
        for WirePart { text, refusal, .. } in parts {
            for said in text.iter().chain(&refusal) {
                self.said += said.chars().count() as u64;
            }
            let given = |text: Option<String>| text.filter(|text| !text.is_empty());
            events.extend(given(text).map(ChatEvent::Text));
            events.extend(given(refusal).map(ChatEvent::Refusal));
            events.push(ChatEvent::BlockEnd);
        }
    }

    fn end(&mut self, answer: WireAnswer, events: &mut Vec<ChatEvent>) -> Result<(), StreamFault> {
        let status = answer.status.as_deref().unwrap_or("completed");
        let reason = answer.incomplete_details.as_ref().and_then(|d| d.reason.as_deref());
        let Some(reason) = finish_reason(status, reason, self.calls > 0) else {
            let text = format!("it ends with the status \"{status}\"");
            return Err(StreamFault::Malformed(text));
        };
        let usage = answer.usage.as_ref().and_then(|usage| usage.canonical());
        self.start(Some(answer), events);
        events.extend(usage.map(ChatEvent::Usage));
        events.push(ChatEvent::Finish { reason, stop_sequence: None });
        events.push(ChatEvent::End);
        Ok(())
    }
}

fn read(raw: &RawValue) -> Result<Option<WireItem>, StreamFault> {
    serde_json::from_str(raw.get())
        .map_err(|error| StreamFault::Malformed(format!("an item is not understood: {error}")))
}

fn reasoning_done(item: WireItem, told: bool, events: &mut Vec<ChatEvent>) {
    match reasoning(item) {
        Some(Content::Thinking { text, signature }) => {
            if !told && !text.is_empty() {
                events.push(ChatEvent::Thinking(text));
            }
            events.extend(signature.map(ChatEvent::Signature));
        }
        Some(Content::RedactedThinking(data)) => events.push(ChatEvent::RedactedThinking(data)),
        _ => {}
    }
    events.push(ChatEvent::BlockEnd);
}

fn rest_of_call(item: WireItem, (kind, index): (Kind, usize), told: bool) -> Option<ChatEvent> {
    let json = match (kind, told) {
        (Kind::Freeform(_), true) => "\"}".to_owned(),
        (_, true) => return None,
        (_, false) => match call(item) {
            Some(Content::ToolCall { arguments, .. }) => arguments,
            _ => "{}".to_owned(),
        },
    };
    Some(ChatEvent::Arguments { index, json })
}

/// A text as it stands inside a JSON string, without the quotes.
fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}
